"""What every store of studies must keep: a test class for ours and for anybody's.

Use it with pytest::

    class TestMyStore(StoreConformance):
        def url(self, folder): return f"my-service://{folder.name}"
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from edgenas.spaces.errors import EdgeNASError, InputError, WorkError
from edgenas.spaces.space.decision import Decision
from edgenas.study.store import StudyStore, create_study, open_study
from edgenas.study.study import Trial

DECISIONS = (Decision("width", ("8", "16")), Decision("depth", ("1", "2", "3")))


def _raises(kind: type[EdgeNASError], call: Any) -> None:
    try:
        call()
    except kind:
        return
    raise AssertionError(f"expected {kind.__name__}")


def add(store: StudyStore, *choices: int, waiting: bool = False) -> Trial:
    """A trial of these choices."""
    return store.start(
        "-".join(map(str, choices)),
        choices,
        DECISIONS,
        seed=7,
        predicted={"macs": 5.0},
        files="trials/{number}",
        waiting=waiting,
    )


class StoreConformance:
    """Plain asserts; subclasses give a URL of a study that does not exist yet."""

    def url(self, folder: Path) -> Path | str:
        raise NotImplementedError

    def test_what_is_written_is_seen_by_who_opens_it(self, tmp_path: Path) -> None:
        store = create_study(self.url(tmp_path), {"seed": 3, "limits": {"latency_ms@a": 0.5}})
        trial = add(store, 1, 2)
        assert (trial.number, trial.state, trial.choices, trial.files) == (0, "running", (1, 2), "trials/0")
        store.complete(0, metric="top1", metrics={"top1": 0.5}, reward=0.4, seconds=2.0, curve=(0.3, 0.5))
        store.record_measured(0, {"latency_ms": 0.25})
        other = open_study(self.url(tmp_path))
        (read,) = other.trials
        assert (read.state, read.top1, read.reward, read.curve) == ("complete", 0.5, 0.4, (0.3, 0.5))
        assert dict(read.measured) == {"latency_ms": 0.25}
        assert other.facts == {"seed": 3, "limits": {"latency_ms@a": 0.5}}
        store.close()
        other.close()

    def test_a_study_is_made_once_and_opened_only_when_it_is_there(self, tmp_path: Path) -> None:
        _raises(InputError, lambda: open_study(self.url(tmp_path)))
        create_study(self.url(tmp_path)).close()
        _raises(InputError, lambda: create_study(self.url(tmp_path)))

    def test_a_trial_ends_once(self, tmp_path: Path) -> None:
        store = create_study(self.url(tmp_path))
        for choices in ((0, 0), (0, 1), (0, 2)):
            add(store, *choices)
        store.complete(0, metric="top1", metrics={"top1": 0.5}, reward=0.5, seconds=1.0)
        store.fail(1, error="broken", seconds=1.0)
        store.stop(2, curve=(0.1,), expected_reward=0.2, error="slow", seconds=1.0)
        assert [trial.state for trial in store.trials] == ["complete", "failed", "stopped"]
        for number in range(3):
            _raises(WorkError, lambda number=number: store.fail(number, error="again", seconds=1.0))
        _raises(InputError, lambda: store.trial(3))
        store.close()

    def test_a_number_that_is_none_is_refused(self, tmp_path: Path) -> None:
        store = create_study(self.url(tmp_path))
        add(store, 0, 0)
        _raises(
            WorkError, lambda: store.complete(0, metric="top1", metrics={"top1": 0.5}, reward=float("nan"), seconds=1.0)
        )
        assert store.trial(0).state == "running"
        store.close()

    def test_an_interrupted_trial_is_counted_and_goes_on(self, tmp_path: Path) -> None:
        store = create_study(self.url(tmp_path))
        add(store, 0, 0)
        store.close()
        again = open_study(self.url(tmp_path))
        assert again.trial(0).state == "running"
        assert again.retry(0).attempts == 2
        again.close()

    def test_the_ranking_is_by_reward_and_the_earlier_first(self, tmp_path: Path) -> None:
        store = create_study(self.url(tmp_path))
        for number, reward in enumerate((0.2, 0.9, 0.9)):
            add(store, 0, number)
            store.complete(number, metric="top1", metrics={"top1": 0.5}, reward=reward, seconds=1.0)
        assert [trial.number for trial in store.ranking] == [1, 2, 0]
        store.close()

    def test_waiting_trials_are_claimed_in_order_and_once(self, tmp_path: Path) -> None:
        store, other = create_study(self.url(tmp_path)), open_study(self.url(tmp_path))
        for choices in ((0, 0), (0, 1), (0, 2)):
            assert add(store, *choices, waiting=True).state == "waiting"
        claimed = [other.claim(), store.claim(), other.claim(), store.claim()]
        assert [trial and trial.number for trial in claimed] == [0, 1, 2, None]
        assert [trial.state for trial in store.trials] == ["running"] * 3
        store.complete(2, metric="top1", metrics={"top1": 0.5}, reward=0.5, seconds=1.0)
        assert other.trial(2).state == "complete"
        store.close()
        other.close()

    def test_who_claims_at_the_same_time_gets_different_trials(self, tmp_path: Path) -> None:
        store = create_study(self.url(tmp_path))
        for number in range(6):
            add(store, number % 2, number % 3, waiting=True)
        store.close()
        taken: list[int] = []

        def work() -> None:
            mine = open_study(self.url(tmp_path))
            while (trial := mine.claim()) is not None:
                taken.append(trial.number)
            mine.close()

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == list(range(6))
