"""Blocks of networks that answer for every pixel: BiFPN nodes, ASPP, skips from finer features, the last classifier."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.merges import check_resampling, fused_levels
from edgenas.spaces.blocks.pieces import (
    KERNELS,
    check_activation,
    check_choice,
    check_flag,
    check_share,
    check_whole,
    conv_bn_act,
    image_shape,
)
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import Concatenate, Convolution, DepthwiseConvolution, Dropout, GlobalAveragePool, Resize, Shape


def separable(builder: GraphBuilder, name: str, source: str, filters: int, kernel: int, activation: str) -> str:
    """Depthwise convolution without normalisation, 1x1 convolution, batch normalisation, activation."""
    deep = builder.add(f"{name}_depthwise", DepthwiseConvolution(kernel), source)
    return conv_bn_act(builder, name, deep, Convolution(filters), activation)


@register_block("bifpn_node")
@dataclass(frozen=True)
class BifpnNode(Block):
    """Images of several levels brought to the sides of the first and added up, then a separable convolution.

    EfficientDet's BiFPN (arXiv 1911.09070) in the form of Autoseg-EdgeTPU: sums are chained additions, smaller levels
    are enlarged bilinearly, larger ones average-pooled. ``weighted`` gives each a trained weight (fast normalised
    fusion). ``filters: 0`` keeps the width of the first input.
    """

    filters: int = 0
    kernel: int = 3
    weighted: bool = False
    activation: str = "relu6"
    pooling: str = "average"
    resizing: str = "bilinear"

    input_count: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_whole("bifpn_node", least=0, filters=self.filters)
        check_choice("bifpn_node", "kernel", self.kernel, KERNELS)
        check_flag("bifpn_node", weighted=self.weighted)
        check_activation("bifpn_node", self.activation)
        check_resampling("bifpn_node", self.pooling, self.resizing)

    def canonical(self, *input_shapes: Shape) -> Block:
        width = self.filters or input_shapes[0][-1]
        return dataclasses.replace(self, filters=width, weighted=self.weighted and len(input_shapes) > 1)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        width = self.filters or image_shape("bifpn_node", input_shapes[0])[2]
        fused = fused_levels(builder, "bifpn_node", width, self.weighted, self.pooling, self.resizing)
        return builder.build(separable(builder, "out", fused, width, self.kernel, self.activation))


@register_block("aspp")
@dataclass(frozen=True)
class AsppLite(Block):
    """A 1x1 convolution beside the picture's mean and, with ``dilation``, a dilated separable one; joined by 1x1.

    The light form of DeepLabV3's pyramid (arXiv 1706.05587) that MobileNetV2 is published with (arXiv 1801.04381).
    """

    filters: int
    dilation: int = 0
    activation: str = "relu"

    def __post_init__(self) -> None:
        check_whole("aspp", filters=self.filters)
        check_whole("aspp", least=0, dilation=self.dilation)
        check_activation("aspp", self.activation)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        height, width, _ = image_shape("aspp", input_shapes[0])
        builder = GraphBuilder(*input_shapes)
        (source,) = builder.inputs
        branches = [conv_bn_act(builder, "point", source, Convolution(self.filters), self.activation)]
        if self.dilation:
            wide = builder.add("wide_depthwise", DepthwiseConvolution(3, dilation=self.dilation), source)
            branches.append(conv_bn_act(builder, "wide", wide, Convolution(self.filters), self.activation))
        mean = builder.add("mean_pool", GlobalAveragePool(keep_sides=True), source)
        mean = conv_bn_act(builder, "mean", mean, Convolution(self.filters), self.activation)
        branches.append(builder.add("mean_resize", Resize(height, width, "bilinear"), mean))
        joined = builder.add("join", Concatenate(), *branches)
        return builder.build(conv_bn_act(builder, "project", joined, Convolution(self.filters), self.activation))


@register_block("skip_decoder")
@dataclass(frozen=True)
class SkipDecoder(Block):
    """Coarse features (the second input) enlarged to fine ones (the first), joined, and filtered.

    The decoder of DeepLabV3+ (arXiv 1802.02611): the fine features are first projected to ``skip_filters``.
    """

    filters: int
    skip_filters: int = 48
    kernel: int = 3
    activation: str = "relu"

    input_count: ClassVar[int | None] = 2

    def __post_init__(self) -> None:
        check_whole("skip_decoder", filters=self.filters, skip_filters=self.skip_filters)
        check_choice("skip_decoder", "kernel", self.kernel, KERNELS)
        check_activation("skip_decoder", self.activation)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        height, width, _ = image_shape("skip_decoder", input_shapes[0])
        builder = GraphBuilder(*input_shapes)
        fine, coarse = builder.inputs
        skip = conv_bn_act(builder, "skip", fine, Convolution(self.skip_filters), self.activation)
        if image_shape("skip_decoder", input_shapes[1])[:2] != (height, width):
            coarse = builder.add("enlarge", Resize(height, width, "bilinear"), coarse)
        joined = builder.add("join", Concatenate(), coarse, skip)
        return builder.build(separable(builder, "out", joined, self.filters, self.kernel, self.activation))


@register_block("pixel_classifier")
@dataclass(frozen=True)
class PixelClassifier(Block):
    """Logits of every pixel: a 1x1 convolution with bias, after a depthwise one where ``kernel`` is larger than 1."""

    classes: int
    kernel: int = 1
    dropout: float = 0.0

    cost_free_fields: ClassVar[frozenset[str]] = frozenset({"dropout"})

    def __post_init__(self) -> None:
        check_whole("pixel_classifier", classes=self.classes)
        check_choice("pixel_classifier", "kernel", self.kernel, KERNELS)
        check_share("pixel_classifier", dropout=self.dropout)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        image_shape("pixel_classifier", input_shapes[0])
        builder = GraphBuilder(*input_shapes)
        (out,) = builder.inputs
        if self.dropout:
            out = builder.add("dropout", Dropout(self.dropout), out)
        if self.kernel > 1:
            out = builder.add("depthwise", DepthwiseConvolution(self.kernel), out)
        return builder.build(builder.add("logits", Convolution(self.classes, use_bias=True), out))
