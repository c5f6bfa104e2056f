"""Blocks that activate before they filter, as cells of NAS-Bench-201 do (arXiv 2001.00326)."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.pieces import KERNELS, check_activation, check_choice, check_whole, image_shape
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import Activation, Add, BatchNorm, Convolution, Pool
from edgenas.spaces.tensor import Shape


def _relu_conv_bn(builder: GraphBuilder, name: str, source: str, conv: Convolution) -> str:
    out = builder.add(f"{name}_relu", Activation("relu"), source)
    return builder.add(f"{name}_bn", BatchNorm(), builder.add(f"{name}_conv", conv, out))


@register_block("relu_conv")
@dataclass(frozen=True)
class ReluConv(Block):
    """ReLU, convolution without bias, batch normalisation; as many filters as channels unless given."""

    kernel: int = 3
    stride: int = 1
    filters: int = 0

    def __post_init__(self) -> None:
        check_whole("relu_conv", stride=self.stride)
        check_whole("relu_conv", least=0, filters=self.filters)
        check_choice("relu_conv", "kernel", self.kernel, KERNELS)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        channels = image_shape("relu_conv", input_shapes[0])[2]
        builder = GraphBuilder(*input_shapes)
        conv = Convolution(self.filters or channels, self.kernel, self.stride)
        return builder.build(_relu_conv_bn(builder, "main", builder.inputs[0], conv))


@register_block("residual_reduction")
@dataclass(frozen=True)
class ResidualReduction(Block):
    """Two ReLU-convolutions of which the first halves the sides, beside an average pool and a 1x1 convolution."""

    filters: int

    def __post_init__(self) -> None:
        check_whole("residual_reduction", filters=self.filters)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        image_shape("residual_reduction", input_shapes[0])
        builder = GraphBuilder(*input_shapes)
        (source,) = builder.inputs
        out = _relu_conv_bn(builder, "first", source, Convolution(self.filters, 3, 2))
        out = _relu_conv_bn(builder, "second", out, Convolution(self.filters, 3))
        short = builder.add("short_pool", Pool("average", 2, 2), source)
        short = builder.add("short_conv", Convolution(self.filters), short)
        return builder.build(builder.add("add", Add(), short, out))


@register_block("norm_act")
@dataclass(frozen=True)
class NormAct(Block):
    """Batch normalisation and activation."""

    activation: str = "relu"

    def __post_init__(self) -> None:
        check_activation("norm_act", self.activation)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        out = builder.add("bn", BatchNorm(), builder.inputs[0])
        return builder.build(
            out if self.activation == "linear" else builder.add("act", Activation(self.activation), out)
        )
