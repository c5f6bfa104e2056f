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
from edgenas.study.errors import LostTrialError, NumberTakenError
from edgenas.study.store import StudyStore, create_study, open_study
from edgenas.study.trial import Trial

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


def begin(store: StudyStore, number: int, *, worker: str) -> Trial:
    """A worker's trial under a number."""
    return store.start(f"0-{number}", (0, number % 3), DECISIONS, seed=7, predicted={}, number=number, worker=worker)


def finish(store: StudyStore, number: int, *, worker: str, reward: float = 0.5) -> Trial:
    """Ends it as complete."""
    return store.complete(
        number, metric="top1", metrics={"top1": 0.5}, reward=reward, seconds=1.0, curve=(0.5,), worker=worker
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

    def test_the_next_number_is_taken_once(self, tmp_path: Path) -> None:
        store, other = create_study(self.url(tmp_path)), open_study(self.url(tmp_path))
        assert begin(store, 0, worker="a").worker == "a"
        _raises(NumberTakenError, lambda: begin(other, 0, worker="b"))
        assert begin(store, 0, worker="a").number == 0  # the same again: its answer may have been lost
        assert begin(other, 1, worker="b").number == 1
        assert [trial.worker for trial in store.trials] == ["a", "b"]
        store.close()
        other.close()

    def test_who_starts_at_the_same_time_gets_different_numbers(self, tmp_path: Path) -> None:
        create_study(self.url(tmp_path)).close()

        def work(name: str) -> None:
            mine = open_study(self.url(tmp_path))
            for _ in range(4):
                while True:
                    try:
                        begin(mine, len(mine.trials), worker=name)
                        break
                    except NumberTakenError:
                        continue
            mine.close()

        threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store = open_study(self.url(tmp_path))
        assert [trial.number for trial in store.trials] == list(range(12))
        assert sorted(trial.worker for trial in store.trials) == [*"aaaabbbbcccc"]
        store.close()

    def test_a_trial_is_ended_by_its_worker_only_and_the_same_end_twice_is_one(self, tmp_path: Path) -> None:
        store = create_study(self.url(tmp_path))
        begin(store, 0, worker="a")
        _raises(LostTrialError, lambda: finish(store, 0, worker="b"))
        assert store.trial(0).state == "running"
        finish(store, 0, worker="a")
        finish(store, 0, worker="a")  # its answer may have been lost
        begin(store, 1, worker="a")
        finish(store, 1, worker="a", reward=-0.0)
        _raises(WorkError, lambda: finish(store, 0, worker="a", reward=0.7))
        open_study(self.url(tmp_path)).close()  # which looks whether all is as it was written
        assert [(trial.state, trial.reward) for trial in store.trials] == [("complete", 0.5), ("complete", 0.0)]
        store.close()

    def test_a_dead_workers_trial_is_taken_over_once(self, tmp_path: Path) -> None:
        store, other = create_study(self.url(tmp_path)), open_study(self.url(tmp_path))
        begin(store, 0, worker="a")
        heard = other.beats
        assert list(heard) == [0]
        taken = other.take_over(0, "b", heard[0])
        assert taken is not None
        assert (taken.worker, taken.attempts, taken.seed) == ("b", 2, 7)
        assert store.beat([0], "a") == (0,)
        assert other.beat([0], "b") == ()
        _raises(LostTrialError, lambda: finish(store, 0, worker="a"))
        assert store.take_over(0, "c", "another time") is None
        finish(other, 0, worker="b")
        assert other.beats == {}
        store.close()
        other.close()

    def test_a_worker_that_comes_back_gets_its_trial(self, tmp_path: Path) -> None:
        store = create_study(self.url(tmp_path))
        begin(store, 0, worker="a")
        begin(store, 1, worker="b")
        store.close()
        again = open_study(self.url(tmp_path))
        back = again.take_back("b")
        assert back is not None
        assert (back.number, back.attempts) == (1, 2)
        assert again.take_back("c") is None
        again.close()

    def test_a_trial_that_is_given_back_is_the_next_ones(self, tmp_path: Path) -> None:
        store = create_study(self.url(tmp_path))
        begin(store, 0, worker="a")
        _raises(LostTrialError, lambda: store.release(0, "b"))
        store.release(0, "a")
        assert store.trial(0).state == "waiting"
        taken = store.claim("b")
        assert taken is not None
        assert (taken.number, taken.worker, taken.attempts) == (0, "b", 2)
        store.close()

    def test_news_are_told_once(self, tmp_path: Path) -> None:
        store, other = create_study(self.url(tmp_path)), open_study(self.url(tmp_path))
        for number in range(3):
            begin(store, number, worker="a")
        assert [trial.number for trial in other.refresh()] == [0, 1, 2]
        finish(store, 1, worker="a")
        assert [(trial.number, trial.state) for trial in other.refresh() if not trial.is_open] == [(1, "complete")]
        assert 1 not in [trial.number for trial in other.refresh()]
        assert len(other.trials) == 3
        finish(other, 0, worker="a")
        _ = other.trials
        assert 0 in [trial.number for trial in other.refresh()]
        store.close()
        other.close()

    def test_what_is_remembered_is_recalled_by_others(self, tmp_path: Path) -> None:
        store, other = create_study(self.url(tmp_path), {"seed": 1}), open_study(self.url(tmp_path))
        store.remember("edgenas:recipe", {"name": "a"})
        assert other.recall("edgenas:recipe") == {"name": "a"}
        assert other.recall("edgenas:nothing") is None
        assert other.facts == {"seed": 1}
        store.close()
        other.close()

    def test_a_lease_has_one_holder_and_a_silent_one_loses_it(self, tmp_path: Path) -> None:
        store, other = create_study(self.url(tmp_path), {"seed": 1}), open_study(self.url(tmp_path))
        mine = store.take_lease("board", "a")
        assert other.take_lease("board", "b") == mine
        assert other.take_lease("board 2", "b") != mine
        renewed = store.take_lease("board", "a", mine)
        assert renewed != mine
        assert other.take_lease("board", "b", mine) == renewed, "it was heard of since"
        theirs = other.take_lease("board", "b", renewed)
        assert theirs != renewed
        assert store.take_lease("board", "a", renewed) == theirs, "lost"
        store.end_lease("board", "a")
        assert store.take_lease("board", "a") == theirs
        other.end_lease("board", "b")
        assert store.take_lease("board", "a", renewed) == "", "lost, although nobody has it now"
        assert store.take_lease("board", "a")
        assert store.facts == {"seed": 1}
        store.close()
        other.close()
