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
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import Activation, Add, Concatenate, Convolution, Pool, Resize, Scale, Slice, WeightedSum
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
    """Tensors one behind another along an axis; nothing for a single one."""

    axis: int = -1

    input_count: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_choice("concat", "axis", self.axis, (-3, -2, -1, 0, 1, 2))

    def canonical(self, *input_shapes: Shape) -> Block:
        return Concat() if self.axis in (-1, len(input_shapes[0]) - 1) or len(input_shapes) == 1 else self

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        if len(builder.inputs) == 1:
            return builder.build(builder.inputs[0])
        return builder.build(builder.add("concat", Concatenate(self.axis), *builder.inputs))


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


@register_block("edge")
@dataclass(frozen=True)
class Edge(Block):
    """One edge of a SpaghettiNet: a 1x1 convolution to ``filters`` channels, to another level where one is named.

    ``up`` enlarges (nearest) behind the convolution; ``down`` takes the maxima over ``down + 1`` pixels before it
    (tensorflow/models, research/object_detection).
    """

    filters: int
    up: int = 1
    down: int = 1

    def __post_init__(self) -> None:
        check_whole("edge", filters=self.filters, up=self.up, down=self.down)
        if self.up > 1 and self.down > 1:
            raise InputError(f"edge: up {self.up} and down {self.down} cannot both be above 1")

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        height, width, _ = image_shape("edge", input_shapes[0])
        (out,) = builder.inputs
        if self.down > 1:
            out = builder.add("pool", Pool("max", self.down + 1, self.down), out)
        out = conv_bn_act(builder, "project", out, Convolution(self.filters), "linear")
        if self.up > 1:
            out = builder.add("resize", Resize(self.up * height, self.up * width, "repeat"), out)
        return builder.build(out)


@register_block("cropped_sum")
@dataclass(frozen=True)
class CroppedSum(Block):
    """Images of as many channels cropped to the smallest sides among them, added up, and activated."""

    activation: str = "relu6"

    input_count: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_activation("cropped_sum", self.activation)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        shapes = [image_shape("cropped_sum", shape) for shape in input_shapes]
        out = ""
        for number, source in enumerate(builder.inputs):
            for axis in (0, 1):
                side = min(shape[axis] for shape in shapes)
                if builder.shape(source)[axis] > side:
                    source = builder.add(f"crop{number}_{axis}", Slice(0, side, axis), source)
            out = builder.add(f"add{number}", Add(), out, source) if number else source
        if self.activation != "linear":
            out = builder.add("act", Activation(self.activation), out)
        return builder.build(out)
