"""The op that makes boxes of a detector's outputs. It is no part of what is trained: nothing flows back through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.ops.op import Op, Traits, register_op
from edgenas.spaces.tensor import Shape

#: Numbers of a box, and of the anchor that it is told against.
BOX_NUMBERS = 4


@register_op
@dataclass(frozen=True)
class DetectionPostProcess(Op):
    """Encodings (anchors, 4) and logits (anchors, classes) as boxes, decoded and suppressed, at most ``most_boxes``.

    TFLite has one operator for it, which also puts out classes, scores and their number; its first output is told here.
    """

    most_boxes: int = 100

    input_count: ClassVar[int | None] = 2
    traits: ClassVar[Traits] = Traits(only_deployed=True, gives_real=True)

    def __post_init__(self) -> None:
        if self.most_boxes < 1:
            raise InputError(f"DetectionPostProcess: at least one box, not {self.most_boxes!r}")

    def output_shape(self, *inputs: Shape) -> Shape:
        boxes, classes = (tuple(shape) for shape in inputs)
        if len(boxes) != 2 or boxes[1] != BOX_NUMBERS or len(classes) != 2 or classes[0] != boxes[0]:
            raise InputError(
                f"DetectionPostProcess takes (anchors, {BOX_NUMBERS}) and (anchors, classes), not {boxes} and {classes}"
            )
        return (self.most_boxes, BOX_NUMBERS)

    def weight_bytes(self, precision: str, *inputs: Shape) -> int:
        """The anchors, in 32 bits."""
        return 4 * BOX_NUMBERS * inputs[0][0]
