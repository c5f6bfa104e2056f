"""Ops that move elements without computing: joining, cutting, padding, resizing, turning. Axes leave out the batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.ops.op import Op, Traits, image_sides, positive_axis, register_op
from edgenas.spaces.tensor import Shape


@register_op
@dataclass(frozen=True)
class Concatenate(Op):
    """Tensors one behind another along an axis."""

    axis: int = -1

    input_count: ClassVar[int | None] = None
    input_dtype: ClassVar[str] = "any"
    traits: ClassVar[Traits] = Traits(same_scale=True)

    def output_shape(self, *inputs: Shape) -> Shape:
        axis = positive_axis(self, self.axis, inputs[0])
        for shape in inputs[1:]:
            if len(shape) != len(inputs[0]) or any(
                a != b for place, (a, b) in enumerate(zip(inputs[0], shape, strict=True)) if place != axis
            ):
                raise InputError(f"Concatenate along axis {self.axis} does not fit {inputs[0]} and {shape}")
        return (*inputs[0][:axis], sum(shape[axis] for shape in inputs), *inputs[0][axis + 1 :])


@register_op
@dataclass(frozen=True)
class Slice(Op):
    """``size`` elements along an axis from ``start`` on: one part of a split."""

    start: int
    size: int
    axis: int = -1

    input_dtype: ClassVar[str] = "any"
    traits: ClassVar[Traits] = Traits(keeps_range=True)

    def output_shape(self, *inputs: Shape) -> Shape:
        axis = positive_axis(self, self.axis, inputs[0])
        if self.start < 0 or self.size < 1 or self.start + self.size > inputs[0][axis]:
            raise InputError(
                f"Slice of {self.size} from {self.start} does not fit axis {self.axis} of {tuple(inputs[0])}"
            )
        return (*inputs[0][:axis], self.size, *inputs[0][axis + 1 :])


@register_op
@dataclass(frozen=True)
class Pad(Op):
    """Zeros around an image."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    traits: ClassVar[Traits] = Traits(keeps_range=True)

    def __post_init__(self) -> None:
        if min(self.top, self.bottom, self.left, self.right) < 0:
            raise InputError("Pad: sides to add must be at least 0")

    def output_shape(self, *inputs: Shape) -> Shape:
        height, width, channels = image_sides(self, inputs[0])
        return (height + self.top + self.bottom, width + self.left + self.right, channels)

    def does_nothing(self, *inputs: Shape) -> bool:
        return not (self.top or self.bottom or self.left or self.right)


@register_op
@dataclass(frozen=True)
class Resize(Op):
    """An image in another size, ``nearest`` or ``bilinear``, with pixel centres at half (TensorFlow 2).

    ``repeat`` gives what ``nearest`` does where both sides are whole multiples, in a form that more accelerators take:
    pixel centres at the corner.
    """

    height: int
    width: int
    kind: str = "nearest"

    traits: ClassVar[Traits] = Traits(keeps_range=True)

    def __post_init__(self) -> None:
        if self.kind not in ("nearest", "bilinear", "repeat"):
            raise InputError(f"unknown resizing {self.kind!r}: expected 'nearest', 'bilinear' or 'repeat'")
        if min(self.height, self.width) < 1:
            raise InputError(f"Resize: sides must be at least 1, not {self.height} x {self.width}")

    def output_shape(self, *inputs: Shape) -> Shape:
        height, width, channels = image_sides(self, inputs[0])
        if self.kind == "repeat" and (self.height % height or self.width % width):
            raise InputError(f"Resize: {height} x {width} cannot be repeated to {self.height} x {self.width}")
        return (self.height, self.width, channels)


@register_op
@dataclass(frozen=True)
class Reshape(Op):
    """The same elements in another shape; one side may be -1, which is what is left."""

    shape: tuple[int, ...]

    input_dtype: ClassVar[str] = "any"
    traits: ClassVar[Traits] = Traits(in_place=True, keeps_range=True)

    def output_shape(self, *inputs: Shape) -> Shape:
        elements = math.prod(inputs[0])
        known = math.prod(side for side in self.shape if side != -1)
        fits = known and (elements % known == 0 if self.shape.count(-1) == 1 else elements == known)
        if not fits or self.shape.count(-1) > 1:
            raise InputError(f"Reshape: {tuple(inputs[0])} does not fit {self.shape}")
        return tuple(elements // known if side == -1 else side for side in self.shape)

    def does_nothing(self, *inputs: Shape) -> bool:
        return tuple(self.output_shape(*inputs)) == tuple(inputs[0])


@register_op
@dataclass(frozen=True)
class Transpose(Op):
    """Axes in another order: ``order[i]`` is the input's axis that becomes axis ``i``."""

    order: tuple[int, ...]

    input_dtype: ClassVar[str] = "any"
    traits: ClassVar[Traits] = Traits(keeps_range=True)

    def output_shape(self, *inputs: Shape) -> Shape:
        if sorted(self.order) != list(range(len(inputs[0]))):
            raise InputError(f"Transpose: {self.order} is no order of the axes of {tuple(inputs[0])}")
        return tuple(inputs[0][axis] for axis in self.order)
