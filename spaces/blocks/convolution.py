"""Convolution, batch normalisation, activation: the stem and the last convolution of most networks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.pieces import KERNELS, check_activation, check_choice, check_flag, check_whole, conv_bn_act
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import Add, Convolution, Shape


@register_block("conv")
@dataclass(frozen=True)
class ConvBnAct(Block):
    """``kernel x kernel`` convolution without bias, batch normalisation, activation.

    With ``skip`` the input is added where the shapes allow it: what EfficientNetV2 (arXiv 2104.00298) calls a fused
    MBConv with expansion 1.
    """

    filters: int
    kernel: int = 3
    stride: int = 1
    activation: str = "relu"
    skip: bool = False

    def __post_init__(self) -> None:
        check_whole("conv", filters=self.filters, stride=self.stride)
        check_choice("conv", "kernel", self.kernel, KERNELS)
        check_activation("conv", self.activation)
        check_flag("conv", skip=self.skip)

    def has_skip(self, input_shape: Shape) -> bool:
        """Whether the input is added to the output: only at stride 1 and equal widths."""
        return self.skip and self.stride == 1 and input_shape[-1] == self.filters

    def canonical(self, *input_shapes: Shape) -> Block:
        skip = self.has_skip(input_shapes[0])
        return self if skip == self.skip else dataclasses.replace(self, skip=skip)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        conv = Convolution(self.filters, self.kernel, self.stride)
        out = conv_bn_act(builder, "main", builder.inputs[0], conv, self.activation)
        if self.has_skip(input_shapes[0]):
            out = builder.add("add", Add(), builder.inputs[0], out)
        return builder.build(out)
