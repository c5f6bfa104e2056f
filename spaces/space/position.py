"""Positions: the places of a search space, what may stand there, and who decides it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgenas.spaces.block import Block
from edgenas.spaces.space.decision import Condition
from edgenas.spaces.space.spec import BlockChoice
from edgenas.spaces.yaml_files import Scalar


@dataclass(frozen=True)
class Source:
    """Where a value comes from: the options of a decision, or a constant (``decision`` is None, one value)."""

    values: tuple[Scalar, ...]
    decision: int | None = None


@dataclass(frozen=True)
class InputSource:
    """Where an input comes from: names of network inputs and earlier positions, one for each option of a decision.

    None is an option to do without this input. Without a decision there is one name.
    """

    names: tuple[str | None, ...]
    decision: int | None = None


@dataclass(frozen=True)
class PositionChoice:
    """A block that may stand at a position, and the sources of its fields' values.

    ``block`` is None for the choice to put nothing there: readers do without the value.
    """

    block: type[Block] | None
    fields: Mapping[str, Source]
    spec: BlockChoice | None = None


@dataclass(frozen=True)
class Position:
    """A place in the network.

    Attributes:
        name: of the node.
        inputs: where each of its inputs comes from.
        block: picks among ``choices``.
        choices: blocks that may stand here.
        presence: must hold for the place to exist; where it does not, readers read its first input instead.
        zeros_like: of which position or input to take the spec for zeros, where all inputs are left out.
    """

    name: str
    inputs: tuple[InputSource, ...]
    block: Source
    choices: tuple[PositionChoice, ...]
    presence: Condition | None = None
    zeros_like: str | None = None

    def decisions(self) -> set[int]:
        """Indices of the decisions that are referred to here."""
        fields = [source.decision for choice in self.choices for source in choice.fields.values()]
        found = {self.block.decision, *fields, *(source.decision for source in self.inputs)}
        return {index for index in found if index is not None} | ({self.presence.decision} if self.presence else set())

    def sources(self) -> tuple[str, ...]:
        """Every position or network input that may be read here."""
        names = [name for source in self.inputs for name in source.names if name is not None]
        return tuple(dict.fromkeys([*names, *([self.zeros_like] if self.zeros_like else [])]))
