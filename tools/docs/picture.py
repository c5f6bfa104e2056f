"""Makes the documents' picture of a report, with a headless Chromium.

    python tools/docs/picture.py runs/quickstart --output docs/images/report.png

The top of the page at twice the resolution, brought down to few colours: below 300 kB.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LARGEST_BYTES = 300_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--output", type=Path, default=Path("docs/images/report.png"))
    parser.add_argument("--width", type=int, default=1160, help="of the page, in CSS pixels")
    parser.add_argument("--height", type=int, default=1240)
    arguments = parser.parse_args()
    report = (arguments.run / "report.html").resolve()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not report.is_file():
        parser.error(f"there is no {report}; `edgenas report RUN` writes it")
    if browser is None:
        parser.error(f"none of {', '.join(BROWSERS)} is installed")
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "report.png"
        take(browser, report, shot, arguments.width, arguments.height)
        picture = Image.open(shot).convert("RGB").quantize(64, dither=Image.Dither.NONE)
        picture.save(arguments.output, optimize=True)
    size = arguments.output.stat().st_size
    print(f"{arguments.output}: {size:,} bytes")
    return 0 if size < LARGEST_BYTES else 1


def take(browser: str, report: Path, shot: Path, width: int, height: int) -> None:
    """A picture of the top of the page."""
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=2")
    waiting = ("--virtual-time-budget=20000", f"--window-size={width},{height}", f"--screenshot={shot}")
    subprocess.run([browser, *options, *waiting, report.as_uri()], check=True, capture_output=True, timeout=300)


if __name__ == "__main__":
    sys.exit(main())
