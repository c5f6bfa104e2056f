"""Operations on populations: arrays of architectures, one row each, handled all at once.

A population is an ``int16`` array of shape (N, number of decisions) in canonical form: each active decision holds an
allowed option, each inactive one holds 0. Every method here takes and returns canonical populations, loops neither
over rows nor over decisions (:mod:`edgenas.spaces.space.decision_tables` is how), and draws only from its generator
argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.spaces.errors import InputError
from edgenas.spaces.space.decision import Decision
from edgenas.spaces.space.decision_tables import DecisionTables, Indices, Mask

Population = NDArray[np.int16]
#: Rows that are sampled at once: few enough for a processor's cache.
_CHUNK = 4096


class Populations:
    """Populations of the architectures that these decisions have.

    >>> populations = Populations([Decision("width", ("8", "16")), Decision("depth", ("1", "2", "3"))])
    >>> populations.enumerate().tolist()
    [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self._decisions = tuple(decisions)
        self._tables = DecisionTables(decisions)

    def sample(self, rng: np.random.Generator, count: int) -> Population:
        """``count`` random rows: each active decision is uniform over the options that the earlier choices allow.

        That is not uniform over architectures (a depth that activates more decisions is drawn as often as any other),
        which spreads samples over the sizes of networks.
        """
        sizes = [min(_CHUNK, count - start) for start in range(0, count, _CHUNK)] or [0]
        return np.concatenate([self._sample(rng, size) for size in sizes])

    def _sample(self, rng: np.random.Generator, count: int) -> Population:
        tables = self._tables
        marked = np.zeros((len(self._decisions), count), np.intp)
        uniform = rng.random(marked.shape)
        for level in tables.levels:
            rows = level.rows(marked)
            places = np.floor(uniform[level.decisions] * tables.number[rows]).astype(np.intp)
            marked[level.decisions] = tables.nth[rows * tables.width + places]
        return tables.unmarked(marked)

    def enumerate(self, limit: int = 1_000_000, fixed: Mapping[int, int] | None = None) -> Population:
        """Every architecture, in lexicographic order. Raises InputError when more than ``limit`` rows are needed.

        ``fixed`` maps decisions to the only option to list; rows without that option are left out.

        Also raises InputError naming the decision when some choices leave an active one without an allowed option.
        """
        tables = self._tables
        marked = np.zeros((0, 1), np.intp)
        places = {int(d): (level, place) for level in tables.levels for place, d in enumerate(level.decisions)}
        for index in range(len(self._decisions)):
            level, place = places[index]
            rows = np.full(marked.shape[1], level.first[place, 0])
            for depends, strides in zip(level.depends[:, place], level.strides[:, place, 0], strict=True):
                rows += marked[depends] * strides if strides else 0
            stuck = np.flatnonzero(tables.active[rows] & (tables.number[rows] == 0))
            if len(stuck):
                self._refuse_stuck(index, marked[:, stuck[0]])
            allowed = tables.allowed.reshape(-1, tables.width)[rows]
            if fixed and index in fixed:
                allowed = allowed & (np.arange(tables.width) == fixed[index])
            parents, options = np.nonzero(allowed)
            if len(parents) > limit:
                raise InputError(
                    f"more than {limit} combinations of {len(self._decisions)} decisions: too many to enumerate"
                )
            marked = np.concatenate([marked[:, parents], options[None]])
        return tables.unmarked(marked)

    def _refuse_stuck(self, index: int, choices: Indices) -> None:
        decisions = self._decisions
        needed = sorted({condition.decision for condition in decisions[index].conditions()})
        chosen = ", ".join(
            f"{decisions[other].name} = {decisions[other].options[choices[other]]}"
            for other in needed
            if choices[other] < len(decisions[other].options)
        )
        raise InputError(f"decision {decisions[index].name!r} has no allowed option when {chosen}")

    def active(self, population: Population) -> Mask:
        """(N, decisions) which decisions are active."""
        return np.ascontiguousarray((self._tables.marked(population) < self._tables.counts[:, None]).T)

    def free(self, population: Population) -> Mask:
        """(N, decisions) which decisions are active and have more than one allowed option."""
        return np.ascontiguousarray(self._free(self._tables.marked(population)).T)

    def is_canonical(self, population: NDArray[Any]) -> Mask:
        """(N,) mask of the rows that are architectures: options exist and are allowed, inactive decisions are 0."""
        tables = self._tables
        if population.ndim != 2 or population.shape[1] != len(self._decisions):
            raise InputError(
                f"a population of this space has shape (N, {len(self._decisions)}), not {population.shape}"
            )
        exists = (population >= 0) & (population < tables.counts)
        options = np.where(exists, population, 0)
        marked = tables.marked(options)
        good: Mask = np.asarray(exists.all(axis=1))
        for level in tables.levels:
            rows = level.rows(marked)
            kept = np.where(tables.active[rows], tables.allowed[rows * tables.width + marked[level.decisions]], True)
            kept &= tables.active[rows] | (options.T[level.decisions] == 0)
            good &= kept.all(axis=0)
        return good

    def mutate(self, rng: np.random.Generator, population: Population, rate: float | None = None) -> Population:
        """Changes one active decision of each row, or each active one with probability ``rate`` and at least one.

        The decision and its new option are uniform over those that can change. Decisions that the change activates,
        or whose option it forbids, are drawn anew; all others stay. A row in which nothing can change stays as it is.
        """
        if rate is not None and not 0 <= rate <= 1:
            raise InputError(f"mutation rate must be between 0 and 1, not {rate}")
        old = self._tables.marked(population)
        free = self._free(old)
        chosen = np.zeros_like(free)
        if len(self._decisions):
            chosen[np.argmax(np.where(free, rng.random(free.shape), -1), axis=0), np.arange(free.shape[1])] = True
        chosen &= free
        if rate is not None:
            many = free & (rng.random(free.shape) < rate)
            chosen = np.where(many.any(axis=0), many, chosen)
        return self._rebuilt(rng, old, old, chosen)

    def crossover(self, rng: np.random.Generator, first: Population, second: Population) -> Population:
        """One child per pair of rows: each decision comes from either parent with equal chance.

        Where that parent has no allowed answer the other parent's is taken, else a random one. A row crossed with
        itself (``second is first`` is quickest) is the row, with what its choices make inactive or forbid put right.
        """
        if first.shape != second.shape:
            raise InputError(f"parents come in pairs: found populations of shape {first.shape} and {second.shape}")
        tables = self._tables
        preferred = other = tables.marked(first)
        if second is not first:
            other = tables.marked(second)
            swap = rng.random(preferred.shape, np.float32) < 0.5
            preferred, other = np.where(swap, other, preferred), np.where(swap, preferred, other)
        return self._rebuilt(rng, preferred, other, None)

    def one_hot(self, population: Population) -> NDArray[np.float32]:
        """(N, sum of option counts) zeros and ones; an inactive decision is all zeros."""
        counts = self._tables.counts
        starts = np.cumsum(counts) - counts
        encoded = np.zeros((len(population), int(counts.sum())), np.float32)
        rows, columns = np.nonzero(self.active(population))
        encoded[rows, starts[columns] + population[rows, columns]] = 1
        return encoded

    def _free(self, marked: Indices) -> Mask:
        free = np.zeros(marked.shape, bool)
        for level in self._tables.levels:
            free[level.decisions] = self._tables.number[level.rows(marked)] > 1
        return free

    def _rebuilt(
        self, rng: np.random.Generator, preferred: Indices, other: Indices, changed: Mask | None
    ) -> Population:
        """Rows with the preferred option where it is allowed, else the other, else a random one.

        ``changed`` decisions get another option than the preferred one, where there is any.
        """
        tables = self._tables
        marked = np.zeros_like(preferred)
        for level in tables.levels:
            rows = level.rows(marked)
            options = preferred[level.decisions]
            kept = tables.allowed[rows * tables.width + options]
            if other is not preferred:
                options = np.where(kept, options, other[level.decisions])
                kept = tables.allowed[rows * tables.width + options]
            if changed is not None:
                kept &= ~changed[level.decisions]
            places = np.nonzero(~kept)
            if len(places[0]):
                drawn, leaving = rows[places], options[places]
                number = tables.number[drawn]
                # A changed decision leaves its option: ranks from that one on move up by one.
                leaves = tables.allowed[drawn * tables.width + leaving] & (number > 1)
                ranks = np.floor(rng.random(len(drawn)) * (number - leaves)).astype(np.intp)
                ranks += leaves & (ranks >= tables.rank[drawn * tables.width + leaving])
                options[places] = tables.nth[drawn * tables.width + ranks]
            marked[level.decisions] = options
        return tables.unmarked(marked)
