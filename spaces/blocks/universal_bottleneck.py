"""The universal inverted bottleneck of MobileNetV4 (arXiv 2404.10518): two depthwise convolutions, either left out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.inverted_bottleneck import plain_ratio
from edgenas.spaces.blocks.pieces import (
    check_activation,
    check_choice,
    check_flag,
    check_positive,
    check_whole,
    conv_bn_act,
    image_shape,
)
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import Add, Convolution, DepthwiseConvolution, Shape
from edgenas.spaces.rounding import round_filters

_KERNELS = (0, 3, 5, 7)


@register_block("uib")
@dataclass(frozen=True)
class UniversalInvertedBottleneck(Block):
    """Depthwise convolution, 1x1 expansion, depthwise convolution, 1x1 projection, with a skip where it fits.

    ``start_kernel`` is that of the first depthwise convolution, which has no activation; ``kernel`` that of the one
    between expansion and projection. 0 leaves one out: ``0`` and ``k`` is an inverted bottleneck, ``k`` and ``0`` a
    ConvNeXt-like block, ``0`` and ``0`` a feed-forward net, both the block with an extra depthwise convolution. The
    stride is that of ``kernel``, or of ``start_kernel`` where there is no other.
    """

    filters: int
    start_kernel: int = 0
    kernel: int = 3
    stride: int = 1
    expansion: float = 4
    activation: str = "relu"
    skip: bool = True

    def __post_init__(self) -> None:
        check_whole("uib", filters=self.filters, stride=self.stride)
        check_positive("uib", expansion=self.expansion)
        check_flag("uib", skip=self.skip)
        check_choice("uib", "start_kernel", self.start_kernel, _KERNELS)
        check_choice("uib", "kernel", self.kernel, _KERNELS)
        check_activation("uib", self.activation)
        if self.stride > 1 and not (self.start_kernel or self.kernel):
            raise InputError(
                f"uib: stride {self.stride} needs a depthwise convolution: give start_kernel or kernel (3, 5 or 7)"
            )

    def has_skip(self, input_shape: Shape) -> bool:
        """Whether the input is added to the output: only at stride 1 and equal widths."""
        return self.skip and self.stride == 1 and input_shape[-1] == self.filters

    def expanded_filters(self, input_shape: Shape) -> int:
        """Width between expansion and projection."""
        return round_filters(input_shape[-1] * self.expansion)

    def canonical(self, *input_shapes: Shape) -> Block:
        expansion = plain_ratio(self.expanded_filters(input_shapes[0]) / input_shapes[0][-1])
        return dataclasses.replace(self, expansion=expansion, skip=self.has_skip(input_shapes[0]))

    def lower(self, *input_shapes: Shape) -> OpGraph:
        image_shape("uib", input_shapes[0])
        builder = GraphBuilder(*input_shapes)
        (source,) = builder.inputs
        out = source
        if self.start_kernel:
            start = DepthwiseConvolution(self.start_kernel, 1 if self.kernel else self.stride)
            out = conv_bn_act(builder, "start", out, start, "linear")
        expanded = Convolution(self.expanded_filters(input_shapes[0]))
        out = conv_bn_act(builder, "expand", out, expanded, self.activation)
        if self.kernel:
            middle = DepthwiseConvolution(self.kernel, self.stride)
            out = conv_bn_act(builder, "depthwise", out, middle, self.activation)
        out = conv_bn_act(builder, "project", out, Convolution(self.filters), "linear")
        if self.has_skip(input_shapes[0]):
            out = builder.add("add", Add(), source, out)
        return builder.build(out)
