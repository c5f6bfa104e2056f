"""Screening by a model, extrapolation of learning curves, early stopping."""

import numpy as np
import pytest

from edgenas.search import create_algorithm
from edgenas.search.algorithm import Algorithm
from edgenas.search.conformance import AlgorithmConformance, grid_problem, replay
from edgenas.search.models.learning_curves import extrapolate
from edgenas.search.models.screening import Screened, create_screened
from edgenas.search.problem import Problem
from edgenas.search.pruning import PRUNERS, EarlyStopping
from edgenas.spaces.errors import InputError


class TestScreened(AlgorithmConformance):
    trials = 24

    def make(self, problem: Problem, seed: int = 0) -> Algorithm:
        return Screened(problem, seed, "regularized_evolution", {"population": 6}, screen=8)


def test_screening_improves_random_search() -> None:
    problem = grid_problem(40)
    best = {
        screen: np.mean(
            [
                max(t.score for t in replay(create_screened("random", problem, seed, {}, screen), 40))
                for seed in range(6)
            ]
        )
        for screen in (None, 20)
    }
    assert best[20] > best[None] + 0.02


def test_nothing_is_screened_before_the_model_knows_enough() -> None:
    problem = grid_problem(40)
    plain, screened = create_algorithm("random", problem, 1), create_screened("random", problem, 1, {}, 5)
    assert [trial.choices for trial in replay(plain, 10)] == [trial.choices for trial in replay(screened, 10)]


def test_screen_must_compare_something() -> None:
    with pytest.raises(InputError, match="at least 2"):
        create_screened("random", grid_problem(5), 0, {}, 1)


@pytest.mark.parametrize("rate", [0.3, 1.0, 2.0])
def test_power_laws_are_extrapolated_within_their_uncertainty(rate: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        limit = rng.uniform(0.6, 0.95)
        truth = limit - 0.4 * np.arange(1, 31.0) ** -rate
        found = extrapolate(np.clip(truth[:8] + 0.003 * rng.normal(size=8), 0, 1), 30)
        assert abs(found.mean - truth[-1]) < max(3 * found.deviation, 0.02)


def test_more_epochs_leave_less_uncertainty() -> None:
    curve = [0.9 - 0.5 * step**-0.8 for step in range(1, 20)]
    deviations = [extrapolate(curve[:count], 20).deviation for count in (1, 4, 10, 19)]
    assert deviations == sorted(deviations, reverse=True)
    assert extrapolate(curve[:5], 5).deviation == 0


@pytest.mark.parametrize(("curve", "end"), [([], 3), ([0.5, float("nan")], 3), ([50.0], 3), ([0.1, 0.2], 1)])
def test_what_is_no_curve_is_refused(curve: list[float], end: int) -> None:
    with pytest.raises(InputError):
        extrapolate(curve, end)


def curves(count: int, epochs: int) -> dict[int, list[float]]:
    """Trials of growing quality."""
    return {n: [0.3 + 0.02 * n + 0.3 * (1 - step**-0.7) for step in range(1, epochs + 1)] for n in range(count)}


@pytest.mark.parametrize("pruner", [name for name in PRUNERS if name != "none"])
def test_a_hopeless_candidate_is_stopped_and_a_record_is_not(pruner: str) -> None:
    earlier = curves(12, 9)
    stopped = {}
    for name, offset in (("bad", 0.1), ("good", 0.6)):
        stopping = EarlyStopping(pruner, 9, 12, earlier)
        curve = [offset + 0.35 * (1 - step**-0.7) for step in range(1, 10)]
        stopped[name] = [step for step in range(1, 10) if stopping.should_stop(curve[:step])]
    assert stopped["bad"]
    assert not stopped["good"]


def test_early_stopping_is_the_same_again() -> None:
    for pruner in PRUNERS:
        runs = []
        for _ in range(2):
            stopping = EarlyStopping(pruner, 9, 12, curves(12, 9))
            runs.append([stopping.should_stop([0.6] * step) for step in range(1, 10)])
        assert runs[0] == runs[1]
        assert runs[0][-1] is False


def test_an_unknown_pruner_is_named() -> None:
    with pytest.raises(InputError, match="median, successive_halving"):
        EarlyStopping("halving", 5, 0, {})
