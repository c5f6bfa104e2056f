"""The op interface: one class per primitive, with everything about it that no framework or device needs to say.

    @register_op
    @dataclass(frozen=True)
    class MyOp(Op):
        def output_shape(self, *inputs): ...

Its Keras layer, its TFLite operator and its mapping to an accelerator live on the floors that know about them and are
keyed by the class. Whoever reads ops asks for their :class:`Traits`, never for their class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.registry import Registry
from edgenas.spaces.tensor import Shape, TensorSpec, bias_bytes, element_bytes

OpType = TypeVar("OpType", bound="type[Op]")
_REGISTRY: Registry[type[Op]] = Registry("op", origin=lambda cls: str(cls.__module__))


@dataclass(frozen=True)
class Traits:
    """What consumers need to know of every op of a class.

    Attributes:
        has_kernel: it has a kernel and room for a bias, into which a batch norm that follows can be folded.
        kernel_axis: which axis of the kernel counts the output channels.
        per_channel: its int8 kernel has a scale for each output channel rather than one for all.
        always_biased: its deployed operator has a bias whether it was trained with one or not.
        fuses_activation: the deployed operator takes a relu or relu6 that follows along for free.
        gone_when_deployed: nothing is left of it in a deployed model.
        in_place: its output may take the place of its input, element by element.
        keeps_range: every value it puts out is one that it read (or 0), so its int8 output has the scale of its input.
        same_scale: its int8 inputs must have the scale of its output.
        normalises: a batch norm: a scale and a shift for each channel, from statistics.
        folds_into_kernel: a scale, or a scale and shift, that the kernel before it takes up.
        only_deployed: it runs in deployed networks only, and no converter writes it.
        commutes: the order of its inputs makes no difference.
        takes_real: it reads real numbers in every precision, at the beginning of a network.
        gives_real: it puts out real numbers in every precision, at the end of a network.
    """

    has_kernel: bool = False
    kernel_axis: int = -1
    per_channel: bool = True
    always_biased: bool = False
    fuses_activation: bool = False
    gone_when_deployed: bool = False
    in_place: bool = False
    keeps_range: bool = False
    same_scale: bool = False
    normalises: bool = False
    folds_into_kernel: bool = False
    only_deployed: bool = False
    commutes: bool = False
    takes_real: bool = False
    gives_real: bool = False


@dataclass(frozen=True)
class Op(ABC):
    """One primitive. Costs are for one example; the arguments are the specs (or plain shapes) of its inputs."""

    traits: ClassVar[Traits] = Traits()
    #: How many tensors it reads; None for one or more.
    input_count: ClassVar[int | None] = 1
    #: The type of the elements that it reads.
    input_dtype: ClassVar[str] = "float32"

    def output(self, *inputs: Shape) -> TensorSpec:
        """Spec of the only output. Raises InputError when the op does not fit the inputs."""
        return self.output_of([TensorSpec.of(shape) for shape in inputs])

    def output_of(self, specs: Sequence[TensorSpec]) -> TensorSpec:
        """The same of specs."""
        count, dtype = self.input_count, self.input_dtype
        if count is None and not specs:
            raise InputError(f"{type(self).__name__} reads one tensor or more, not none")
        if count is not None and len(specs) != count:
            raise InputError(f"{type(self).__name__} reads {count} tensor(s), not {len(specs)}")
        for spec in specs:
            if dtype != spec.dtype and dtype != "any":
                raise InputError(f"{type(self).__name__} takes {dtype}, not {spec!r} of {spec.dtype}")
        shape, made = self.output_shape(*specs), self.output_dtype(*specs)
        return shape if isinstance(shape, TensorSpec) and shape.dtype == made else TensorSpec(shape, made)

    @abstractmethod
    def output_shape(self, *inputs: Shape) -> Shape:
        """Shape of the only output. Raises InputError when the op does not fit the inputs."""

    def output_dtype(self, *inputs: TensorSpec) -> str:
        """Type of the output's elements: that of the first input, unless the op says otherwise."""
        return inputs[0].dtype

    def macs(self, *inputs: Shape) -> int:
        """Multiply-accumulates of matrix products and convolutions; element-wise work counts as 0."""
        return 0

    def weights(self, *inputs: Shape) -> int:
        """Elements of its kernels or tables: what is quantized to 8 bits in an int8 model."""
        return 0

    def biases(self, *inputs: Shape) -> int:
        """Elements of its bias, or of scale and shift: kept in 32 bits in an int8 model."""
        return 0

    def params(self, *inputs: Shape) -> int:
        """Trainable parameters. Moving statistics of batch normalisation do not count."""
        return self.weights(*inputs) + self.biases(*inputs)

    def deployed_biases(self, *inputs: Shape) -> int:
        """Elements of its bias once deployed: one for each output channel of a kernel, whether trained or folded."""
        return self.output_shape(*inputs)[-1] if self.traits.has_kernel else self.biases(*inputs)

    def weight_bytes(self, precision: str, *inputs: Shape) -> int:
        """Bytes of its constants in a deployed model; a batch norm counts as folded."""
        if self.traits.normalises:
            return 0
        return self.weights(*inputs) * element_bytes(precision) + self.deployed_biases(*inputs) * bias_bytes(precision)

    def does_nothing(self, *inputs: Shape) -> bool:
        """Whether nothing is left of it in a deployed model, on these inputs."""
        return self.traits.gone_when_deployed


def register_op(cls: OpType) -> OpType:
    """Class decorator that makes an op known by its class's name. Raises InputError when another has the name."""
    return _REGISTRY.decorator(cls.__name__)(cls)


def op_classes() -> tuple[type[Op], ...]:
    """All registered ops, by name."""
    return tuple(_REGISTRY.get(name) for name in _REGISTRY)


def op_class(name: str) -> type[Op]:
    """The op registered under this name. Raises InputError with the known ones."""
    return _REGISTRY.get(name)


def image_sides(op: Op, shape: Shape) -> tuple[int, int, int]:
    """Height, width and channels. Raises InputError for anything but an image."""
    if len(shape) != 3:
        raise InputError(f"{type(op).__name__} takes an image (height, width, channels), not {tuple(shape)}")
    return shape[0], shape[1], shape[2]


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """``3`` as ``(3, 3)``: sides of a kernel, strides, dilations, first along the height."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def strided(shape: Shape, strides: tuple[int, int]) -> tuple[int, int]:
    """Height and width after padding as TensorFlow's ``SAME`` does: ``ceil(side / stride)``."""
    return -(-shape[0] // strides[0]), -(-shape[1] // strides[1])


def windows(
    op: Op, shape: Shape, kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int]
) -> tuple[int, int]:
    """Height and width without any padding. Raises InputError when the window is larger than the image."""
    spans = [(side - 1) * dilation + 1 for side, dilation in zip(kernel, dilations, strict=True)]
    if spans[0] > shape[0] or spans[1] > shape[1]:
        raise InputError(f"{type(op).__name__}: a window of {spans[0]}x{spans[1]} does not fit {tuple(shape)}")
    return (shape[0] - spans[0]) // strides[0] + 1, (shape[1] - spans[1]) // strides[1] + 1


def positive_axis(op: Op, axis: int, shape: Shape) -> int:
    """The axis counted from the front, without the batch. Raises InputError when there is none such."""
    if not -len(shape) <= axis < len(shape):
        raise InputError(f"{type(op).__name__}: axis {axis} does not exist in shape {tuple(shape)}")
    return axis % len(shape)
