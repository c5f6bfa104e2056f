"""What ends the command line, and what does not: signals, and readers that leave."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WORK = """
import subprocess, sys, time
from edgenas.cli.signals import Interrupts
import edgenas.cli as cli
def app(args):
    child = subprocess.Popen(["sleep", "600"])
    try:
        print(child.pid, file=sys.stderr, flush=True)
        time.sleep(60)
    finally:
        if len(sys.argv) > 1:
            time.sleep(60)  # tidying up that takes for ever
        child.kill()
        child.wait()

cli.app = app
cli.main()
"""


def _start(tmp_path: Path, *arguments: str) -> tuple[subprocess.Popen[str], int]:
    (tmp_path / "work.py").write_text(WORK)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "work.py"), *arguments],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # tests under nohup ignore it
    )
    assert process.stderr is not None
    return process, int(process.stderr.readline())


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_do_what_ctrl_c_does(number: signal.Signals, tmp_path: Path) -> None:
    process, child = _start(tmp_path)
    process.send_signal(number)
    words = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert words.splitlines()[-1].startswith("interrupted; ")
    assert "Traceback" not in words
    assert not _runs(child)


def test_a_second_signal_ends_at_once_and_leaves_nobody_behind(tmp_path: Path) -> None:
    process, child = _start(tmp_path, "slow")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.6)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    words = process.communicate(timeout=20)[1]
    assert process.returncode == 1
    assert "Traceback" not in words
    deadline = time.monotonic() + 10
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(child)


def test_ignored_signals_stay_ignored(tmp_path: Path) -> None:
    script = (
        "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\nfrom edgenas.cli.signals import Interrupts\n"
        "with Interrupts():\n    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


LINES = """
import sys, time
import edgenas.cli as cli
def app(args):
    for number in range(200):
        print("line", number)
        print("remark", number, file=sys.stderr)
    open(sys.argv[1], "w").write("done")
    print("summary")

cli.app = app
cli.main()
"""


def _pipe(tmp_path: Path, command: str) -> tuple[int, str]:
    (tmp_path / "lines.py").write_text(LINES)
    found = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.format(run=f"{sys.executable} lines.py done")],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    return found.returncode, found.stderr


@pytest.mark.parametrize(
    "command",
    [
        "{run} 2>/dev/null | true",
        "{run} 2>&1 >/dev/null | true",
        "{run} 2>&1 | true",
        "{run} >&- 2>/dev/null",
        "{run} >/dev/null 2>&-",
    ],
)
def test_a_reader_that_leaves_does_not_end_the_work(tmp_path: Path, command: str) -> None:
    code, words = _pipe(tmp_path, command)
    assert (tmp_path / "done").read_text() == "done"
    assert code == 0
    assert words == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_behind_standard_output_is_told(tmp_path: Path) -> None:
    code, words = _pipe(tmp_path, "{run} >/dev/full")
    assert code == 1
    assert words.splitlines()[-1] == "error: standard output cannot be written (No space left on device)"
    assert "Traceback" not in words
