"""Architectures that use the budget up: some decisions are given, all others as expensive as the limits allow.

From all cheapest, the free decisions are raised by one option in turn, in the order of the space, until all are at
their most expensive option; the most expensive architecture on that path that keeps every limit is the *filling*.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgenas.search.models.encoding import option_counts
from edgenas.search.problem import Population, Problem

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fillings:
    """Fillings of N partly given architectures.

    Attributes:
        rows: (N, decisions); meaningless where not ``possible``.
        possible: (N,) whether any architecture on the path keeps the limits.
        dearest: (N,) :meth:`BudgetFilling.cost` with all free decisions at their most expensive option.
    """

    rows: Population
    possible: npt.NDArray[np.bool_]
    dearest: Floats


class BudgetFilling:
    """Fills the budget of a problem."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.counts = option_counts(problem.space)
        cheapest = np.zeros(len(self.counts), np.int16) if problem.cheapest is None else problem.cheapest
        self.base: Population = self.repaired(np.asarray(cheapest, np.int16)[None])[0]
        self._by_cost = [self._options_by_cost(decision) for decision in range(len(self.counts))]

    def fill(self, rows: Population, free: Sequence[int]) -> Fillings:
        """The fillings of (N, decisions) rows, whose ``free`` decisions may hold anything."""
        path = self._path(free)
        expanded = np.repeat(rows, len(path), axis=0)
        expanded[:, list(free)] = np.tile(path, (len(rows), 1))
        expanded = self.repaired(expanded)
        shape = (len(rows), len(path))
        fits = self._problem.feasible(expanded).reshape(shape)
        costs = self.cost(expanded).reshape(shape)
        # The most expensive; of equally expensive ones the last, because raising an option should not be for nothing.
        best = len(path) - 1 - np.where(fits, costs, -np.inf)[:, ::-1].argmax(axis=1)
        filled = expanded.reshape(*shape, -1)[np.arange(len(rows)), best]
        return Fillings(filled, np.asarray(fits.any(axis=1)), costs[:, -1])

    def cost(self, rows: Population) -> Floats:
        """(N,) the largest share of a limit that is used; the first cost where nothing is limited; else 0."""
        costs = self._problem.costs(rows) if len(rows) else {}
        if not costs:
            return np.zeros(len(rows))
        limits = {name: limit for name, limit in self._problem.limits.items() if math.isfinite(limit)}
        if not limits:
            return np.asarray(next(iter(costs.values())), np.float64)
        return np.asarray(np.max([np.asarray(costs[name]) / limit for name, limit in limits.items()], axis=0))

    def repaired(self, rows: Population) -> Population:
        """Rows crossed with themselves: what their choices make inactive or forbid is put right."""
        return self._problem.space.crossover(np.random.default_rng(0), rows, rows)

    def _options_by_cost(self, decision: int) -> npt.NDArray[np.intp]:
        """Options from cheap to expensive, the other decisions being cheap; equally expensive ones in order."""
        rows = np.repeat(self.base[None], self.counts[decision], axis=0)
        rows[:, decision] = np.arange(self.counts[decision])
        return np.argsort(np.nan_to_num(self.cost(self.repaired(rows)), nan=math.inf), kind="stable")

    def _path(self, free: Sequence[int]) -> Population:
        """(steps, free decisions) options from all cheapest to all most expensive."""
        current = [0] * len(free)
        ranks = [list(current)]
        for rank in range(1, max((self.counts[decision] for decision in free), default=1)):
            for place, decision in enumerate(free):
                if rank < self.counts[decision]:
                    current[place] = rank
                    ranks.append(list(current))
        options = np.array(ranks, np.intp).reshape(len(ranks), len(free))
        for place, decision in enumerate(free):
            options[:, place] = self._by_cost[decision][options[:, place]]
        return options.astype(np.int16)
