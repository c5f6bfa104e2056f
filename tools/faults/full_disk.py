"""A full disk at each step of a run: one clear line, nothing finished lost, and all is well once there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarking.claims import claim

from faults.filling import Filling
from faults.scene import Scene
from faults.searching import Search

POINTS = ("profile", "search", "train", "export", "report", "bundle")
DISK_BYTES = 96 << 20
#: What is left on the disk when the step begins. Some files of a step still fit, later ones do not.
FREE_BYTES = {
    "profile": 0,
    "search": 64 << 10,
    "train": 8 << 10,
    "export": 8 << 10,
    "report": 64 << 10,
    "bundle": 8 << 10,
}
TRIALS = 3


def full_disk(scene: Scene, folder: Path, options: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A run for each point, on a disk of its own that is filled there and has room again for the resume."""
    if reason := _cannot_mount(folder / "probe"):
        return {"skipped": reason, "summary": f"skipped: {reason}"}, []
    rows = []
    for point in POINTS[: options.count("disk")]:
        with _disk(folder / point) as disk:
            rows.append(_one(scene, disk, point))
        row = rows[-1]
        if row["problems"]:
            print(f"  {point}: {'; '.join(row['problems'])}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    wrong = sum(bool(row["problems"]) for row in rows)
    found = {"rows": rows, "summary": f"a full disk at {len(rows)} points: {len(rows) - wrong} as they should be"}
    return found, [
        claim(f"disk: tracebacks at {len(rows)} points", sum(row["full"] == "traceback" for row in rows), 0),
        claim(f"disk: points that do not end well, of {len(rows)}", wrong, 0),
    ]


def _one(scene: Scene, disk: Path, point: str) -> dict[str, Any]:
    problems = []
    filling = Filling(point, FREE_BYTES[point], disk)
    home, temporary = disk / "home", disk / "tmp"
    for place in (home, temporary):
        place.mkdir()
    places = {"EDGENAS_HOME": str(home), "TMPDIR": str(temporary)}
    search = Search(scene, disk / "work", TRIALS, 1, stand_in="fill", environment=places | filling.to_environment())
    full = search("run")
    before = search.trials_found()
    filling.release()
    if full.kind not in ("failed", "refused"):
        problems.append(f"ended as {full.kind}: {full.words[:200]}")
    elif "space" not in full.words.lower() and "full" not in full.words.lower():
        problems.append(f"the message does not name the full disk: {full.words[:200]}")
    search.environment = places | {"FAULTS_FILL": f"never:0:{disk}"}
    resumed = search("run", *(("--resume",) if (search.run / "recipe.yaml").is_file() else ()))
    after = search.trials_found()
    if resumed.kind != "ok":
        problems.append(f"the resume ended as {resumed.kind}: {resumed.words[:200]}")
    if any(after.get(number) != facts for number, facts in before.items()):
        problems.append("a finished trial is lost")
    if len(after) != TRIALS or not (search.run / "bundle" / "model.tflite").is_file():
        problems.append(f"the resumed run has {len(after)} trials")
    return {"point": point, "full": full.kind, "words": full.words, "resumed": resumed.kind, "problems": problems}


@contextmanager
def _disk(folder: Path) -> Iterator[Path]:
    """A disk in memory of :data:`DISK_BYTES`, mounted at a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def _cannot_mount(folder: Path) -> str | None:
    if os.name != "posix" or os.geteuid() != 0:
        return "small disks of its own can only be mounted by root"
    try:
        with _disk(folder):
            pass
    except (OSError, subprocess.CalledProcessError) as error:
        return f"a small disk cannot be mounted here ({error})"
    return None
