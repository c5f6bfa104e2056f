"""A worker's name is one process' at a time: another one is refused while it lives, and gets it when it is gone."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgenas.spaces.errors import WorkError
from edgenas.study.errors import NameInUseError
from edgenas.study.lease_rows import PREFIX
from edgenas.study.store import open_study
from edgenas.study.tuning import Tuning
from edgenas.study.worker_names import WorkerName, _machine

SPACE = {"x": [0, 1, 2, 3], "y": [0, 1, 2]}
HOLD = """
import sys, time
from edgenas.study.tuning import Tuning
from edgenas.study.worker_names import WorkerName, _machine

with Tuning({"x": [0, 1, 2, 3], "y": [0, 1, 2]}, study=sys.argv[1], trials=6, worker="a", beat_seconds=0.2,
            grace_seconds=60.0) as tuning:
    print(tuning.suggest().number, flush=True)
    time.sleep(60)
"""


def begin(place: Path, worker: str, **settings: float) -> Tuning:
    return Tuning(SPACE, study=place, trials=6, worker=worker, **({"beat_seconds": 0.2} | settings))


def test_a_name_that_is_at_work_is_refused_and_its_trial_stays_its_own(tmp_path: Path) -> None:
    place = tmp_path / "study.db"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(place)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        number = int(holder.stdout.readline())
        with pytest.raises(NameInUseError, match=rf"another process \(.*-{holder.pid}-.*\) works .* under the name a;"):
            begin(place, "a")
        store = open_study(place)
        assert (store.trial(number).state, store.trial(number).attempts) == ("running", 1)
        with begin(place, "b") as other:
            suggestion = other.suggest()
            assert suggestion is not None
            assert suggestion.number != number
        holder.kill()
        holder.wait()
        began = time.monotonic()
        with begin(place, "a", beat_seconds=20.0) as again:  # whose silence is not waited for
            assert time.monotonic() - began < 15
            back = again.suggest()
            assert back is not None
            assert back.number == number
        assert store.recall(f"{PREFIX}worker a") is None, "the name was given back"
        store.close()
    finally:
        holder.kill()
        holder.wait()


def test_a_name_that_another_machine_had_is_free_after_two_beats_of_silence(tmp_path: Path) -> None:
    place = tmp_path / "study.db"
    begin(place, "b").close()
    store = open_study(place)
    store.take_lease("worker a", "elsewhere-1-abcdef")
    began = time.monotonic()
    begin(place, "a").close()
    assert time.monotonic() - began >= 0.4
    store.close()


def test_who_lost_a_name_ends_nothing_more_under_it(tmp_path: Path) -> None:
    place = tmp_path / "study.db"
    tuning = begin(place, "a")
    suggestion = tuning.suggest()
    assert suggestion is not None
    store = open_study(place)
    found = store.take_lease("worker a", "elsewhere-1-abcdef")
    while not found.startswith("elsewhere"):
        found = store.take_lease("worker a", "elsewhere-1-abcdef", found)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not tuning._desk._name.lost:  # type: ignore[union-attr]
        time.sleep(0.05)
    for use in (tuning.suggest, lambda: tuning.report(suggestion, 1.0)):
        with pytest.raises(WorkError, match="another process works under the name a by now"):
            use()
    tuning.close()
    assert store.trial(suggestion.number).state == "running", "it is not given back in the other's name"
    store.close()


def test_an_object_of_this_process_is_replaced(tmp_path: Path) -> None:
    place = tmp_path / "study.db"
    first = begin(place, "notebook")
    suggestion = first.suggest()
    with begin(place, "notebook") as second:  # the cell was run again
        assert second.suggest() == suggestion
    first.close()


def test_a_name_that_is_given_back_in_between_is_taken() -> None:
    class Store:
        """Its dead holder's lease has gone when it is to be taken over."""

        def __init__(self) -> None:
            self.answers = iter([f"{_machine()}-{2**22 + 1}-abcdef #0", ""])
            self.asked: list[str] = []

        def take_lease(self, name: str, holder: str, known: str = "") -> str:
            self.asked.append(known)
            return next(self.answers, f"{holder} #0")

        def end_lease(self, name: str, holder: str) -> None:
            pass

    store = Store()
    with WorkerName(store, "a", 0.2):  # type: ignore[arg-type]
        pass
    assert store.asked[:3] == ["", f"{_machine()}-{2**22 + 1}-abcdef #0", ""]
