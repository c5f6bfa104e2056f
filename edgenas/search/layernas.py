"""LayerNAS (arXiv 2304.11517): one layer after the other, the best of every cost bucket kept.

A *layer* is a decision, in the order of the space. A pass over the layers keeps a set of architectures, at first one.
For each layer, the children of every kept architecture are its copies with each option at that layer; all children
are evaluated; they are grouped into buckets by cost, and the child with the best reward of each bucket is kept. Cost
never enters the reward: it decides the bucket, and whether the budget can still be met.

**Default of later layers.** Where the paper gives layers that are not searched yet their most expensive option, a
child here gets the most expensive completion *within the budget*: from the cheapest to the most expensive option, all
later layers are raised in turn as far as the limits allow. Children whose cheapest completion is over the budget are
dropped. So every candidate is within the budget. The cost that decides the bucket is the paper's, with the most
expensive option in all later layers, because completed children cost nearly the same. The bucket's index is
floor((cost - least) * buckets / (most - least)) over the children of the layer.

After the last layer another pass begins with what was kept; its children keep their later layers, and those over the
budget are dropped. When a pass has nothing new, neighbours of the best trials follow.

Where the search stands is computed from the trials at every suggestion, so it resumes in the middle of a layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgenas.search.algorithm import Algorithm, Observation, register_algorithm
from edgenas.search.encoding import fresh_rows, option_counts
from edgenas.search.problem import Population, Problem
from edgenas.search.sampling import feasible_mutant, random_feasible
from spaces.errors import InputError

Floats = npt.NDArray[np.float64]
Choices = tuple[int, ...]
MOST_PASSES = 1000


@dataclass(frozen=True)
class LayerNASOptions:
    """``buckets``: cost buckets (H of the paper); None: as many as let all layers be searched once in the trials."""

    buckets: int | None = None

    def __post_init__(self) -> None:
        if self.buckets is not None and self.buckets < 1:
            raise InputError(f"buckets must be at least 1, found {self.buckets}")


@dataclass(frozen=True)
class _Child:
    """A candidate of a layer: what is evaluated, and the cost that decides its bucket."""

    choices: Choices
    cost: float


@register_algorithm("layernas")
class LayerNAS(Algorithm):
    """Layerwise search with cost buckets; the order of the children within a layer is random."""

    Options = LayerNASOptions

    def __init__(self, problem: Problem, seed: int, options: LayerNASOptions | None = None) -> None:
        super().__init__(problem, seed, options)
        self._counts = option_counts(problem.space)
        self._base = self._start()
        self._ranks = self._options_by_cost()
        self._children_of: dict[tuple[int, bool, tuple[Choices, ...]], list[_Child]] = {}

    @property
    def buckets(self) -> int:
        """How many architectures a layer keeps at most."""
        return self.options.buckets or max(1, self.problem.trials // max(sum(self._counts), 1))

    def propose(self, rng: np.random.Generator) -> Population | None:
        found = self._next_child()
        if found is not None:
            return np.array(found, np.int16)
        seen = self.seen
        for trial in sorted(self.complete, key=lambda trial: (-trial.score, trial.number))[:8]:
            mutant = feasible_mutant(self.problem, rng, np.array(trial.choices, np.int16), seen)
            if mutant is not None:
                return mutant
        rows = random_feasible(self.problem, rng, seen)
        return rows[0] if len(rows) else None

    def _next_child(self) -> Choices | None:
        """The first child that was not suggested yet, going through the passes and layers with what is known now."""
        known = {trial.choices: trial for trial in self._trials.values()}
        kept: tuple[Choices, ...] = (self._base,)
        for number in range(MOST_PASSES):
            before = kept
            for layer in range(len(self._counts)):
                children = self._children(layer, number == 0, kept)
                order = np.random.default_rng([self.seed, number, layer]).permutation(len(children))
                for place in order:
                    if children[place].choices not in known:
                        return children[place].choices
                kept = self._best_of_buckets(children, known) or kept
            if number and kept == before:
                return None
        return None

    def _children(self, layer: int, first_pass: bool, parents: tuple[Choices, ...]) -> list[_Child]:
        """Within the budget, without duplicates, in the order of parents and options."""
        key = (layer, first_pass, parents)
        if key not in self._children_of:
            if len(self._children_of) > 64 * len(self._counts):
                self._children_of.clear()
            rows = np.repeat(np.array(parents, np.int16), self._counts[layer], axis=0)
            rows[:, layer] = np.tile(np.arange(self._counts[layer]), len(parents))
            self._children_of[key] = self._complete(layer, rows) if first_pass else self._within(rows)
        return self._children_of[key]

    def _within(self, rows: Population) -> list[_Child]:
        rows = fresh_rows(self._repaired(rows), np.empty(0, np.uint64))
        rows = rows[self.problem.feasible(rows)]
        costs = self._cost(rows)
        return [_Child(_choices(row), float(cost)) for row, cost in zip(rows, costs, strict=True)]

    def _complete(self, layer: int, rows: Population) -> list[_Child]:
        """Children of the first pass: later layers as expensive as the budget allows."""
        later = range(layer + 1, len(self._counts))
        levels = self._levels(later)
        expanded = np.repeat(rows, len(levels), axis=0)
        if len(later):
            expanded[:, layer + 1 :] = np.tile(levels, (len(rows), 1))
        expanded = self._repaired(expanded)
        fits = self.problem.feasible(expanded).reshape(len(rows), len(levels))
        costs = self._cost(expanded).reshape(len(rows), len(levels))
        # The most expensive; of equally expensive ones the last, because raising an option should not be for nothing.
        best = len(levels) - 1 - np.where(fits, costs, -np.inf)[:, ::-1].argmax(axis=1)
        picked = expanded.reshape(len(rows), len(levels), -1)[np.arange(len(rows)), best]
        children: dict[Choices, _Child] = {}
        possible = np.flatnonzero(fits.sum(axis=1))
        for row, bucket_cost in zip(picked[possible], costs[possible, -1], strict=True):
            children.setdefault(_choices(row), _Child(_choices(row), float(bucket_cost)))
        return list(children.values())

    def _levels(self, later: range) -> Population:
        """(levels, later layers): from all cheapest to all most expensive, one option of one layer dearer each time."""
        current = [0] * len(later)
        levels = [list(current)]
        for rank in range(1, max((self._counts[layer] for layer in later), default=1)):
            for place, layer in enumerate(later):
                if rank < self._counts[layer]:
                    current[place] = rank
                    levels.append(list(current))
        options = [
            [int(self._ranks[layer][rank]) for layer, rank in zip(later, level, strict=True)] for level in levels
        ]
        return np.array(options, np.int16).reshape(len(levels), len(later))

    def _best_of_buckets(self, children: list[_Child], known: dict[Choices, Observation]) -> tuple[Choices, ...]:
        """The best finished child of every bucket, best first."""
        finished = [child for child in children if known[child.choices].reward is not None]
        if not finished:
            return ()
        costs = np.nan_to_num(np.array([child.cost for child in finished]))
        width = float(costs.max() - costs.min())
        index = np.floor((costs - costs.min()) * self.buckets / width) if width > 0 else np.zeros(len(costs))
        best: dict[int, _Child] = {}
        for child, bucket in zip(finished, np.minimum(index, self.buckets - 1).astype(int), strict=True):
            champion = best.get(int(bucket))
            if champion is None or known[child.choices].score > known[champion.choices].score:
                best[int(bucket)] = child
        ranking = sorted(best.values(), key=lambda child: (-known[child.choices].score, child.choices))
        return tuple(child.choices for child in ranking)

    def _start(self) -> Choices:
        """The cheapest architecture; where nothing limits the cost, the first option everywhere."""
        if self.problem.cheapest is not None:
            return _choices(self.problem.cheapest)
        return _choices(self._repaired(np.zeros((1, len(self._counts)), np.int16))[0])

    def _options_by_cost(self) -> list[npt.NDArray[np.intp]]:
        """For every layer its options from cheap to expensive, the other layers being cheap; equal ones in order."""
        ranks = []
        for layer, count in enumerate(self._counts):
            rows = np.repeat(np.array([self._base], np.int16), count, axis=0)
            rows[:, layer] = np.arange(count)
            ranks.append(np.argsort(np.nan_to_num(self._cost(self._repaired(rows)), nan=math.inf), kind="stable"))
        return ranks

    def _cost(self, rows: Population) -> Floats:
        """(N,) the largest share of a limit that is used; the first cost where nothing is limited; else 0."""
        costs = self.problem.costs(rows) if len(rows) else {}
        if not costs:
            return np.zeros(len(rows))
        limits = {name: limit for name, limit in self.problem.limits.items() if math.isfinite(limit)}
        if not limits:
            return np.asarray(next(iter(costs.values())), np.float64)
        shares = [np.asarray(costs[name], np.float64) / limit for name, limit in limits.items()]
        return np.asarray(np.max(shares, axis=0))

    def _repaired(self, rows: Population) -> Population:
        """Rows crossed with themselves: what their choices make inactive or forbid is put right."""
        return self.problem.space.crossover(np.random.default_rng(self.seed), rows, rows)


def _choices(row: Population) -> Choices:
    return tuple(int(choice) for choice in row)
