"""The inverted bottleneck of CoAtNet (arXiv 2106.04803): normalised before it computes, residual at every stride."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.pieces import (
    KERNELS,
    check_activation,
    check_choice,
    check_positive,
    check_squeeze_excite,
    check_whole,
    conv_bn_act,
    image_shape,
    squeeze_excite,
)
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import Add, BatchNorm, Convolution, DepthwiseConvolution, Pool, Shape
from edgenas.spaces.rounding import round_filters


def shortcut(builder: GraphBuilder, source: str, filters: int, stride: int) -> str:
    """The residual branch of a block: average pooling where it strides, 1x1 convolution where the width changes."""
    if stride > 1:
        source = builder.add("shortcut_pool", Pool("average", stride, stride), source)
    if builder.shape(source)[-1] == filters:
        return source
    return builder.add("shortcut_conv", Convolution(filters, use_bias=True), source)


@register_block("pre_norm_ibn")
@dataclass(frozen=True)
class PreNormInvertedBottleneck(Block):
    """Batch norm, 1x1 expansion, depthwise ``kernel x kernel``, squeeze-excite, 1x1 projection, and a residual.

    ``expansion`` multiplies the block's own filters, and ``se_ratio`` is a share of these too.
    """

    filters: int
    kernel: int = 3
    stride: int = 1
    expansion: float = 4
    activation: str = "gelu"
    se_ratio: float = 0.25

    def __post_init__(self) -> None:
        check_whole("pre_norm_ibn", filters=self.filters, stride=self.stride)
        check_positive("pre_norm_ibn", expansion=self.expansion)
        check_choice("pre_norm_ibn", "kernel", self.kernel, KERNELS)
        check_activation("pre_norm_ibn", self.activation)
        check_squeeze_excite("pre_norm_ibn", self.se_ratio, "sigmoid")

    def lower(self, *input_shapes: Shape) -> OpGraph:
        image_shape("pre_norm_ibn", input_shapes[0])
        builder = GraphBuilder(*input_shapes)
        (source,) = builder.inputs
        out = builder.add("norm", BatchNorm(), source)
        expanded = round_filters(self.filters * self.expansion)
        out = conv_bn_act(builder, "expand", out, Convolution(expanded), self.activation)
        depthwise = DepthwiseConvolution(self.kernel, self.stride)
        out = conv_bn_act(builder, "depthwise", out, depthwise, self.activation)
        if self.se_ratio:
            squeezed = max(1, int(self.filters * self.se_ratio))
            out = squeeze_excite(builder, out, squeezed, "sigmoid", "swish")
        out = builder.add("project_conv", Convolution(self.filters, use_bias=True), out)
        return builder.build(builder.add("add", Add(), shortcut(builder, source, self.filters, self.stride), out))

    def canonical(self, *input_shapes: Shape) -> Block:
        # The width that is built, not the ratio that was asked for, is what costs.
        expanded = round_filters(self.filters * self.expansion)
        ratio = expanded / self.filters
        return dataclasses.replace(self, expansion=int(ratio) if ratio == int(ratio) else round(ratio, 6))
