"""The default: a Gaussian process that learns which decisions matter, climbed towards the best expected improvement.

It starts with random architectures within the budget, far from each other, because the first model needs contrast,
and with some that use the budget up evenly but for one decision (*fillings*), because good ones are often near it.
After that every suggestion maximises the expected improvement over random architectures,
neighbours of the best trials, and what crossing and mutating the most promising of them brings, all within the budget:
costs are exact and free, so no evaluation goes to a candidate that could not be a result.

It takes nothing for granted about the space: not that the largest is the best, nor that options are ordered.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edgenas.search.algorithm import Algorithm, register_algorithm
from edgenas.search.algorithms.budget_filling import BudgetFilling
from edgenas.search.models.acquisition import climb, log_expected_improvement
from edgenas.search.models.encoding import marked_options, option_counts
from edgenas.search.models.surrogate import Surrogate
from edgenas.search.problem import Population, Problem
from edgenas.search.sampling import random_feasible, unseen
from edgenas.spaces.errors import InputError

STARTS = 16
"""Best trials whose neighbours are considered."""
SPREAD = 8
"""Random architectures of which the farthest from all trials is taken."""
MIXED = 16
"""Every other one of so many first trials is a filling; of a short search, of its first third."""
FILLINGS_UNTIL = 100
"""Up to so many trials, fillings are among the candidates."""
LIKELY = 0.4
"""Architectures that evaluate with a lower probability, as failures so far tell, are left alone..."""
DARING_EVERY = 8
"""...but for one suggestion in so many, since what failed by chance must not be lost."""
UNLIKELY = -1e4
"""Takes the place of the logarithm of an improvement that is not to be sought."""
MOST_VARIED = 16
"""Decisions for which there are fillings, at most."""


@dataclass(frozen=True)
class AutoOptions:
    """``start``: random trials before the model takes over; None: a quarter of all trials, between 4 and 8."""

    start: int | None = None

    def __post_init__(self) -> None:
        if self.start is not None and self.start < 2:
            raise InputError(f"start must be at least 2, found {self.start}")


@register_algorithm("auto")
class Auto(Algorithm):
    """Bayesian optimisation within an exact budget; random until ``start`` trials have been started."""

    Options = AutoOptions

    def __init__(self, problem: Problem, seed: int, options: AutoOptions | None = None) -> None:
        super().__init__(problem, seed, options)
        self._counts = option_counts(problem.space)
        self._surrogate = Surrogate(problem.space, self._counts)

    @property
    def start(self) -> int:
        """Number of random trials at the beginning."""
        return self.options.start or min(max(self.problem.trials // 4, 4), 8)

    @property
    def mixed(self) -> int:
        """Number of first trials of which every other one is a filling."""
        return min(MIXED, self.problem.trials // 3)

    def propose(self, rng: np.random.Generator) -> Population | None:
        history = self.history
        if len(history) % 2 and len(history) < self.mixed:
            row = self._filling()
            if row is not None:
                return row
        enough = self.start <= len(history) - history.failed.sum() or 2 * self.start <= len(history)
        if len(history.complete) >= 2 and enough:
            row = self._promising(rng)
            if row is not None:
                return row
        return self._spread(rng)

    def _promising(self, rng: np.random.Generator) -> Population | None:
        model = self._surrogate.condition(self.history)
        careful = len(self.history) % DARING_EVERY != 0

        def score(population: Population) -> npt.NDArray[np.float64]:
            found = model.predict(population)
            improvement = log_expected_improvement(found.mean, found.deviation, found.best)
            unlikely = (found.success < LIKELY) & careful
            return np.where(unlikely, UNLIKELY, improvement) + np.log(found.success)

        starts = np.array([trial.choices for trial in self.history.best(STARTS)], np.int16)
        if len(self.history) <= FILLINGS_UNTIL:
            starts = np.concatenate([self._fillings, starts])
        return climb(self.problem, rng, score, starts, self.history.keys)

    def _filling(self) -> Population | None:
        """One with the first decision given, in random order as LayerNAS has them; then those of other decisions."""
        order = np.random.default_rng(self.seed).permutation(len(self._fillings))
        rows = self._fillings[order[np.argsort(self._given[order] > 0, kind="stable")]]
        found = unseen(self.problem, rows, self.seen, 1)
        return found[0] if found else None

    @property
    def _fillings(self) -> Population:
        return self._filled[0]

    @property
    def _given(self) -> npt.NDArray[np.intp]:
        return self._filled[1]

    @cached_property
    def _filled(self) -> tuple[Population, npt.NDArray[np.intp]]:
        """(N, decisions) fillings of the budget, for every option of a decision, and (N,) that decision."""
        filling = BudgetFilling(self.problem)
        found, given = [], []
        for decision in self._varied:
            rows = np.repeat(filling.base[None], self._counts[decision], axis=0)
            rows[:, decision] = np.arange(self._counts[decision])
            filled = filling.fill(rows, [other for other in range(len(self._counts)) if other != decision])
            found.append(filled.rows[filled.possible])
            given.append(np.full(len(found[-1]), decision))
        return np.concatenate(found), np.concatenate(given)

    @property
    def _varied(self) -> list[int]:
        """The first decision and others at random: as many as fillings are quickly found for."""
        order = np.random.default_rng(self.seed).permutation(len(self._counts))
        return sorted({0, *(int(decision) for decision in order[: MOST_VARIED - 1])})

    def _spread(self, rng: np.random.Generator) -> Population | None:
        """Of some random feasible architectures the one that is farthest from all trials."""
        rows = random_feasible(self.problem, rng, self.seen, count=SPREAD)
        if not len(rows):
            return None
        if not len(self.history):
            return np.asarray(rows[0])
        options = marked_options(self.problem.space, self._counts, rows)
        tried = marked_options(self.problem.space, self._counts, self.history.population[-64:])
        scale = np.maximum(np.asarray(self._counts) - 1, 1)
        difference = np.abs(options[:, None] - tried[None]) / scale
        distance = (difference + (difference > 0)).sum(axis=2).min(axis=1)
        return rows[int(np.argmax(distance))]
