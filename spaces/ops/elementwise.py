"""Element-wise ops: activations, arithmetic of several tensors, learned scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.ops.op import Op, Traits, register_op
from edgenas.spaces.tensor import Shape

#: Activation kinds that blocks may ask for. ``linear`` means none.
ACTIVATIONS = ("linear", "relu", "relu6", "hard_swish", "swish", "gelu", "tanh")
#: Kinds that only gates use (squeeze-excite).
GATES = ("sigmoid", "hard_sigmoid")


@register_op
@dataclass(frozen=True)
class Activation(Op):
    """Element-wise non-linearity, one of :data:`ACTIVATIONS` (but ``linear``) or :data:`GATES`."""

    kind: str

    traits: ClassVar[Traits] = Traits(in_place=True)

    def __post_init__(self) -> None:
        if self.kind == "linear" or self.kind not in ACTIVATIONS + GATES:
            raise InputError(f"unknown activation {self.kind!r}: expected one of {', '.join(ACTIVATIONS[1:] + GATES)}")

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]


def _broadcast(op: Op, first: Shape, second: Shape) -> Shape:
    """The larger of two shapes, of which the other has sides of 1 where they differ, or fewer sides in front."""
    large, small = (first, second) if len(first) >= len(second) else (second, first)
    padded = (1,) * (len(large) - len(small)) + tuple(small)
    if any(a != b and 1 not in (a, b) for a, b in zip(large, padded, strict=True)):
        raise InputError(f"{type(op).__name__} cannot broadcast {tuple(second)} to {tuple(first)}")
    return tuple(max(a, b) for a, b in zip(large, padded, strict=True))


@register_op
@dataclass(frozen=True)
class Add(Op):
    """Element-wise sum of two tensors of the same shape; with ``broadcast``, of any that broadcast."""

    broadcast: bool = False

    input_count: ClassVar[int | None] = 2
    traits: ClassVar[Traits] = Traits(fuses_activation=True, commutes=True)

    def output_shape(self, *inputs: Shape) -> Shape:
        if self.broadcast:
            return _broadcast(self, *inputs)
        if tuple(inputs[0]) != tuple(inputs[1]):
            raise InputError(f"Add takes two equal shapes, not {inputs[0]} and {inputs[1]}")
        return inputs[0]


@register_op
@dataclass(frozen=True)
class Subtract(Op):
    """Element-wise difference; sides of 1 are broadcast."""

    input_count: ClassVar[int | None] = 2
    traits: ClassVar[Traits] = Traits(fuses_activation=True)

    def output_shape(self, *inputs: Shape) -> Shape:
        return _broadcast(self, *inputs)


@register_op
@dataclass(frozen=True)
class Multiply(Op):
    """Element-wise product; sides of 1 are broadcast, such as those of a gate ``(1, 1, channels)``."""

    input_count: ClassVar[int | None] = 2
    traits: ClassVar[Traits] = Traits(fuses_activation=True, commutes=True)

    def output_shape(self, *inputs: Shape) -> Shape:
        return _broadcast(self, *inputs)


@register_op
@dataclass(frozen=True)
class Maximum(Op):
    """The larger of two elements; sides of 1 are broadcast."""

    input_count: ClassVar[int | None] = 2
    traits: ClassVar[Traits] = Traits(same_scale=True, commutes=True)

    def output_shape(self, *inputs: Shape) -> Shape:
        return _broadcast(self, *inputs)


@register_op
@dataclass(frozen=True)
class Scale(Op):
    """Every element times one number that is not trained."""

    factor: float

    traits: ClassVar[Traits] = Traits(fuses_activation=True, folds_into_kernel=True)

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]


@register_op
@dataclass(frozen=True)
class ScaleShift(Op):
    """A trained scale and shift for each element of the last axis, without statistics (NoNorm, arXiv 2004.02984)."""

    traits: ClassVar[Traits] = Traits(fuses_activation=True, folds_into_kernel=True)

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def biases(self, *inputs: Shape) -> int:
        return 2 * inputs[0][-1]


@register_op
@dataclass(frozen=True)
class WeightedSum(Op):
    """Sum of tensors of one shape, each times a trained weight: ``relu(w) / (sum of relu(w) + 1e-4)``.

    Fast normalised fusion of BiFPN (arXiv 1911.09070). Once trained the weights are constants.
    """

    input_count: ClassVar[int | None] = None
    traits: ClassVar[Traits] = Traits(fuses_activation=True)

    def output_shape(self, *inputs: Shape) -> Shape:
        for shape in inputs[1:]:
            if tuple(shape) != tuple(inputs[0]):
                raise InputError(f"WeightedSum takes equal shapes, not {inputs[0]} and {shape}")
        return inputs[0]

    def biases(self, *inputs: Shape) -> int:
        return len(inputs)
