"""Convolutions and matrix products with trained kernels.

Sides pad as TensorFlow's ``SAME`` does, so an output side is ``ceil(input side / stride)``; with ``padding: valid``
nothing is padded. Kernels, strides and dilations are one number for both sides, or a pair: first along the height.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.ops.op import Op, Traits, image_sides, pair, register_op, strided, windows
from edgenas.spaces.tensor import Shape

Sides = int | tuple[int, int]
PADDINGS = ("same", "valid")


def _check_sides(op: Op, **values: Sides) -> None:
    for name, value in values.items():
        if type(value) is int and value > 0:  # nearly always
            continue
        if any(isinstance(side, bool) or not isinstance(side, int) or side < 1 for side in pair(value)):
            raise InputError(f"{type(op).__name__}: {name} must be one or two whole numbers above 0, not {value!r}")


def _check_padding(op: Op, padding: str) -> None:
    if padding not in PADDINGS:
        raise InputError(f"{type(op).__name__}: padding must be one of {', '.join(PADDINGS)}, not {padding!r}")


def _sides_after(op: Convolution | DepthwiseConvolution, shape: Shape) -> tuple[int, int]:
    """Height and width of what comes out."""
    if op.padding == "same":
        return strided(shape, pair(op.stride))
    return windows(op, shape, pair(op.kernel), pair(op.stride), pair(op.dilation))


@register_op
@dataclass(frozen=True)
class Convolution(Op):
    """Convolution of a window; ``groups > 1`` splits input channels and filters into as many parts."""

    filters: int
    kernel: Sides = 1
    stride: Sides = 1
    groups: int = 1
    use_bias: bool = False
    dilation: Sides = 1
    padding: str = "same"

    traits: ClassVar[Traits] = Traits(has_kernel=True, always_biased=True, fuses_activation=True)

    def __post_init__(self) -> None:
        _check_sides(self, kernel=self.kernel, stride=self.stride, dilation=self.dilation)
        if self.dilation != 1 and max(pair(self.stride)) > 1 and max(pair(self.dilation)) > 1:
            raise InputError(f"Convolution: stride {self.stride} and dilation {self.dilation} cannot both be above 1")
        _check_padding(self, self.padding)
        if self.groups > 1 and self.padding != "same":
            raise InputError(f"Convolution: {self.groups} groups need the padding same, not {self.padding}")

    @property
    def taps(self) -> int:
        """Pixels of the window."""
        return math.prod(pair(self.kernel))

    def output_shape(self, *inputs: Shape) -> Shape:
        channels = image_sides(self, inputs[0])[2]
        if channels % self.groups or self.filters % self.groups:
            raise InputError(f"{self.groups} groups do not divide {channels} input channels and {self.filters} filters")
        return (*_sides_after(self, inputs[0]), self.filters)

    def weights(self, *inputs: Shape) -> int:
        return self.taps * (inputs[0][2] // self.groups) * self.filters

    def biases(self, *inputs: Shape) -> int:
        return self.filters if self.use_bias else 0

    def macs(self, *inputs: Shape) -> int:
        return math.prod(_sides_after(self, inputs[0])) * self.weights(*inputs)


@register_op
@dataclass(frozen=True)
class DepthwiseConvolution(Op):
    """One filter per channel."""

    kernel: Sides = 3
    stride: Sides = 1
    use_bias: bool = False
    dilation: Sides = 1
    padding: str = "same"

    traits: ClassVar[Traits] = Traits(has_kernel=True, kernel_axis=-2, always_biased=True, fuses_activation=True)

    def __post_init__(self) -> None:
        _check_sides(self, kernel=self.kernel, stride=self.stride, dilation=self.dilation)
        if max(pair(self.stride)) > 1 and max(pair(self.dilation)) > 1:
            raise InputError(f"DepthwiseConvolution: stride {self.stride} and dilation {self.dilation} exclude another")
        _check_padding(self, self.padding)

    @property
    def taps(self) -> int:
        """Pixels of the window."""
        return math.prod(pair(self.kernel))

    def output_shape(self, *inputs: Shape) -> Shape:
        channels = image_sides(self, inputs[0])[2]
        return (*_sides_after(self, inputs[0]), channels)

    def weights(self, *inputs: Shape) -> int:
        return self.taps * inputs[0][2]

    def biases(self, *inputs: Shape) -> int:
        return inputs[0][2] if self.use_bias else 0

    def macs(self, *inputs: Shape) -> int:
        return math.prod(_sides_after(self, inputs[0])) * self.weights(*inputs)


@register_op
@dataclass(frozen=True)
class TransposedConvolution(Op):
    """Convolution that enlarges: every side becomes ``stride`` times as long."""

    filters: int
    kernel: Sides = 2
    stride: Sides = 2
    use_bias: bool = False

    # Kernels are (height, width, filters, input channels).
    traits: ClassVar[Traits] = Traits(has_kernel=True, kernel_axis=-2)

    def __post_init__(self) -> None:
        _check_sides(self, kernel=self.kernel, stride=self.stride)

    @property
    def taps(self) -> int:
        """Pixels of the window."""
        return math.prod(pair(self.kernel))

    def output_shape(self, *inputs: Shape) -> Shape:
        height, width, _ = image_sides(self, inputs[0])
        down, right = pair(self.stride)
        return (height * down, width * right, self.filters)

    def weights(self, *inputs: Shape) -> int:
        return self.taps * inputs[0][2] * self.filters

    def biases(self, *inputs: Shape) -> int:
        return self.filters if self.use_bias else 0

    def macs(self, *inputs: Shape) -> int:
        return inputs[0][0] * inputs[0][1] * self.weights(*inputs)


@register_op
@dataclass(frozen=True)
class Dense(Op):
    """Matrix product of the last axis with a kernel, plus bias: of a vector, or of every position of a sequence."""

    units: int
    use_bias: bool = True

    traits: ClassVar[Traits] = Traits(has_kernel=True, per_channel=False, fuses_activation=True)

    def output_shape(self, *inputs: Shape) -> Shape:
        if not inputs[0]:
            raise InputError("Dense takes a vector or a sequence of vectors, not a scalar")
        return (*inputs[0][:-1], self.units)

    def weights(self, *inputs: Shape) -> int:
        return inputs[0][-1] * self.units

    def biases(self, *inputs: Shape) -> int:
        return self.units if self.use_bias else 0

    def macs(self, *inputs: Shape) -> int:
        return math.prod(inputs[0][:-1]) * self.weights(*inputs)
