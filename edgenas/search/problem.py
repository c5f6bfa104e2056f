"""What an algorithm searches: a space, the exact costs of its architectures, and limits on them.

Costs come from a table and are free, so an algorithm never spends an evaluation on a candidate over the budget.
Everything here works on *populations*: integer arrays of shape (N, decisions), one row per architecture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edgenas.spaces.space.population import Population

__all__ = ["Costs", "Population", "Problem", "Space", "no_costs"]

Costs = Callable[[Population], Mapping[str, npt.NDArray[np.float64]]]


class Space(Protocol):
    """The part of :class:`edgenas.spaces.space.SearchSpace` that algorithms use; a tabular benchmark can offer it too.

    Besides these methods it has either ``decisions``, a sequence of objects with ``options``, or ``option_counts``,
    the number of options of every decision. ``crossover`` of a row with itself gives the row, with what its choices
    make inactive set to 0 and what they forbid replaced: algorithms that assemble rows put them right that way. A
    space may have ``active(population)``, (N, decisions) booleans, which is quicker than to find that in ``one_hot``.
    """

    @property
    def size(self) -> int: ...

    def sample(self, rng: np.random.Generator, count: int) -> Population: ...

    def mutate(self, rng: np.random.Generator, population: Population) -> Population: ...

    def crossover(self, rng: np.random.Generator, first: Population, second: Population) -> Population: ...

    def one_hot(self, population: Population) -> npt.NDArray[np.float32]: ...


def no_costs(population: Population) -> Mapping[str, npt.NDArray[np.float64]]:
    """Costs of a problem without a budget."""
    return {}


@dataclass(frozen=True)
class Problem:
    """A space with a budget.

    Attributes:
        space: what can be built.
        trials: how many candidates will be evaluated in all; algorithms size themselves by it.
        costs: population of N -> arrays of N, by name of the cost (unit in the name).
        limits: the most that each of these costs may be.
        cheapest: one architecture within the limits, shape (decisions,), to start from where random sampling
            finds none; None when there is no budget.
    """

    space: Space
    trials: int
    costs: Costs = no_costs
    limits: Mapping[str, float] = field(default_factory=dict)
    cheapest: Population | None = None

    def feasible(self, population: Population) -> npt.NDArray[np.bool_]:
        """Which rows keep every limit. A cost that is NaN (unknown) does not."""
        mask = np.ones(len(population), dtype=bool)
        if not self.limits or not len(population):
            return mask
        costs = self.costs(population)
        for name, limit in self.limits.items():
            mask &= np.asarray(costs[name]) <= limit
        return mask
