"""Several budgets in one search."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.search import Observation
from edgenas.search.algorithm import create_algorithm
from edgenas.search.per_budget import Budgeted, ObjectiveOfBudgets, PerBudget
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.study.costs import CostModel
from edgenas.study.objectives import Objective

LIMITS = (1_500_000, 3_000_000, 6_000_000)
TRIALS = 12


@pytest.fixture(scope="module")
def costs() -> CostModel:
    return CostModel(SearchSpace.load("tiny_edge"), "int8")


def make(costs: CostModel, algorithm: str) -> PerBudget:
    budgets = [Budgeted({"macs": limit}, Objective("absolute", {"macs": float(limit)})) for limit in LIMITS]
    problems = [costs.problem({"macs": limit}, TRIALS // 3) for limit in LIMITS]
    algorithms = [create_algorithm(algorithm, problem, number) for number, problem in enumerate(problems)]
    return PerBudget(costs.problem({"macs": LIMITS[-1]}, TRIALS), 0, ObjectiveOfBudgets(budgets), algorithms)


def quality(macs: float) -> float:
    return 0.5 + macs / 2e7


def run(costs: CostModel, algorithm: str, upto: int, known: list[Observation] | None = None) -> list[Observation]:
    """Trials one after the other, each finished before the next; from ``known`` on as after an interruption."""
    search, trials = make(costs, algorithm), list(known or ())
    search.update(trials)
    for number in range(len(trials), upto):
        (choices,) = search.suggest(1)
        macs = float(costs.population(np.array([choices], np.int16), ("macs",))["macs"][0])
        reward = search._objective.reward(quality(macs), {"macs": macs})
        trials.append(Observation(number, choices, "complete", reward))
        search.update(trials)
    return trials


@pytest.mark.parametrize("algorithm", ["auto", "regularized_evolution", "random", "layernas"])
def test_each_budget_has_its_turn_and_no_trial_is_over_its_own(costs: CostModel, algorithm: str):
    trials = run(costs, algorithm, TRIALS)
    macs = costs.population(np.array([trial.choices for trial in trials], np.int16), ("macs",))["macs"]
    for number, found in enumerate(macs):
        assert found <= LIMITS[number % 3]
    assert len({trial.choices for trial in trials}) == TRIALS


@pytest.mark.parametrize("algorithm", ["auto", "regularized_evolution"])
def test_a_resumed_search_suggests_the_same(costs: CostModel, algorithm: str):
    whole = run(costs, algorithm, TRIALS)
    assert run(costs, algorithm, TRIALS, whole[:5]) == whole


def test_a_trial_is_heard_of_by_all_budgets_that_it_keeps_with_their_rewards(costs: CostModel):
    search = make(costs, "random")
    trials = run(costs, "random", 6)
    search.update(trials)
    for place, limit in enumerate(LIMITS):
        heard = search._heard(place)
        kept = [t for t in trials if costs.population(np.array([t.choices], np.int16), ("macs",))["macs"][0] <= limit]
        assert [one.choices for one in heard] == [one.choices for one in kept]
        assert [one.number for one in heard] == list(range(len(kept)))
        for one in heard:
            macs = float(costs.population(np.array([one.choices], np.int16), ("macs",))["macs"][0])
            assert one.reward == pytest.approx(quality(macs) - 0.1 * abs(macs / limit - 1))


def test_the_smallest_budget_that_is_kept_rewards():
    objective = ObjectiveOfBudgets([Budgeted({"macs": x}, Objective("absolute", {"macs": float(x)})) for x in (10, 20)])
    assert objective.reward(0.5, {"macs": 10}) == 0.5
    assert objective.reward(0.5, {"macs": 15}) == pytest.approx(0.475)
    assert objective.reward(0.5, {"macs": 40}) == pytest.approx(0.4)
