"""The default: a Gaussian process that learns which decisions matter, climbed towards the best expected improvement.

It starts with a few random architectures within the budget, spread over decisions and over cost, because the first
model needs contrast. After that every suggestion maximises the expected improvement over random architectures,
neighbours of the best trials, and what crossing and mutating the most promising of them brings, all within the budget:
costs are exact and free, so no evaluation goes to a candidate that could not be a result.

It takes nothing for granted about the space: not that the largest is the best, nor that options are ordered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgenas.search.acquisition import climb, log_expected_improvement
from edgenas.search.algorithm import Algorithm, register_algorithm
from edgenas.search.encoding import marked_options, option_counts, row_keys
from edgenas.search.problem import Population, Problem
from edgenas.search.sampling import random_feasible
from edgenas.search.surrogate import Surrogate
from spaces.errors import InputError

STARTS = 16
"""Best trials whose neighbours are considered."""


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

    def propose(self, rng: np.random.Generator) -> Population | None:
        trials = self.trials
        complete = [trial for trial in trials if trial.state == "complete" and trial.reward is not None]
        if len(complete) >= 2 and sum(trial.state != "failed" for trial in trials) >= self.start:
            row = self._promising(rng)
            if row is not None:
                return row
        return self._spread(rng)

    def _promising(self, rng: np.random.Generator) -> Population | None:
        trials = self.trials
        model = self._surrogate.condition(trials)

        def score(population: Population) -> npt.NDArray[np.float64]:
            found = model.predict(population)
            return log_expected_improvement(found.mean, found.deviation, found.best) + np.log(found.success)

        best = sorted(self.complete, key=lambda trial: (-trial.score, trial.number))[:STARTS]
        starts = np.array([trial.choices for trial in best], np.int16)
        known = row_keys(np.array([trial.choices for trial in trials], np.int16))
        return climb(self.problem, rng, score, starts, known)

    def _spread(self, rng: np.random.Generator) -> Population | None:
        """Of some random feasible architectures the one that is farthest from all trials."""
        rows = random_feasible(self.problem, rng, self.seen, count=SPREAD)
        if not len(rows):
            return None
        if not self._trials:
            return rows[0]
        options = marked_options(self.problem.space, self._counts, rows)
        tried = marked_options(
            self.problem.space, self._counts, np.array([trial.choices for trial in self.trials[-64:]], np.int16)
        )
        scale = np.maximum(np.asarray(self._counts) - 1, 1)
        difference = np.abs(options[:, None] - tried[None]) / scale
        distance = (difference + (difference > 0)).sum(axis=2).min(axis=1)
        return rows[int(np.argmax(distance))]


SPREAD = 8
"""Random architectures of which the farthest from all trials is taken."""
