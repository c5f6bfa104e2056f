"""Log, progress and state of a run: whole lines, whole files, words for people."""

import errno
import fcntl
import os
import time
from pathlib import Path

import pytest

from edgenas.run.folder import RunFolder
from edgenas.run.log import RunLog, read_log
from edgenas.run.progress import Progress
from edgenas.run.records import ChooseRecord, SearchRecord
from edgenas.spaces.errors import InputError, WorkError


def test_events_have_times_and_survive_a_line_cut_off(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl")
    log.event("first", value=1)
    with log.path.open("a") as file:
        file.write('{"event": "cut of')
    log.event("second", path=tmp_path)
    events = read_log(log.path)
    assert [event["event"] for event in events] == ["first", "second"]
    assert all(event["time_utc"].startswith("20") for event in events)
    assert events[1]["path"] == str(tmp_path)


def test_a_record_is_kept_beside_the_others(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.read(SearchRecord) == SearchRecord()
    folder.write(ChooseRecord(trial=0))
    folder.write(SearchRecord(done=True, best=3))
    assert RunFolder(tmp_path).read(SearchRecord) == SearchRecord(done=True, best=3)
    assert RunFolder(tmp_path).read(ChooseRecord).trial == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2, "steps": {}}'])
def test_damaged_state_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(InputError, match=r"state\.json: not the state of a run"):
        RunFolder(tmp_path).read(SearchRecord)


def test_plain_progress_says_what_is_left(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgenas.run.progress.PLAIN_INTERVAL", 0.0)
    with Progress() as progress, progress.task("search", 3, done=1) as task:
        time.sleep(0.01)
        task.advance(note="best 0.5")
        task.advance()
        task.update(3)
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert lines[0] == "  search: 2/3, 0 s left, best 0.5"
    assert lines[1] == "  search: 3/3"
    assert captured.out == ""


def test_quiet_progress_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(quiet=True) as progress, progress.task("search", 1) as task:
        task.advance()
        progress.say("hello")
    assert capsys.readouterr() == ("", "")


def test_a_file_system_without_locks_is_told_and_another_process_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunFolder(tmp_path), pytest.raises(WorkError, match="another process works on this run"):
        RunFolder(tmp_path).__enter__()

    def no_locks(file: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with RunFolder(tmp_path):
        assert "its file system has no locks. See that no other process works on this run" in capsys.readouterr().err
