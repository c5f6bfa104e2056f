"""Blocks of networks for table rows: dense layers, and what turns raw numbers into features and answers into a unit."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.pieces import check_activation, check_flag, check_share, check_whole
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import Activation, Add, BatchNorm, ColumnFeatures, Dense, Dropout, RestoreUnit
from edgenas.spaces.tensor import Shape


@register_block("dense")
@dataclass(frozen=True)
class DenseLayer(Block):
    """A dense layer of a vector, with activation, and optionally batch normalisation, dropout and a residual.

    The residual adds the input where both have as many features. ``filters`` is the number of units.
    """

    filters: int
    activation: str = "relu"
    norm: bool = True
    residual: bool = False
    dropout: float = 0.0

    cost_free_fields: ClassVar[frozenset[str]] = frozenset({"dropout"})

    def __post_init__(self) -> None:
        check_whole("dense", filters=self.filters)
        check_activation("dense", self.activation)
        check_flag("dense", norm=self.norm, residual=self.residual)
        check_share("dense", dropout=self.dropout)

    def canonical(self, *input_shapes: Shape) -> Block:
        return self if self.adds(*input_shapes) else dataclasses.replace(self, residual=False)

    def adds(self, *input_shapes: Shape) -> bool:
        """Whether there is a residual on these inputs."""
        return self.residual and tuple(input_shapes[0]) == (self.filters,)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        check_vector("dense", input_shapes[0])
        builder = GraphBuilder(*input_shapes)
        (source,) = builder.inputs
        out = builder.add("dense", Dense(self.filters, use_bias=not self.norm), source)
        if self.norm:
            out = builder.add("bn", BatchNorm(), out)
        if self.activation != "linear":
            out = builder.add("act", Activation(self.activation), out)
        if self.dropout:
            out = builder.add("dropout", Dropout(self.dropout), out)
        if self.adds(*input_shapes):
            out = builder.add("residual", Add(), source, out)
        return builder.build(out)


@register_block("dense_head")
@dataclass(frozen=True)
class DenseHead(Block):
    """The last dense layer of a vector: a logit for each class, or a value for each target; dropout before it."""

    classes: int
    dropout: float = 0.0

    cost_free_fields: ClassVar[frozenset[str]] = frozenset({"dropout"})

    def __post_init__(self) -> None:
        check_whole("dense_head", classes=self.classes)
        check_share("dense_head", dropout=self.dropout)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        check_vector("dense_head", input_shapes[0])
        builder = GraphBuilder(*input_shapes)
        (out,) = builder.inputs
        if self.dropout:
            out = builder.add("dropout", Dropout(self.dropout), out)
        return builder.build(builder.add("logits", Dense(self.classes), out))


@register_block("columns")
@dataclass(frozen=True)
class Columns(Block):
    """Rows of raw numbers as features; runs in deployed networks only, and begins them.

    ``categories`` holds the number of values of each categorical column, joined by ``+``.

    >>> Columns(numeric=2, categories="3+4").lower((4,)).output_shapes[0]
    (9,)
    """

    numeric: int
    categories: str = ""

    only_deployed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("columns", least=0, numeric=self.numeric)
        if isinstance(self.categories, bool) or not isinstance(self.categories, (str, int)):
            raise InputError(f"columns: categories must be whole numbers joined by '+', not {self.categories!r}")
        object.__setattr__(self, "categories", str(self.categories))
        if not all(part.isdecimal() and int(part) for part in self.categories.split("+") if self.categories):
            raise InputError(f"columns: categories must be whole numbers joined by '+', not {self.categories!r}")

    @property
    def op(self) -> ColumnFeatures:
        """What it consists of."""
        return ColumnFeatures(self.numeric, tuple(int(part) for part in self.categories.split("+") if part))

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        return builder.build(builder.add("features", self.op, builder.inputs[0]))


@register_block("unit")
@dataclass(frozen=True)
class Unit(Block):
    """Standardised values in their own unit; runs in deployed networks only, and ends them."""

    only_deployed: ClassVar[bool] = True

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        return builder.build(builder.add("restore", RestoreUnit(), builder.inputs[0]))


def check_vector(owner: str, shape: Shape) -> None:
    """Raises InputError unless a shape is that of a vector."""
    if len(shape) != 1:
        raise InputError(f"{owner}: takes a vector (features,), not {tuple(shape)}")
