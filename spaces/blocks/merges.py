"""Blocks that bring several values together, and those that stand for nothing or for no change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.pieces import (
    check_activation,
    check_choice,
    check_flag,
    check_whole,
    conv_bn_act,
    image_shape,
)
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import Activation, Add, Concatenate, Convolution, Pool, Resize, Scale, WeightedSum
from edgenas.spaces.tensor import Shape


@register_block("sum")
@dataclass(frozen=True)
class Sum(Block):
    """Sum of any number of tensors of one shape, as chained additions; nothing for a single one."""

    activation: str = "linear"

    input_count: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_activation("sum", self.activation)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        total = builder.inputs[0]
        for number, source in enumerate(builder.inputs[1:], start=1):
            total = builder.add(f"add{number}", Add(), total, source)
        if self.activation != "linear":
            total = builder.add("act", Activation(self.activation), total)
        return builder.build(total)


@register_block("weighted_sum")
@dataclass(frozen=True)
class WeightedFusion(Block):
    """Sum of tensors of one shape with trained weights (BiFPN, arXiv 1911.09070); nothing for a single one."""

    activation: str = "linear"

    input_count: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_activation("weighted_sum", self.activation)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        total = builder.inputs[0]
        if len(builder.inputs) > 1:
            total = builder.add("sum", WeightedSum(), *builder.inputs)
        if self.activation != "linear":
            total = builder.add("act", Activation(self.activation), total)
        return builder.build(total)


@register_block("concat")
@dataclass(frozen=True)
class Concat(Block):
    """Tensors side by side along their last axis; nothing for a single one."""

    input_count: ClassVar[int | None] = None

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        if len(builder.inputs) == 1:
            return builder.build(builder.inputs[0])
        return builder.build(builder.add("concat", Concatenate(), *builder.inputs))


@register_block("identity")
@dataclass(frozen=True)
class Identity(Block):
    """Its input as it came."""

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        return builder.build(builder.inputs[0])


@register_block("zeros")
@dataclass(frozen=True)
class Zeros(Block):
    """Zeros of the input's shape: what is left of a node whose inputs are all left out."""

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        return builder.build(builder.add("zero", Scale(0.0), builder.inputs[0]))


def resample(
    builder: GraphBuilder, name: str, source: str, sides: tuple[int, int], filters: int, pooling: str, resizing: str
) -> str:
    """An image with other sides and, unless ``filters`` is 0, that many channels.

    Smaller: max or average pooling over ``2 * stride - 1`` pixels where the stride is whole; larger: resized. The 1x1
    convolution to other channels runs on the smaller of the two images.
    """
    height, width, channels = builder.shape(source)
    changes = filters not in (0, channels)
    if changes and sides[0] * sides[1] >= height * width:
        source = conv_bn_act(builder, name, source, Convolution(filters), "linear")
    stride = -(-height // sides[0])
    if stride > 1 and (-(-height // stride), -(-width // stride)) == sides:
        source = builder.add(f"{name}_pool", Pool(pooling, 2 * stride - 1, stride), source)
    elif sides != (height, width):
        source = builder.add(f"{name}_resize", Resize(*sides, resizing), source)
    if changes and sides[0] * sides[1] < height * width:
        source = conv_bn_act(builder, name, source, Convolution(filters), "linear")
    return source


def check_resampling(owner: str, pooling: str, resizing: str) -> None:
    check_choice(owner, "pooling", pooling, ("max", "average"))
    check_choice(owner, "resizing", resizing, ("nearest", "bilinear"))


def fused_levels(builder: GraphBuilder, owner: str, filters: int, weighted: bool, pooling: str, resizing: str) -> str:
    """The inputs of a block at the sides of the first and with so many channels, added up."""
    height, width, _ = image_shape(owner, builder.shape(builder.inputs[0]))
    levels = []
    for number, source in enumerate(builder.inputs):
        image_shape(owner, builder.shape(source))
        levels.append(resample(builder, f"level{number}", source, (height, width), filters, pooling, resizing))
    out = levels[0]
    if weighted and len(levels) > 1:
        return builder.add("sum", WeightedSum(), *levels)
    for number, level in enumerate(levels[1:], start=1):
        out = builder.add(f"add{number}", Add(), out, level)
    return out


@register_block("resample")
@dataclass(frozen=True)
class Resample(Block):
    """An image with its sides multiplied by ``up`` or divided by ``down``, and with ``filters`` channels if given."""

    filters: int = 0
    up: int = 1
    down: int = 1
    pooling: str = "max"
    resizing: str = "nearest"

    def __post_init__(self) -> None:
        check_whole("resample", up=self.up, down=self.down)
        check_whole("resample", least=0, filters=self.filters)
        check_resampling("resample", self.pooling, self.resizing)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        height, width, _ = image_shape("resample", input_shapes[0])
        sides = (-(-height // self.down) * self.up, -(-width // self.down) * self.up)
        source = builder.inputs[0]
        return builder.build(resample(builder, "project", source, sides, self.filters, self.pooling, self.resizing))


@register_block("fusion")
@dataclass(frozen=True)
class Fusion(Block):
    """Images of several levels, each brought to the sides of the first and to ``filters`` channels, and added up.

    With ``weighted`` each has a trained weight (BiFPN, arXiv 1911.09070).
    """

    filters: int
    weighted: bool = False
    activation: str = "linear"
    pooling: str = "max"
    resizing: str = "nearest"

    input_count: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_whole("fusion", filters=self.filters)
        check_flag("fusion", weighted=self.weighted)
        check_activation("fusion", self.activation)
        check_resampling("fusion", self.pooling, self.resizing)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        out = fused_levels(builder, "fusion", self.filters, self.weighted, self.pooling, self.resizing)
        if self.activation != "linear":
            out = builder.add("act", Activation(self.activation), out)
        return builder.build(out)
