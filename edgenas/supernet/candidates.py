"""Which networks a trained supernet is asked about: evolution under the budget, or what a controller likes.

Both are algorithms whose trials are scores of the frozen supernet, so they are deterministic and are continued from
the scores that are there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgenas.search.algorithm import Algorithm
from edgenas.search.algorithms.regularized_evolution import EvolutionOptions, RegularizedEvolution
from edgenas.search.models.acquisition import climb
from edgenas.search.models.encoding import marked_options, option_counts
from edgenas.search.problem import Population, Problem
from edgenas.search.sampling import feasible_mutant, random_feasible, unseen
from edgenas.supernet.features import NetworkFeatures
from edgenas.supernet.ridge import fit_ridge

Floats = npt.NDArray[np.float64]

#: Every so manieth suggestion is the regressor's, once there are enough scores.
_PREDICTED_EVERY = 4
_ENOUGH = 24
#: Best networks that the regressor's climb starts from.
_STARTS = 16
_POLICY_DRAWS = (64, 1024)
#: Climbs towards the most probable architecture within the budget.
_CLIMBS = 3


class FrozenEvolution(RegularizedEvolution):
    """Ageing evolution over the scores of a trained supernet; now and then what a regressor of them expects most of."""

    def __init__(self, problem: Problem, seed: int, features: NetworkFeatures) -> None:
        super().__init__(problem, seed, EvolutionOptions())
        self._features = features

    def propose(self, rng: np.random.Generator) -> Population | None:
        known = len(self.history)
        if known % _PREDICTED_EVERY == 0 and len(self.complete) >= max(_ENOUGH, self.population_size):
            row = self._expected_best(rng)
            if row is not None:
                return row
        return super().propose(rng)

    def _expected_best(self, rng: np.random.Generator) -> Population | None:
        finished = self.history.has_reward
        rows, rewards = self.history.population[finished], self.history.rewards[finished]
        model = fit_ridge(self._features.matrix(rows), rewards)

        def score(population: Population) -> Floats:
            return model.predict(self._features.matrix(population))

        starts = np.array([trial.choices for trial in self.history.best(_STARTS)], np.int16)
        return climb(self.problem, rng, score, starts, self.history.keys)


class PolicySamples(Algorithm):
    """What a controller ends with, its most probable architecture within the budget, and samples of what it has learnt.

    Args:
        problem: space, costs and limits.
        seed: as for any algorithm.
        probabilities: (decisions, options) of the controller.
        chosen: (decisions,) what it ends with, if that is known; it comes first where it keeps the budget.
    """

    def __init__(
        self, problem: Problem, seed: int, probabilities: Floats, chosen: npt.NDArray[np.integer] | None = None
    ) -> None:
        super().__init__(problem, seed)
        self._chosen = None if chosen is None else chosen.astype(np.int16)
        self._counts = np.array(option_counts(problem.space))
        self._probabilities = probabilities

    def propose(self, rng: np.random.Generator) -> Population | None:
        first = self._chosen
        if first is not None and tuple(first.tolist()) not in self.seen and self.problem.feasible(first[None])[0]:
            return first
        best = self.most_probable()
        if tuple(best.tolist()) not in self.seen:
            return best
        for count in _POLICY_DRAWS:
            found = unseen(self.problem, self._draw(rng, count), self.seen, 1)
            if found:
                return found[0]
        # A policy that has made up its mind draws the same again and again.
        mutant = feasible_mutant(self.problem, rng, best, self.seen)
        if mutant is not None:
            return mutant
        rows = random_feasible(self.problem, rng, self.seen)
        return rows[0] if len(rows) else None

    def most_probable(self) -> Population:
        """(decisions,) the most probable architecture, or the most probable of those near it that keep the budget."""
        best = self._canonical(self._probabilities.argmax(axis=1).astype(np.int16)[None])
        if self.problem.feasible(best)[0]:
            return best[0]
        rng = np.random.default_rng(self.seed)
        starts, nothing = np.concatenate([best, self._draw(rng, _STARTS)]), np.zeros(0, np.uint64)
        row: Population | None = None
        for _ in range(_CLIMBS):
            row = climb(self.problem, rng, self._log_probability, starts, nothing)
            if row is not None:
                starts = np.concatenate([row[None], starts])
        if row is None:
            return best[0] if self.problem.cheapest is None else self.problem.cheapest
        return row

    def _log_probability(self, rows: Population) -> Floats:
        """(N,) of the decisions that are asked in each."""
        marked = marked_options(self.problem.space, self._counts.tolist(), rows)
        logarithm = np.log(np.maximum(self._probabilities, 1e-12))
        padded = np.concatenate([logarithm, np.zeros((len(logarithm), 1))], axis=1)
        options = np.where(marked < self._counts, marked, padded.shape[1] - 1)
        return np.asarray(padded[np.arange(len(self._counts))[None, :], options].sum(axis=1))

    def _draw(self, rng: np.random.Generator, count: int) -> Population:
        draws = rng.random((count, len(self._counts), 1))
        rows = np.minimum((draws > np.cumsum(self._probabilities, axis=1)).sum(axis=2), self._counts - 1)
        return self._canonical(rows.astype(np.int16))

    def _canonical(self, rows: Population) -> Population:
        # A row crossed with itself is the row, with what its choices make inactive or forbid put right.
        return np.asarray(self.problem.space.crossover(np.random.default_rng(0), rows, rows))
