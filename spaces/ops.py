"""Primitive operations: shapes, multiply-accumulates and parameters, written once per primitive.

Everything else that must be known per primitive (its Keras layer, its TFLite operator, its mapping to an
accelerator) lives on the floor that knows about it and is keyed by these classes.

Shapes leave out the batch: an image is ``(height, width, channels)``, a vector ``(features,)``.
Convolutions and pools pad as TensorFlow's ``SAME`` does, so an output side is ``ceil(input side / stride)``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from edgenas.spaces.errors import InputError

Shape = tuple[int, ...]

#: Activation kinds that blocks may ask for. ``linear`` means none.
ACTIVATIONS = ("linear", "relu", "relu6", "hard_swish", "swish")
#: Kinds that only gates use (squeeze-excite).
GATES = ("sigmoid", "hard_sigmoid")


def format_shape(shape: Shape) -> str:
    """``(28, 28, 16)`` as ``28x28x16``."""
    return "x".join(str(side) for side in shape)


def parse_shape(text: str) -> Shape:
    """The inverse of :func:`format_shape`."""
    try:
        return tuple(int(side) for side in text.split("x"))
    except ValueError:
        raise InputError(f"{text!r} is not a shape: expected sides joined by 'x', such as 28x28x16") from None


@dataclass(frozen=True)
class Op(ABC):
    """One primitive. Costs are for one example; the arguments are the shapes of its inputs."""

    @abstractmethod
    def output_shape(self, *inputs: Shape) -> Shape:
        """Shape of the only output. Raises InputError when the op does not fit the inputs."""

    def macs(self, *inputs: Shape) -> int:
        """Multiply-accumulates of matrix products and convolutions; element-wise work counts as 0."""
        return 0

    def weights(self, *inputs: Shape) -> int:
        """Elements of its kernel: what is quantized to 8 bits in an int8 model."""
        return 0

    def biases(self, *inputs: Shape) -> int:
        """Elements of its bias, or of scale and shift: kept in 32 bits in an int8 model."""
        return 0

    def params(self, *inputs: Shape) -> int:
        """Trainable parameters. Moving statistics of batch normalisation do not count."""
        return self.weights(*inputs) + self.biases(*inputs)


def _image(op: Op, shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise InputError(f"{type(op).__name__} takes an image (height, width, channels), not {shape}")
    return shape[0], shape[1], shape[2]


def _strided(shape: Shape, stride: int) -> tuple[int, int]:
    return math.ceil(shape[0] / stride), math.ceil(shape[1] / stride)


@dataclass(frozen=True)
class Convolution(Op):
    """``kernel x kernel`` convolution; ``groups > 1`` splits input channels and filters into as many parts."""

    filters: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    use_bias: bool = False

    def output_shape(self, *inputs: Shape) -> Shape:
        channels = _image(self, inputs[0])[2]
        if channels % self.groups or self.filters % self.groups:
            raise InputError(f"{self.groups} groups do not divide {channels} input channels and {self.filters} filters")
        return (*_strided(inputs[0], self.stride), self.filters)

    def weights(self, *inputs: Shape) -> int:
        return self.kernel**2 * (inputs[0][2] // self.groups) * self.filters

    def biases(self, *inputs: Shape) -> int:
        return self.filters if self.use_bias else 0

    def macs(self, *inputs: Shape) -> int:
        height, width = _strided(inputs[0], self.stride)
        return height * width * self.weights(*inputs)


@dataclass(frozen=True)
class DepthwiseConvolution(Op):
    """One ``kernel x kernel`` filter per channel."""

    kernel: int = 3
    stride: int = 1
    use_bias: bool = False

    def output_shape(self, *inputs: Shape) -> Shape:
        channels = _image(self, inputs[0])[2]
        return (*_strided(inputs[0], self.stride), channels)

    def weights(self, *inputs: Shape) -> int:
        return self.kernel**2 * inputs[0][2]

    def biases(self, *inputs: Shape) -> int:
        return inputs[0][2] if self.use_bias else 0

    def macs(self, *inputs: Shape) -> int:
        height, width = _strided(inputs[0], self.stride)
        return height * width * self.weights(*inputs)


@dataclass(frozen=True)
class Dense(Op):
    """Matrix product with a vector, plus bias."""

    units: int
    use_bias: bool = True

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(inputs[0]) != 1:
            raise InputError(f"Dense takes a vector, not shape {inputs[0]}")
        return (self.units,)

    def weights(self, *inputs: Shape) -> int:
        return inputs[0][0] * self.units

    def biases(self, *inputs: Shape) -> int:
        return self.units if self.use_bias else 0

    def macs(self, *inputs: Shape) -> int:
        return self.weights(*inputs)


@dataclass(frozen=True)
class BatchNorm(Op):
    """Batch normalisation over the last axis; folded into the convolution before it when deployed."""

    epsilon: float = 1e-3
    momentum: float = 0.99

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def biases(self, *inputs: Shape) -> int:
        return 2 * inputs[0][-1]


@dataclass(frozen=True)
class Activation(Op):
    """Element-wise non-linearity, one of :data:`ACTIVATIONS` (but ``linear``) or :data:`GATES`."""

    kind: str

    def __post_init__(self) -> None:
        if self.kind == "linear" or self.kind not in ACTIVATIONS + GATES:
            raise InputError(f"unknown activation {self.kind!r}: expected one of {', '.join(ACTIVATIONS[1:] + GATES)}")

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]


@dataclass(frozen=True)
class Add(Op):
    """Element-wise sum of two tensors of the same shape."""

    def output_shape(self, *inputs: Shape) -> Shape:
        if inputs[0] != inputs[1]:
            raise InputError(f"Add takes two equal shapes, not {inputs[0]} and {inputs[1]}")
        return inputs[0]


@dataclass(frozen=True)
class Multiply(Op):
    """Element-wise product; the second tensor may be ``(1, 1, channels)`` and is then broadcast."""

    def output_shape(self, *inputs: Shape) -> Shape:
        full, gate = inputs
        if gate not in (full, (1, 1, full[-1])):
            raise InputError(f"Multiply cannot broadcast {gate} to {full}")
        return full


@dataclass(frozen=True)
class Pool(Op):
    """``average`` or ``max`` over ``kernel x kernel`` windows; padding does not count in an average."""

    kind: str
    kernel: int
    stride: int

    def __post_init__(self) -> None:
        if self.kind not in ("average", "max"):
            raise InputError(f"unknown pooling {self.kind!r}: expected 'average' or 'max'")

    def output_shape(self, *inputs: Shape) -> Shape:
        channels = _image(self, inputs[0])[2]
        return (*_strided(inputs[0], self.stride), channels)


@dataclass(frozen=True)
class GlobalAveragePool(Op):
    """Mean over height and width: ``(channels,)``, or ``(1, 1, channels)`` with ``keep_sides``."""

    keep_sides: bool = False

    def output_shape(self, *inputs: Shape) -> Shape:
        channels = _image(self, inputs[0])[2]
        return (1, 1, channels) if self.keep_sides else (channels,)


@dataclass(frozen=True)
class Dropout(Op):
    """Zeroes a share of the features while training; nothing when deployed."""

    rate: float

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]
