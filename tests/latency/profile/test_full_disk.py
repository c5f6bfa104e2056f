"""A disk that fills up while a table is measured: a clear error, and the same command goes on where it stopped."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from edgenas.export.files import write_atomically
from edgenas.latency.measure.journal import Journal
from edgenas.latency.measure.quiet import QuietSettings
from edgenas.latency.profile.profiler import profile_space
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.spaces.errors import WorkError
from edgenas.spaces.space.search_space import SearchSpace

SETTINGS = QuietSettings(visits=2, max_visits=3)


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


class FullAfter:
    """A journal's file on a disk with room for so many lines; half a line more is written, as disks do."""

    def __init__(self, file: object, lines: int) -> None:
        self.file, self.left = file, lines

    def write(self, text: str) -> None:
        if self.left == 0:
            self.file.write(text[: len(text) // 2])
            self.file.flush()
            full()
        self.left -= 1
        self.file.write(text)

    def flush(self) -> None:
        self.file.flush()

    def close(self) -> None:
        self.file.close()


def run(space: SearchSpace, device: object, path: Path) -> object:
    return profile_space(space, device, precision="int8", table_path=path, settings=SETTINGS)


def test_a_full_disk_under_the_journal(tmp_path: Path, space: SearchSpace, server, monkeypatch: pytest.MonkeyPatch):
    device = server()
    path, enter = tmp_path / "t.csv", Journal.__enter__

    def small(journal: Journal) -> Journal:
        enter(journal)
        journal._file = FullAfter(journal._file, 100)
        return journal

    with monkeypatch.context() as disk:
        disk.setattr(Journal, "__enter__", small)
        with pytest.raises(WorkError, match=r"No space left.*kept.*same command again"):
            run(space, device, path)
    assert not path.exists()
    measured = device.visits
    result = run(space, device, path)
    assert result.failed == {}
    reference = device.visits
    run(space, device, tmp_path / "other.csv")
    # What the journal kept was not measured again.
    assert reference - measured < device.visits - reference
    assert np.isfinite([row.latency_ms for row in LatencyTable.load(path).rows.values()]).all()


def test_a_full_disk_under_the_table(tmp_path: Path, space: SearchSpace, server, monkeypatch: pytest.MonkeyPatch):
    device = server()
    path = tmp_path / "t.csv"
    with monkeypatch.context() as disk:
        disk.setattr("edgenas.export.files.os.fsync", full)
        with pytest.raises(WorkError, match="No space left"):
            run(space, device, path)
    measured = device.visits
    run(space, device, path)
    assert path.exists()
    # Only the deployed latencies of the calibration networks are taken again, and three tell how slow networks are.
    calibration = LatencyTable.load(path).calibration
    assert calibration is not None
    assert device.visits - measured == calibration.networks + 3


def test_a_full_disk_under_the_models(tmp_path: Path, space: SearchSpace, server, monkeypatch: pytest.MonkeyPatch):
    device = server()
    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_bytes", full)
        with pytest.raises(WorkError, match="TMPDIR"):
            run(space, device, tmp_path / "t.csv")
    assert run(space, device, tmp_path / "t.csv").failed == {}


def test_a_failed_write_leaves_the_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "t.csv"
    write_atomically(path, "old")
    monkeypatch.setattr("edgenas.export.files.os.fsync", full)
    with pytest.raises(WorkError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
