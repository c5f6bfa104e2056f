"""Operations on populations: arrays of architectures, one row each, handled all at once.

A population is an ``int16`` array of shape (N, number of decisions) in canonical form: each active decision holds an
allowed option, each inactive one holds 0. Every function here takes and returns canonical populations, loops over
decisions but never over rows, and draws only from the generator it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaces.decision import Condition, Decision
from spaces.errors import InputError

Population = NDArray[np.int16]
Mask = NDArray[np.bool_]
Column = NDArray[np.intp]


class _Columns:
    """Columns of a population under construction, with what is needed to evaluate conditions on them."""

    def __init__(self, decisions: Sequence[Decision], rows: int) -> None:
        self._decisions = decisions
        self.rows = rows
        self.values: list[Column] = []
        self.active: list[Mask] = []

    def _holds(self, conditions: Sequence[Condition]) -> Mask:
        mask = np.ones(self.rows, bool)
        for condition in conditions:
            table = np.zeros(len(self._decisions[condition.decision].options), bool)
            table[list(condition.options)] = True
            mask &= table[self.values[condition.decision]] & self.active[condition.decision]
        return mask

    def next_active(self) -> Mask:
        """Rows in which the next decision is active."""
        return self._holds(self._decisions[len(self.values)].active_when)

    def next_allowed(self) -> Mask:
        """(rows, options): which options of the next decision the choices so far allow."""
        decision = self._decisions[len(self.values)]
        if decision.always_valid:
            return np.ones((self.rows, len(decision.options)), bool)
        return np.stack([self._holds(conditions) for conditions in decision.valid_when], axis=1)

    def append(self, values: NDArray[Any], active: Mask) -> None:
        self.values.append(np.where(active, values, 0).astype(np.intp))
        self.active.append(active)

    def select(self, rows: Column) -> None:
        """Keeps (and repeats) these rows."""
        self.values = [column[rows] for column in self.values]
        self.active = [column[rows] for column in self.active]
        self.rows = len(rows)

    def population(self) -> Population:
        if not self.values:
            return np.zeros((self.rows, 0), np.int16)
        return np.stack(self.values, axis=1).astype(np.int16)


def _draw(allowed: Mask, rng: np.random.Generator) -> Column:
    """One allowed option per row, uniformly; 0 where none is allowed."""
    counts = allowed.sum(axis=1)
    rank = np.floor(rng.random(len(allowed)) * counts)
    return np.argmax(np.cumsum(allowed, axis=1) > rank[:, None], axis=1)


def _has(allowed: Mask, values: NDArray[Any]) -> Mask:
    return np.take_along_axis(allowed, values[:, None].astype(np.intp), axis=1)[:, 0]


def sample(decisions: Sequence[Decision], rng: np.random.Generator, count: int) -> Population:
    """``count`` random rows: each active decision is uniform over the options that the earlier choices allow.

    That is not uniform over architectures (a depth that activates more decisions is drawn as often as any other),
    which spreads samples over the sizes of networks.
    """
    columns = _Columns(decisions, count)
    for decision in decisions:
        active = columns.next_active()
        if decision.always_valid:
            values = rng.integers(0, len(decision.options), count)
        else:
            values = _draw(columns.next_allowed(), rng)
        columns.append(values, active)
    return columns.population()


def enumerate_all(decisions: Sequence[Decision], limit: int = 1_000_000) -> Population:
    """Every architecture, in lexicographic order. Raises InputError when more than ``limit`` rows would be needed.

    Also raises InputError naming the decision when some choices leave an active decision without an allowed option.
    """
    columns = _Columns(decisions, 1)
    for index, decision in enumerate(decisions):
        active, allowed = columns.next_active(), columns.next_allowed()
        stuck = np.flatnonzero(active & ~allowed.any(axis=1))
        if len(stuck):
            choices = {
                decisions[other].name: decisions[other].options[columns.values[other][stuck[0]]]
                for other in sorted({condition.decision for condition in decision.conditions()})
                if other < index
            }
            chosen = ", ".join(f"{name} = {value}" for name, value in choices.items())
            raise InputError(f"decision {decision.name!r} has no allowed option when {chosen}")
        allowed[~active] = False
        allowed[~active, 0] = True
        rows, options = np.nonzero(allowed)
        if len(rows) > limit:
            raise InputError(f"more than {limit} combinations of {len(decisions)} decisions: too many to enumerate")
        columns.select(rows)
        columns.append(options, active[rows])
    return columns.population()


def activity(decisions: Sequence[Decision], population: Population) -> tuple[Mask, Mask]:
    """(N, decisions) masks: which decisions are active, and which of those have more than one allowed option."""
    columns = _Columns(decisions, len(population))
    free = np.zeros(population.shape, bool)
    for index in range(len(decisions)):
        active = columns.next_active()
        free[:, index] = active & (columns.next_allowed().sum(axis=1) > 1)
        columns.append(population[:, index], active)
    active = np.stack(columns.active, axis=1) if decisions else np.zeros(population.shape, bool)
    return active, free


def is_canonical(decisions: Sequence[Decision], population: NDArray[Any]) -> Mask:
    """(N,) mask of the rows that are architectures: options exist and are allowed, inactive decisions are 0."""
    if population.ndim != 2 or population.shape[1] != len(decisions):
        raise InputError(f"a population of this space has shape (N, {len(decisions)}), not {population.shape}")
    good = np.ones(len(population), bool)
    columns = _Columns(decisions, len(population))
    for index, decision in enumerate(decisions):
        values = population[:, index]
        exists = (values >= 0) & (values < len(decision.options))
        values = np.where(exists, values, 0)
        active = columns.next_active()
        good &= exists & np.where(active, _has(columns.next_allowed(), values), values == 0)
        columns.append(values, active)
    return good


def mutate(
    decisions: Sequence[Decision], rng: np.random.Generator, population: Population, rate: float | None = None
) -> Population:
    """Changes one active decision of each row, or each active one with probability ``rate`` and at least one.

    The decision and its new option are uniform over those that can change. Decisions that the change activates, or
    whose option it forbids, are drawn anew; all others stay. A row in which nothing can change is returned as it is.
    """
    if rate is not None and not 0 <= rate <= 1:
        raise InputError(f"mutation rate must be between 0 and 1, not {rate}")
    was_active, free = activity(decisions, population)
    one = np.zeros_like(free)
    if decisions:
        one[np.arange(len(free)), np.argmax(np.where(free, rng.random(free.shape), -1), axis=1)] = True
    chosen = one & free
    if rate is not None:
        many = free & (rng.random(free.shape) < rate)
        chosen = np.where(many.any(axis=1, keepdims=True), many, chosen)
    columns = _Columns(decisions, len(population))
    for index in range(len(decisions)):
        old = population[:, index].astype(np.intp)
        active, allowed = columns.next_active(), columns.next_allowed()
        keep = was_active[:, index] & ~chosen[:, index] & _has(allowed, old)
        others = allowed.copy()
        others[np.arange(len(old)), old] &= ~chosen[:, index] | (allowed.sum(axis=1) == 1)
        columns.append(np.where(keep, old, _draw(others, rng)), active)
    return columns.population()


def crossover(
    decisions: Sequence[Decision], rng: np.random.Generator, first: Population, second: Population
) -> Population:
    """One child per pair of rows: each decision comes from either parent with equal chance.

    Where that parent has no allowed answer the other parent's is taken, else a random one.
    """
    if first.shape != second.shape:
        raise InputError(f"parents come in pairs: found populations of shape {first.shape} and {second.shape}")
    parents = (first, second)
    was_active = [activity(decisions, parent)[0] for parent in parents]
    swap = rng.random(first.shape) < 0.5
    columns = _Columns(decisions, len(first))
    for index in range(len(decisions)):
        active, allowed = columns.next_active(), columns.next_allowed()
        usable = [was_active[p][:, index] & _has(allowed, parents[p][:, index]) for p in (0, 1)]
        take_second = usable[1] & (swap[:, index] | ~usable[0])
        inherited = np.where(take_second, second[:, index], first[:, index])
        columns.append(np.where(usable[0] | usable[1], inherited, _draw(allowed, rng)), active)
    return columns.population()


def one_hot(decisions: Sequence[Decision], population: Population) -> NDArray[np.float32]:
    """(N, sum of option counts) zeros and ones; an inactive decision is all zeros."""
    counts = [len(decision.options) for decision in decisions]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
    encoded = np.zeros((len(population), starts[-1]), np.float32)
    rows, columns = np.nonzero(activity(decisions, population)[0])
    encoded[rows, starts[columns] + population[rows, columns]] = 1
    return encoded
