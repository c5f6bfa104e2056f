"""Which scored networks are trained alone: the best by their scores, corrected by what the trainings so far brought.

A score with shared weights errs in ways that have to do with what a network is made of. Each short training tells by
how much; a regressor of those differences moves the scores of the networks that are still to come.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgenas.search.algorithm import Algorithm
from edgenas.search.models.encoding import marked_options, option_counts
from edgenas.search.problem import Population, Problem
from edgenas.search.sampling import random_feasible
from edgenas.study.cost_names import split_name
from edgenas.supernet.features import NetworkFeatures
from edgenas.supernet.ridge import fit_ridge

Floats = npt.NDArray[np.float64]

#: Those suggested differ from each other in this share of the decisions: as far as training can tell, neighbours are
#: one network. Nearer ones come when there are no others.
APART = 1 / 12
_LEAST_APART = 2
#: The last trial is one that takes at most this share of the budgets that are measured, when all before take more: on a
#: device that is busy at the end of a search, those at the budget cannot be shipped.
SPARE = 0.85
_MEASURED = ("latency_ms", "energy_mj")


class BestScored(Algorithm):
    """Suggests scored networks, best first; before them, some random ones to check the ranking on.

    Args:
        problem: space, costs and limits.
        seed: as for any algorithm.
        features: of networks, which corrections are learnt from.
        rows: (N, decisions) scored networks within the budget.
        rewards: (N,) of these, with the supernet's score as quality.
        checks: (M, decisions) networks that are trained first, whatever their score.
    """

    def __init__(
        self,
        problem: Problem,
        seed: int,
        features: NetworkFeatures,
        rows: Population,
        rewards: Floats,
        checks: Population,
    ) -> None:
        super().__init__(problem, seed)
        self._features, self._rows, self._rewards, self._checks = features, rows, rewards, checks
        self._counts = np.array(option_counts(problem.space))
        self._matrix = np.concatenate([features.matrix(rows), rewards[:, None]], axis=1)
        self._place = {tuple(row.tolist()): number for number, row in enumerate(rows)}
        self._used = _used(problem, rows)

    def propose(self, rng: np.random.Generator) -> Population | None:
        seen = self.seen
        for row in self._checks:
            if tuple(row.tolist()) not in seen:
                return row
        fresh = np.array([tuple(row.tolist()) not in seen for row in self._rows], bool)
        if not fresh.any():
            rows = random_feasible(self.problem, rng, seen)
            return rows[0] if len(rows) else None
        expected = np.where(fresh, self.expected(), -np.inf)
        spare = fresh & (self._used <= SPARE)
        if self._lacks_spare() and spare.any():
            return self._rows[int(np.argmax(np.where(spare, expected, -np.inf)))]
        far = fresh & self._far()
        return self._rows[int(np.argmax(np.where(far, expected, -np.inf) if far.any() else expected))]

    def expected(self) -> Floats:
        """(N,) rewards that the scored networks are expected to have after a short training."""
        known = [(self._place[trial.choices], trial.score) for trial in self.complete if trial.choices in self._place]
        if not known:
            return self._rewards
        places = np.array([place for place, _ in known])
        differences = np.array([reward for _, reward in known]) - self._rewards[places]
        return self._rewards + fit_ridge(self._matrix[places], differences).predict(self._matrix)

    def _lacks_spare(self) -> bool:
        """Whether only one trial is left, and all before are near their budget."""
        if not 1 < self.problem.trials == len(self.history) + 1:
            return False
        return bool((_used(self.problem, self.history.population) > SPARE).all())

    def _far(self) -> npt.NDArray[np.bool_]:
        """(N,) which networks are unlike all that were suggested."""
        if not len(self.history):
            return np.ones(len(self._rows), bool)
        space, counts = self.problem.space, self._counts.tolist()
        own, taken = (marked_options(space, counts, rows) for rows in (self._rows, self.history.population))
        different = (own[:, None, :] != taken[None, :, :]).sum(axis=2)
        return np.asarray((different >= max(_LEAST_APART, APART * len(counts))).all(axis=1))


def _used(problem: Problem, rows: Population) -> Floats:
    """(N,) the largest share that networks take of the budgets that are measured."""
    names = [name for name in problem.limits if split_name(name)[0] in _MEASURED]
    if not names or not len(rows):
        return np.zeros(len(rows))
    costs = problem.costs(rows)
    return np.asarray(np.max([np.asarray(costs[name]) / problem.limits[name] for name in names], axis=0))
