"""Ops of sequences ``(positions, features)``: products of two tensors, embeddings, recurrent layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.ops.op import Op, register_op
from edgenas.spaces.tensor import Shape, TensorSpec, element_bytes


@register_op
@dataclass(frozen=True)
class MatrixProduct(Op):
    """Product of two tensors' last two axes, for each of the axes before them; the second may be transposed first."""

    transpose_second: bool = False

    input_count: ClassVar[int | None] = 2

    def output_shape(self, *inputs: Shape) -> Shape:
        first, second = inputs
        if len(first) < 2 or len(first) != len(second) or tuple(first[:-2]) != tuple(second[:-2]):
            raise InputError(f"MatrixProduct does not fit {tuple(first)} and {tuple(second)}")
        rows, columns = (second[-1], second[-2]) if self.transpose_second else (second[-2], second[-1])
        if first[-1] != rows:
            raise InputError(f"MatrixProduct: {first[-1]} columns meet {rows} rows ({tuple(first)}, {tuple(second)})")
        return (*first[:-1], columns)

    def macs(self, *inputs: Shape) -> int:
        return math.prod(self.output_shape(*inputs)) * inputs[0][-1]


@register_op
@dataclass(frozen=True)
class RelativeBias(Op):
    """Adds to the scores of attention a trained number for each head and each offset between two pixels.

    The scores are ``(heads, height * width, height * width)``: query pixels, then key pixels, row by row. What is
    trained is a table of ``(heads, (2 * height - 1) * (2 * width - 1))`` (CoAtNet, arXiv 2106.04803). Once deployed it
    is written out as a constant of the scores' shape, which is larger.
    """

    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise InputError(f"RelativeBias: sides must be at least 1, not {self.height} and {self.width}")

    @property
    def offsets(self) -> int:
        """How many different offsets there are between two pixels."""
        return (2 * self.height - 1) * (2 * self.width - 1)

    def output_shape(self, *inputs: Shape) -> Shape:
        pixels = self.height * self.width
        if len(inputs[0]) != 3 or tuple(inputs[0][1:]) != (pixels, pixels):
            raise InputError(f"RelativeBias of {self.height}x{self.width} pixels does not fit {tuple(inputs[0])}")
        return inputs[0]

    def weights(self, *inputs: Shape) -> int:
        return inputs[0][0] * self.offsets

    def weight_bytes(self, precision: str, *inputs: Shape) -> int:
        return math.prod(inputs[0]) * element_bytes(precision)


@register_op
@dataclass(frozen=True)
class Embedding(Op):
    """A trained vector for each of ``tokens`` ids."""

    tokens: int
    features: int

    input_dtype: ClassVar[str] = "int32"

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*inputs[0], self.features)

    def output_dtype(self, *inputs: TensorSpec) -> str:
        return "float32"

    def weights(self, *inputs: Shape) -> int:
        return self.tokens * self.features


def _sequence(op: Op, shape: Shape) -> tuple[int, int]:
    if len(shape) != 2:
        raise InputError(f"{type(op).__name__} takes a sequence (positions, features), not {tuple(shape)}")
    return shape[0], shape[1]


@dataclass(frozen=True)
class _Recurrent(Op):
    """``units`` states, updated at each position; all of them, or those after the last position."""

    units: int
    all_positions: bool = False

    gates: ClassVar[int] = 0
    bias_vectors: ClassVar[int] = 1

    def output_shape(self, *inputs: Shape) -> Shape:
        positions, _ = _sequence(self, inputs[0])
        return (positions, self.units) if self.all_positions else (self.units,)

    def weights(self, *inputs: Shape) -> int:
        return self.gates * self.units * (inputs[0][1] + self.units)

    def biases(self, *inputs: Shape) -> int:
        return self.gates * self.units * self.bias_vectors

    def macs(self, *inputs: Shape) -> int:
        return inputs[0][0] * self.weights(*inputs)


@register_op
@dataclass(frozen=True)
class Lstm(_Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997), gates in the order input, forget, cell, output."""

    gates: ClassVar[int] = 4


@register_op
@dataclass(frozen=True)
class Gru(_Recurrent):
    """Gated recurrent unit (arXiv 1406.1078), the reset after the matrix product, with two biases."""

    gates: ClassVar[int] = 3
    bias_vectors: ClassVar[int] = 2
