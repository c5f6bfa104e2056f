"""Slots: the positions of a network in a search space, each with the few decisions its block depends on.

A slot's table lists the block and input shape for every combination of those decisions under one dense index, so the
cost of a whole population is a sum of array look-ups.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgenas.spaces.block import Block, signature
from edgenas.spaces.graph import OpGraph
from edgenas.spaces.ops import Shape
from edgenas.spaces.population import Population


@dataclass(frozen=True)
class Slot:
    """A position; ``decisions`` are the indices that decide its presence, block and input shape, ascending."""

    name: str
    decisions: tuple[int, ...]


@dataclass(frozen=True)
class SlotEntry:
    """A block on input shapes: what a latency table has one row for."""

    block: Block
    input_shapes: tuple[Shape, ...]

    @cached_property
    def graph(self) -> OpGraph:
        """The block lowered on its input shapes."""
        return self.block.lower(*self.input_shapes)

    @cached_property
    def canonical(self) -> Block:
        """The block without options that have no effect here."""
        return self.block.canonical(*self.input_shapes)

    def signature(self, precision: str) -> str:
        """The key of this entry in a latency table."""
        return signature(self.block, self.input_shapes, precision)


@dataclass(frozen=True, eq=False)
class SlotTable:
    """Every combination of a slot's decisions.

    ``population[:, slot.decisions] @ strides`` is the index into ``entries``; an entry is None where the slot is
    absent (a skipped layer) or where no architecture leads. ``rows`` (M, decisions of the slot) lists the
    combinations that architectures have.
    """

    slot: Slot
    strides: NDArray[np.intp]
    entries: tuple[SlotEntry | None, ...]
    rows: Population

    @cached_property
    def row_indices(self) -> NDArray[np.intp]:
        """Index into ``entries`` of each of ``rows``."""
        return self.rows.astype(np.intp) @ self.strides

    def indices(self, population: Population) -> NDArray[np.intp]:
        """(N,) index into ``entries`` of each architecture."""
        return population[:, list(self.slot.decisions)].astype(np.intp) @ self.strides
