"""The op that turns logits into labels. It is no part of what is trained: nothing flows back through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.ops.op import Op, Traits, image_sides, register_op
from edgenas.spaces.tensor import Shape

ARG_MAX_OPERATORS = ("operator", "chain")
#: Labels are stored in 8 bits.
MOST_LABELS = 127


@register_op
@dataclass(frozen=True)
class ClassMap(Op):
    """The number of the largest channel of every pixel, as a real number; the first of equals.

    ``operators``: ``operator`` is one arg-max and a cast; ``chain`` is, in int8 files, made of maxima, differences,
    products and sums, which accelerators take that have no arg-max.
    """

    operators: str = "operator"

    traits: ClassVar[Traits] = Traits(only_deployed=True)

    def __post_init__(self) -> None:
        if self.operators not in ARG_MAX_OPERATORS:
            raise InputError(
                f"unknown operators of an arg-max {self.operators!r}: expected {' or '.join(ARG_MAX_OPERATORS)}"
            )

    def output_shape(self, *inputs: Shape) -> Shape:
        height, width, channels = image_sides(self, inputs[0])
        if channels > MOST_LABELS:
            raise InputError(f"ClassMap: {channels} classes are more than the {MOST_LABELS} that 8 bits tell apart")
        return (height, width)
