"""Ops that summarise: pools over windows, means and maxima over axes, arg-max."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.ops.convolution import Sides
from edgenas.spaces.ops.op import Op, Traits, image_sides, pair, positive_axis, register_op, strided
from edgenas.spaces.tensor import Shape, TensorSpec


@register_op
@dataclass(frozen=True)
class Pool(Op):
    """``average`` or ``max`` over windows, padded as SAME; padding does not count in an average."""

    kind: str
    kernel: Sides
    stride: Sides

    traits: ClassVar[Traits] = Traits(fuses_activation=True, keeps_range=True)

    def __post_init__(self) -> None:
        if self.kind not in ("average", "max"):
            raise InputError(f"unknown pooling {self.kind!r}: expected 'average' or 'max'")

    def output_shape(self, *inputs: Shape) -> Shape:
        channels = image_sides(self, inputs[0])[2]
        return (*strided(inputs[0], pair(self.stride)), channels)


@register_op
@dataclass(frozen=True)
class GlobalAveragePool(Op):
    """Mean over height and width: ``(channels,)``, or ``(1, 1, channels)`` with ``keep_sides``."""

    keep_sides: bool = False

    def output_shape(self, *inputs: Shape) -> Shape:
        channels = image_sides(self, inputs[0])[2]
        return (1, 1, channels) if self.keep_sides else (channels,)

    def does_nothing(self, *inputs: Shape) -> bool:
        return self.keep_sides and tuple(inputs[0][:2]) == (1, 1)


@register_op
@dataclass(frozen=True)
class Reduce(Op):
    """``mean``, ``max`` or ``sum`` over axes, which are gone unless ``keep_sides``."""

    kind: str
    axes: tuple[int, ...]
    keep_sides: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("mean", "max", "sum"):
            raise InputError(f"unknown reduction {self.kind!r}: expected 'mean', 'max' or 'sum'")

    def output_shape(self, *inputs: Shape) -> Shape:
        gone = {positive_axis(self, axis, inputs[0]) for axis in self.axes}
        sides = [1 if place in gone else side for place, side in enumerate(inputs[0])]
        return tuple(side for place, side in enumerate(sides) if self.keep_sides or place not in gone)


@register_op
@dataclass(frozen=True)
class ArgMax(Op):
    """Index of the largest element along an axis, as int32; the first of equals."""

    axis: int = -1

    def output_shape(self, *inputs: Shape) -> Shape:
        axis = positive_axis(self, self.axis, inputs[0])
        return (*inputs[0][:axis], *inputs[0][axis + 1 :])

    def output_dtype(self, *inputs: TensorSpec) -> str:
        return "int32"
