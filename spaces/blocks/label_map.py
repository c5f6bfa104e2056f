"""The end of a deployed segmentation network: from logits of any size to the labels of the picture's pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.pieces import check_choice, check_whole, image_shape
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import ARG_MAX_OPERATORS, ClassMap, Reshape, Resize
from edgenas.spaces.tensor import Shape


@register_block("label_map")
@dataclass(frozen=True)
class LabelMap(Block):
    """Logits resized (bilinear) to ``at_height`` x ``at_width``, the arg-max, and labels resized (nearest) to the rest.

    Taking the arg-max before the last enlargement moves one number for each pixel instead of one for each class
    (Autoseg-EdgeTPU's fused arg-max). It runs in the deployed network only.
    """

    height: int
    width: int
    at_height: int
    at_width: int
    argmax: str = "operator"

    only_deployed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("label_map", height=self.height, width=self.width, at_height=self.at_height, at_width=self.at_width)
        check_choice("label_map", "argmax", self.argmax, ARG_MAX_OPERATORS)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        sides = image_shape("label_map", input_shapes[0])[:2]
        out = builder.inputs[0]
        if sides != (self.at_height, self.at_width):
            out = builder.add("enlarge", Resize(self.at_height, self.at_width, "bilinear"), out)
        out = builder.add("labels", ClassMap(self.argmax), out)
        if (self.height, self.width) == (self.at_height, self.at_width):
            return builder.build(out)
        out = builder.add("as_image", Reshape((self.at_height, self.at_width, 1)), out)
        whole = self.height % self.at_height == 0 == self.width % self.at_width
        out = builder.add("repeat", Resize(self.height, self.width, "repeat" if whole else "nearest"), out)
        return builder.build(builder.add("as_map", Reshape((self.height, self.width)), out))
