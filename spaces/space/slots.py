"""Slots: tables of the blocks on input specs that may stand at a position, by the few decisions they depend on.

A slot's table maps every combination of those decisions to one of the pairs of block and input specs that
architectures reach, so the cost of a whole population is a sum of array look-ups. A position whose input depends on
many decisions, of which few matter at a time, has several slots, each for one option of a searched input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.space.population import Population


@dataclass(frozen=True)
class Slot:
    """A table's name (that of its position, ``name/2`` and so on for more) and its decisions' indices, ascending."""

    name: str
    decisions: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class SlotTable:
    """The pairs that are reached, and which combination of the slot's decisions has which.

    ``population[:, slot.decisions] @ strides`` is a place in ``index``, which holds a number in ``entries``; -1 where
    nothing is built (a skipped layer, an unread node) or where no architecture leads. ``rows`` (M, decisions of the
    slot) lists the combinations that architectures have.
    """

    slot: Slot
    position: str
    strides: NDArray[np.intp]
    index: NDArray[np.int32]
    entries: tuple[SlotEntry, ...]
    rows: Population

    @cached_property
    def row_indices(self) -> NDArray[np.intp]:
        """Place in ``index`` of each of ``rows``."""
        return self.rows.astype(np.intp) @ self.strides

    def places(self, population: Population) -> NDArray[np.intp]:
        """(N,) place in ``index`` of each architecture."""
        return population[:, list(self.slot.decisions)].astype(np.intp) @ self.strides

    def indices(self, population: Population) -> NDArray[np.intp]:
        """(N,) place of each architecture in arrays of :meth:`edgenas.spaces.space.SearchSpace.cost_arrays`."""
        return self.places(population)

    def entry_of(self, choices: Sequence[int]) -> SlotEntry | None:
        """The pair that one architecture has here."""
        strides = self._plain_strides
        return self.entry(
            sum(choices[decision] * stride for decision, stride in zip(self.slot.decisions, strides, strict=True))
        )

    @cached_property
    def _plain_strides(self) -> list[int]:
        return [int(stride) for stride in self.strides]

    def entry(self, place: int) -> SlotEntry | None:
        """The pair at a place in ``index``."""
        number = int(self.index[place])
        return None if number < 0 else self.entries[number]
