"""Temporary folders are gone afterwards, however the program that made them ended."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from edgenas.export.temporary import sweep, temporary_folder
from edgenas.spaces.errors import WorkError

PROGRAM = """
import sys, time
from edgenas.export.temporary import temporary_folder
with temporary_folder("measure") as folder:
    (folder / "model.tflite").write_bytes(b"x" * 1000)
    (folder / "inner").mkdir()
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def start() -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_nothing_is_left_over(tmp_path: Path) -> None:
    with temporary_folder("measure") as first, temporary_folder("measure") as second:
        assert first != second
        assert f"-{os.getpid()}-" in first.name
        (first / "file").write_text("text")
    with pytest.raises(ValueError, match="mine"), temporary_folder("profile"):
        raise ValueError("mine")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_killed_program_goes_at_the_next_start_and_that_of_a_live_one_stays(tmp_path: Path) -> None:
    killed, its_folder = start()
    living, kept = start()
    try:
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        assert its_folder.is_dir()
        with temporary_folder("measure") as mine:
            assert not its_folder.exists()
            assert {path.name for path in mine.parent.iterdir() if path.is_dir()} == {mine.name, kept.name}
        assert (kept / "model.tflite").is_file()
        assert sweep() == 0
    finally:
        living.communicate("")
    assert living.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_root_of_somebody_else_or_a_link_is_not_used(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "measure-1-2-abcd").mkdir(parents=True)
    (tmp_path / f"edgenas-{os.getuid()}").symlink_to(elsewhere)
    assert sweep() == 0
    with pytest.raises(WorkError, match=r"belongs to somebody else.*TMPDIR"), temporary_folder("measure"):
        pass
    assert (elsewhere / "measure-1-2-abcd").is_dir()


@pytest.mark.parametrize("seen", [True, False])
def test_a_root_that_somebody_removes_in_between_is_made_again(
    seen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made, left = Path.mkdir, [3]

    def mkdir(self: Path, *arguments: Any, **options: Any) -> None:
        made(self, *arguments, **options)
        if self.name.startswith("edgenas-") and left[0]:
            left[0] -= 1
            self.rmdir()
            if seen:  # what mkdir says when it is gone before mkdir looks whether it is a folder
                raise FileExistsError(errno.EEXIST, "File exists", str(self))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with temporary_folder("test") as folder:
        assert folder.is_dir()
    assert left == [0]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), OSError("8 requested and 0 written")]
)
def test_a_full_disk_names_the_folder_and_the_variable(error: OSError) -> None:
    with pytest.raises(WorkError, match=r"edgenas-\d+: is full .*TMPDIR"), temporary_folder("measure"):
        raise error


def test_no_folder_that_can_be_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(WorkError, match=r"No usable temporary directory.*TMPDIR"), temporary_folder("measure"):
        pass
