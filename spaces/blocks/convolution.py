"""Convolution, batch normalisation, activation: the stem and the last convolution of most networks."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.pieces import KERNELS, check_activation, check_choice, check_whole, conv_bn_act
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import Convolution, Shape


@register_block("conv")
@dataclass(frozen=True)
class ConvBnAct(Block):
    """``kernel x kernel`` convolution without bias, batch normalisation, activation."""

    filters: int
    kernel: int = 3
    stride: int = 1
    activation: str = "relu"

    def __post_init__(self) -> None:
        check_whole("conv", filters=self.filters, stride=self.stride)
        check_choice("conv", "kernel", self.kernel, KERNELS)
        check_activation("conv", self.activation)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        conv = Convolution(self.filters, self.kernel, self.stride)
        return builder.build(conv_bn_act(builder, "main", builder.inputs[0], conv, self.activation))
