"""Several budgets in one search: an algorithm for each of them, which all learn from the trials that keep theirs.

The budgets differ in one limit. Each in turn suggests a trial; one that keeps a smaller budget keeps the larger ones
too, so nothing that is learned at a small budget is lost to the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.search.algorithm import Algorithm
from edgenas.search.history import Observation
from edgenas.search.problem import Population, Problem
from edgenas.study.objectives import Objective, within

Choices = tuple[int, ...]


@dataclass(frozen=True)
class Budgeted:
    """One of the budgets: limits on predicted costs, and the reward that has them as targets."""

    limits: Mapping[str, float]
    objective: Objective


class ObjectiveOfBudgets:
    """The reward of a trial by the first of several budgets that it keeps, so by the smallest; else by the last."""

    def __init__(self, budgets: Sequence[Budgeted]) -> None:
        self.budgets = tuple(budgets)

    def of(self, costs: Mapping[str, float]) -> Objective:
        """The one that counts for these costs."""
        kept = (one.objective for one in self.budgets if within(costs, one.limits))
        return next(kept, self.budgets[-1].objective)

    def reward(self, quality: float, costs: Mapping[str, float]) -> float:
        """As :meth:`edgenas.study.objectives.Objective.reward`."""
        return self.of(costs).reward(quality, costs)


class PerBudget(Algorithm):
    """Suggests for each budget in turn, by an algorithm of its own.

    Args:
        problem: under the largest budget.
        seed: as for any algorithm.
        objective: whose rewards the trials have.
        algorithms: one for each budget, in the same order, each with its own problem.
    """

    def __init__(
        self, problem: Problem, seed: int, objective: ObjectiveOfBudgets, algorithms: Sequence[Algorithm]
    ) -> None:
        super().__init__(problem, seed)
        self._objective = objective
        self._algorithms = tuple(algorithms)
        self._costs: dict[Choices, Mapping[str, float]] = {}

    def propose(self, rng: np.random.Generator) -> Population | None:
        number = self.history.next_number
        for turn in range(len(self._algorithms)):
            place = (number + turn) % len(self._algorithms)
            algorithm = self._algorithms[place]
            algorithm.update(self._heard(place))
            if found := algorithm.suggest(1):
                return np.array(found[0], np.int16)
        return None

    def _heard(self, place: int) -> list[Observation]:
        """The trials that keep a budget, numbered among themselves, with the rewards that they have under it.

        Which trials keep it is known when they start, so that a number never changes.
        """
        budget = self._objective.budgets[place]
        kept = [trial for trial in self.trials if within(self._cost(trial.choices), budget.limits)]
        return [
            Observation(number, trial.choices, trial.state, self._reward(trial, budget.objective))
            for number, trial in enumerate(kept)
        ]

    def _reward(self, trial: Observation, objective: Objective) -> float | None:
        """The reward under another objective; both are linear in the quality."""
        if trial.reward is None:
            return None
        costs = self._cost(trial.choices)
        own = self._objective.of(costs)
        if own == objective:
            return trial.reward
        at_0, at_1 = own.reward(0.0, costs), own.reward(1.0, costs)
        return objective.reward((trial.reward - at_0) / (at_1 - at_0), costs)

    def _cost(self, choices: Choices) -> Mapping[str, float]:
        if choices not in self._costs:
            found = self.problem.costs(np.array([choices], np.int16))
            self._costs[choices] = {name: float(values[0]) for name, values in found.items()}
        return self._costs[choices]
