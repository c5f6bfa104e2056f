"""Ops that normalise, and dropout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.ops.op import Op, Traits, positive_axis, register_op
from edgenas.spaces.tensor import Shape


@register_op
@dataclass(frozen=True)
class BatchNorm(Op):
    """Batch normalisation over the last axis; folded into the convolution before it when deployed."""

    epsilon: float = 1e-3
    momentum: float = 0.99

    traits: ClassVar[Traits] = Traits(in_place=True, normalises=True, folds_into_kernel=True)

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def biases(self, *inputs: Shape) -> int:
        return 2 * inputs[0][-1]


@register_op
@dataclass(frozen=True)
class LayerNorm(Op):
    """Layer normalisation over the last axis (arXiv 1607.06450), with a trained scale and shift."""

    epsilon: float = 1e-3

    traits: ClassVar[Traits] = Traits(fuses_activation=True)

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def biases(self, *inputs: Shape) -> int:
        return 2 * inputs[0][-1]


@register_op
@dataclass(frozen=True)
class Softmax(Op):
    """Exponentials over the last axis that add up to 1."""

    def output_shape(self, *inputs: Shape) -> Shape:
        positive_axis(self, -1, inputs[0])
        return inputs[0]


@register_op
@dataclass(frozen=True)
class Dropout(Op):
    """Zeroes a share of the features while training; nothing when deployed."""

    rate: float

    traits: ClassVar[Traits] = Traits(gone_when_deployed=True, in_place=True, keeps_range=True)

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]
