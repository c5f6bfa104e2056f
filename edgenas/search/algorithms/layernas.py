"""LayerNAS (arXiv 2304.11517): one layer after the other, the best of every cost bucket kept.

A *layer* is a decision, in the order of the space. A pass over the layers keeps a set of architectures, at first one.
For each layer, the children of every kept architecture are its copies with each option at that layer; all children
are evaluated; they are grouped into buckets by cost, and the child with the best reward of each bucket is kept. Cost
never enters the reward: it decides the bucket, and whether the budget can still be met.

**Default of later layers.** Where the paper gives layers that are not searched yet their most expensive option, a
child here gets the most expensive completion *within the budget*: from the cheapest to the most expensive option, all
later layers are raised in turn as far as the limits allow (:mod:`edgenas.search.algorithms.budget_filling`). Children
whose
cheapest completion is over the budget are dropped. So every candidate is within the budget. The cost that decides the
bucket is the paper's, with the most expensive option in all later layers, because completed children cost nearly the
same. The bucket's index is floor((cost - least) * buckets / (most - least)) over the children of the layer.

After the last layer another pass begins with what was kept; its children keep their later layers, and those over the
budget are dropped. When a pass has nothing new, neighbours of the best trials follow.

Where the search stands is computed from the trials at every suggestion, so it resumes in the middle of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgenas.search.algorithm import Algorithm, Observation, register_algorithm
from edgenas.search.algorithms.budget_filling import BudgetFilling
from edgenas.search.models.encoding import fresh_rows
from edgenas.search.problem import Population, Problem
from edgenas.search.sampling import feasible_mutant, random_feasible
from edgenas.spaces.errors import InputError

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
        self._filling = BudgetFilling(problem)
        self._counts = self._filling.counts
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
        for trial in self.history.best(8):
            mutant = feasible_mutant(self.problem, rng, np.array(trial.choices, np.int16), seen)
            if mutant is not None:
                return mutant
        rows = random_feasible(self.problem, rng, seen)
        return rows[0] if len(rows) else None

    def _next_child(self) -> Choices | None:
        """The first child that was not suggested yet, going through the passes and layers with what is known now."""
        known = self.history.by_choices
        kept: tuple[Choices, ...] = (_choices(self._filling.base),)
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
        rows = fresh_rows(self._filling.repaired(rows), np.empty(0, np.uint64))
        rows = rows[self.problem.feasible(rows)]
        costs = self._filling.cost(rows)
        return [_Child(_choices(row), float(cost)) for row, cost in zip(rows, costs, strict=True)]

    def _complete(self, layer: int, rows: Population) -> list[_Child]:
        """Children of the first pass: later layers as expensive as the budget allows."""
        filled = self._filling.fill(rows, range(layer + 1, len(self._counts)))
        children: dict[Choices, _Child] = {}
        for place in np.flatnonzero(filled.possible):
            choices = _choices(filled.rows[place])
            children.setdefault(choices, _Child(choices, float(filled.dearest[place])))
        return list(children.values())

    def _best_of_buckets(self, children: list[_Child], known: Mapping[Choices, Observation]) -> tuple[Choices, ...]:
        """The best finished child of every bucket, best first."""
        finished = [child for child in children if math.isfinite(known[child.choices].score)]
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


def _choices(row: Population) -> Choices:
    return tuple(int(choice) for choice in row)
