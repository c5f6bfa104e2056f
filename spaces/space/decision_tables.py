"""The conditions of a list of decisions as look-up tables, so that whole populations are handled without a loop.

What a decision allows depends on a few earlier ones. For each combination of theirs there is one *row* in the tables
here: the options it allows. Decisions are grouped into *levels*: those of a level depend on earlier levels only, so a
population is worked out level by level, all rows and all decisions of a level at once.

Arrays over populations are laid out by decision, (decisions, N), and hold *marked* options: an inactive decision has
the index after its last option.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.spaces.errors import InputError
from edgenas.spaces.space.decision import Condition, Decision

Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]

MOST_ROWS = 1_000_000
"""Combinations that the conditions of one decision may distinguish."""


@dataclass(frozen=True, eq=False)
class Level:
    """Decisions that depend on those of earlier levels only.

    Attributes:
        decisions: (D,) indices of the decisions, ascending.
        first: (D, 1) where the rows of each decision begin.
        depends: (K, D) decisions that each depends on, padded.
        strides: (K, D, 1) what their options count in the row's number; 0 for padding.
    """

    decisions: Indices
    first: Indices
    depends: Indices
    strides: Indices

    def rows(self, marked: Indices) -> Indices:
        """(D, N) numbers of the table rows, for (decisions, N) marked options of which earlier levels are known."""
        found = np.repeat(self.first, marked.shape[1], axis=1) if not len(self.depends) else self.first
        for depends, strides in zip(self.depends, self.strides, strict=True):
            found = found + marked[depends] * strides
        return found


class DecisionTables:
    """Tables of a list of decisions.

    Attributes:
        counts: (decisions,) number of options.
        width: columns of the tables: the largest number of options, and one for the mark.
        levels: in the order in which they are worked out.
        number: (rows,) how many options are allowed; 0 where the decision is inactive.
        active: (rows,) whether the decision is asked.
        allowed: (rows, width) flattened; where the decision is inactive, its mark is what is allowed.
        nth: (rows, width) flattened; the allowed options in order, the mark where there is none.
        rank: (rows, width) flattened; how many smaller options are allowed.

    Raises InputError when the conditions of one decision distinguish more than :data:`MOST_ROWS` combinations.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.decisions = tuple(decisions)
        self.counts = np.array([len(decision.options) for decision in decisions], np.intp)
        self.width = int(self.counts.max(initial=0)) + 1
        depends = [tuple(sorted({c.decision for c in decision.conditions()})) for decision in decisions]
        parts = [self._table(decision, depends[index]) for index, decision in enumerate(self.decisions)]
        sizes = [len(active) for active, _ in parts]
        self._first = np.cumsum([0, *sizes])
        self.active = np.concatenate([active for active, _ in parts]) if parts else np.zeros(0, bool)
        allowed = np.zeros((len(self.active), self.width), bool)
        for index, (_, options) in enumerate(parts):
            allowed[self._first[index] : self._first[index + 1], : self.counts[index]] = options
        mark = np.repeat(self.counts, sizes)
        self.number = allowed.sum(axis=1)
        self.rank = (np.cumsum(allowed, axis=1) - allowed).ravel()
        order = np.argsort(~allowed, axis=1, kind="stable")
        exists = np.arange(self.width) < self.number[:, None]
        self.nth = np.where(exists, order, mark[:, None]).ravel()
        allowed[np.arange(len(allowed)), mark] = self.number == 0
        self.allowed = allowed.ravel()
        self.levels = self._levels(depends)

    def _table(self, decision: Decision, depends: tuple[int, ...]) -> tuple[Mask, Mask]:
        """(combinations,) whether the decision is active, and (combinations, options) what it allows then."""
        sizes = [int(self.counts[other]) + 1 for other in depends]
        count = int(np.prod(sizes, dtype=np.float64))
        if count > MOST_ROWS:
            raise InputError(
                f"decision {decision.name!r}: its conditions distinguish {count} combinations of earlier decisions, "
                f"at most {MOST_ROWS} are possible; let it depend on fewer"
            )
        # The mark comes last; no condition names it, so a condition on an inactive decision is false.
        choices = dict(zip(depends, np.indices(sizes).reshape(len(sizes), count), strict=True))

        def holds(conditions: Sequence[Condition]) -> Mask:
            mask = np.ones(count, bool)
            for condition in conditions:
                mask &= np.isin(choices[condition.decision], list(condition.options))
            return mask

        active = holds(decision.active_when)
        allowed = np.repeat(active[:, None], len(decision.options), axis=1)
        for option, conditions in enumerate(decision.valid_when):
            allowed[:, option] &= holds(conditions)
        return active, allowed

    def _levels(self, depends: Sequence[tuple[int, ...]]) -> tuple[Level, ...]:
        level: list[int] = []
        for needed in depends:
            level.append(1 + max((level[other] for other in needed), default=-1))
        return tuple(
            self._level([index for index, found in enumerate(level) if found == number], depends)
            for number in range(max(level, default=-1) + 1)
        )

    def _level(self, members: list[int], depends: Sequence[tuple[int, ...]]) -> Level:
        deepest = max(len(depends[index]) for index in members)
        needed = np.zeros((deepest, len(members)), np.intp)
        strides = np.zeros((deepest, len(members), 1), np.intp)
        for column, index in enumerate(members):
            stride = 1
            for place in reversed(range(len(depends[index]))):
                needed[place, column] = depends[index][place]
                strides[place, column, 0] = stride
                stride *= int(self.counts[depends[index][place]]) + 1
        return Level(np.array(members, np.intp), self._first[members][:, None], needed, strides)

    def marked(self, population: NDArray[Any]) -> Indices:
        """(decisions, N) options of an (N, decisions) population, with inactive decisions marked."""
        marked = np.ascontiguousarray(population.T, dtype=np.intp)
        for level in self.levels[1:] if self._always_asked else self.levels:
            asked = self.active[level.rows(marked)]
            marked[level.decisions] = np.where(asked, marked[level.decisions], self.counts[level.decisions][:, None])
        return marked

    @property
    def _always_asked(self) -> bool:
        """Whether the decisions of the first level, which depend on nothing, are all active."""
        return bool(self.levels) and bool(self.active[self.levels[0].first].all())

    def unmarked(self, marked: Indices) -> NDArray[np.int16]:
        """The (N, decisions) population of marked options: 0 where a decision is inactive."""
        return np.ascontiguousarray(np.where(marked == self.counts[:, None], 0, marked).T.astype(np.int16))
