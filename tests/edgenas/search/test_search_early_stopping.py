"""Early stopping in the search of a run: what is stopped is recorded, is never a result, and algorithms learn of it."""

from collections.abc import Callable, Iterable

import pytest

from edgenas.search import Observation
from edgenas.search.pruning import EarlyStopping
from edgenas.spaces.errors import WorkError
from edgenas.spaces.space.decision import Decision
from edgenas.study.feed import _observed
from edgenas.study.objectives import Objective
from edgenas.study.study import Study
from edgenas.study.workers import Candidate, Evaluation, Outcome, WorkerPool, outcome_of

EPOCHS = 6
DECISIONS = (Decision("width", ("8", "16")), Decision("depth", ("1", "2")))


def evaluate(candidate: Candidate) -> Evaluation:
    """Even trials are good, odd ones hopeless; stops as the median pruner says."""
    stopping = EarlyStopping("median", EPOCHS, candidate.number, candidate.earlier)
    curve: list[float] = []
    for epoch in range(1, EPOCHS + 1):
        curve.append((0.2 if candidate.number % 2 else 0.6) + 0.2 * (1 - 1 / epoch))
        if stopping.should_stop(curve):
            return Evaluation(curve[-1], tuple(curve), stopped=True)
    return Evaluation(curve[-1], tuple(curve))


def make_evaluator() -> Callable[[Candidate], Evaluation]:
    return evaluate


def curves(count: int) -> dict[int, tuple[float, ...]]:
    earlier: dict[int, tuple[float, ...]] = {}
    for number in range(count):
        earlier[number] = outcome_of(evaluate, Candidate(number, "00", 0, dict(earlier))).curve
    return earlier


def test_the_median_pruner_stops_the_hopeless_after_its_warm_up() -> None:
    lengths = [len(curve) for curve in curves(14).values()]
    assert set(lengths[:5]) == {EPOCHS}
    assert set(lengths[0::2]) == {EPOCHS}
    assert max(lengths[7::2]) < EPOCHS


def test_workers_hand_over_curves() -> None:
    found: list[Outcome] = []
    earlier = curves(10)
    with WorkerPool(make_evaluator, 1) as pool:
        pool.run([Candidate(10, "00", 0, earlier), Candidate(11, "00", 0, earlier)], found.append)
    assert [(outcome.number, outcome.stopped, outcome.error) for outcome in found] == [
        (10, False, None),
        (11, True, None),
    ]
    assert len(found[0].curve) == EPOCHS
    assert 1 <= len(found[1].curve) < EPOCHS


def test_an_evaluator_may_return_a_number_or_fail() -> None:
    def fail(candidate: Candidate) -> float:
        raise WorkError("out of memory")

    assert outcome_of(lambda candidate: 0.5, Candidate(0, "", 0)) == Outcome(0, 0.0, score=0.5)
    assert outcome_of(fail, Candidate(0, "", 0)).error == "out of memory"


def stopped_study(path: str, numbers: Iterable[int]) -> Study:
    study = Study.create(path)
    for number in numbers:
        study.start("00", (0, number % 2), DECISIONS, seed=0, predicted={"macs": 1.0})
    return study


def test_a_stopped_trial_is_kept_and_never_a_result(tmp_path) -> None:
    path = str(tmp_path / "study.db")
    study = stopped_study(path, range(2))
    study.complete(0, metric="top1", metrics={"top1": 0.6}, reward=0.6, seconds=1.0, curve=(0.5, 0.6))
    trial = study.stop(1, curve=(0.1, 0.2), expected_reward=0.3, error="stopped after 2 of 6 epochs", seconds=1.0)
    study.close()
    reopened = Study.open(path)
    assert reopened.trial(1) == trial
    assert (trial.state, trial.top1, trial.reward, trial.curve) == ("stopped", None, None, (0.1, 0.2))
    assert [found.number for found in reopened.ranking] == [0]
    assert reopened.trial(0).curve == (0.5, 0.6)
    reopened.close()


def test_algorithms_hear_where_a_stopped_trial_was_heading(tmp_path) -> None:
    study = stopped_study(str(tmp_path / "study.db"), range(1))
    expected = Objective("absolute", {}).reward(0.3, {})
    trial = study.stop(0, curve=(0.1, 0.2), expected_reward=expected, error="stopped", seconds=1.0)
    study.close()
    assert _observed(trial, pending=False) == Observation(0, (0, 0), "complete", pytest.approx(0.3))
    assert _observed(trial, pending=True) == Observation(0, (0, 0))
