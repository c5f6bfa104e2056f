"""Leases in a study: two processes never use one board at once, and a dead one's lease expires."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edgenas.spaces.errors import WorkError
from edgenas.study.errors import LostLeaseError
from edgenas.study.leases import Lease
from edgenas.study.store import create_study, open_study

#: Measures on a stand-in for a board: writes when it begins and ends.
MEASURE = """
import os, sys, time
from edgenas.study.leases import Lease
from edgenas.study.store import open_study

store = open_study(sys.argv[1])
for _ in range(int(sys.argv[3])):
    with Lease(store, "board", beat_seconds=0.2, grace_seconds=2.0):
        for word in ("begins", "ends"):
            with open(sys.argv[2], "a") as log:
                log.write(f"{word} {os.getpid()}\\n")
            time.sleep(0.05 if len(sys.argv) < 5 else float(sys.argv[4]))
"""


def start(url: str, log: Path, times: int, *seconds: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", MEASURE, url, str(log), str(times), *seconds])


@pytest.fixture
def url(tmp_path: Path) -> str:
    place = f"sqlite:///{tmp_path / 'study.db'}"
    create_study(place).close()
    return place


def test_two_processes_never_measure_on_one_board_at_once(url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    running = [start(url, log, 4) for _ in range(2)]
    assert [process.wait(120) for process in running] == [0, 0]
    lines = [line.split() for line in log.read_text().splitlines()]
    assert len(lines) == 16
    for begins, ends in zip(lines[::2], lines[1::2], strict=True):
        assert (begins[0], ends[0], begins[1]) == ("begins", "ends", ends[1])
    assert len({pid for _, pid in lines}) == 2


def test_a_dead_holders_lease_expires(url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    holder = start(url, log, 1, "60")
    while not log.exists():
        time.sleep(0.05)
    holder.kill()
    holder.wait()
    store, said = open_study(url), list[str]()
    began = time.monotonic()
    with Lease(store, "board", beat_seconds=0.1, grace_seconds=0.6, say=said.append):
        assert time.monotonic() - began >= 0.6
    assert "board is in use: waiting until" in said[0]
    assert f"-{holder.pid}-" in said[0]
    store.close()


def test_a_live_holder_is_waited_for_until_patience_ends(url: str) -> None:
    store, other = open_study(url), open_study(url)
    with (
        Lease(store, "board", "a", beat_seconds=0.1, grace_seconds=0.5),
        pytest.raises(WorkError, match="board is in use: a has its lease"),
        Lease(other, "board", "b", beat_seconds=0.1, grace_seconds=0.5, patience_seconds=1.2),
    ):
        pass
    with Lease(other, "board", "b", beat_seconds=0.1, grace_seconds=0.5):
        pass
    store.close()
    other.close()


def test_who_lost_a_lease_hears_of_it(url: str) -> None:
    store, other = open_study(url), open_study(url)
    with Lease(store, "board", "a", beat_seconds=0.1) as mine:
        beat = other.take_lease("board", "b")
        while (found := other.take_lease("board", "b", beat)).startswith("a"):
            beat = found
        other.end_lease("board", "b")
        _wait(lambda: mine.lost)
        with pytest.raises(LostLeaseError, match="measure again"):
            mine.__exit__(None, None, None)
        mine.lost = False
    store.close()
    other.close()


def _wait(what: object) -> None:
    deadline = time.monotonic() + 10
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_measurements_of_a_shared_run_hold_leases(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgenas.devices.lock import exclusive
    from edgenas.run.device_leases import leased_devices

    monkeypatch.setenv("EDGENAS_HOME", str(tmp_path / "one-machine"))
    other = open_study(url)

    class Context:
        class recipe:  # noqa: N801
            name = "demo"

            class search:  # noqa: N801
                study = url

        class progress:  # noqa: N801
            say = staticmethod(print)

    with leased_devices(Context()):  # type: ignore[arg-type]
        with exclusive("board", ["ssh me@board"]), exclusive("board", ["ssh me@board"]):
            assert not other.take_lease("ssh me@board", "another machine").startswith("another machine")
        with exclusive("cpu", ["this-machine"]):
            assert other.take_lease("this-machine", "another machine").startswith("another machine")
        assert other.take_lease("ssh me@board", "another machine").startswith("another machine")
        done: list[float] = []

        def measure() -> None:
            with exclusive("board", ["ssh me@board"]):
                done.append(time.monotonic())

        thread = threading.Thread(target=measure)
        thread.start()
        time.sleep(0.8)
        assert not done
        other.end_lease("ssh me@board", "another machine")
        thread.join(10)
        assert done
    with exclusive("board", ["ssh me@board"]):
        assert other.take_lease("ssh me@board", "another machine").startswith("another machine")
    other.close()
