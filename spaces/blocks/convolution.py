"""Plain and separable convolutions with batch normalisation and activation; a convolution of low rank."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.pieces import (
    KERNELS,
    check_activation,
    check_choice,
    check_flag,
    check_positive,
    check_whole,
    conv_bn_act,
)
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import Add, Convolution, DepthwiseConvolution, Shape


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


@register_block("separable")
@dataclass(frozen=True)
class Separable(Block):
    """Depthwise convolution, 1x1 convolution, batch normalisation, activation; the input added where shapes allow it.

    ``norm: between`` puts a batch normalisation and the activation behind the depthwise convolution too (MobileNetV1,
    arXiv 1704.04861; the extra levels of SSDLite). Without it the depthwise convolution has a bias, as SpaghettiNet
    has it (tensorflow/models, research/object_detection).
    """

    filters: int
    kernel: int = 3
    stride: int = 1
    activation: str = "relu6"
    skip: bool = True
    norm: str = "last"

    def __post_init__(self) -> None:
        check_whole("separable", filters=self.filters, stride=self.stride)
        check_choice("separable", "kernel", self.kernel, KERNELS)
        check_activation("separable", self.activation)
        check_flag("separable", skip=self.skip)
        check_choice("separable", "norm", self.norm, ("last", "between"))

    def has_skip(self, input_shape: Shape) -> bool:
        """Whether the input is added to the output: only at stride 1 and equal widths."""
        return self.skip and self.stride == 1 and input_shape[-1] == self.filters

    def canonical(self, *input_shapes: Shape) -> Block:
        skip = self.has_skip(input_shapes[0])
        return self if skip == self.skip else dataclasses.replace(self, skip=skip)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        (source,) = builder.inputs
        if self.norm == "between":
            depthwise = DepthwiseConvolution(self.kernel, self.stride)
            out = conv_bn_act(builder, "depthwise", source, depthwise, self.activation)
        else:
            depthwise = DepthwiseConvolution(self.kernel, self.stride, use_bias=True)
            out = builder.add("depthwise_conv", depthwise, source)
        out = conv_bn_act(builder, "point", out, Convolution(self.filters), self.activation)
        if self.has_skip(input_shapes[0]):
            out = builder.add("add", Add(), source, out)
        return builder.build(out)


@register_block("tucker")
@dataclass(frozen=True)
class Tucker(Block):
    """1x1 to a share of the input's channels, ``kernel x kernel`` to a share of the filters, 1x1 (MobileDet).

    A convolution whose kernel has a low rank along both axes (arXiv 2004.14525). Both widths are rounded to 8.
    """

    filters: int
    kernel: int = 3
    stride: int = 1
    input_ratio: float = 0.25
    output_ratio: float = 0.75
    activation: str = "relu"
    skip: bool = True

    def __post_init__(self) -> None:
        check_whole("tucker", filters=self.filters, stride=self.stride)
        check_choice("tucker", "kernel", self.kernel, KERNELS)
        check_positive("tucker", input_ratio=self.input_ratio, output_ratio=self.output_ratio)
        check_activation("tucker", self.activation)
        check_flag("tucker", skip=self.skip)

    def has_skip(self, input_shape: Shape) -> bool:
        """Whether the input is added to the output: only at stride 1 and equal widths."""
        return self.skip and self.stride == 1 and input_shape[-1] == self.filters

    def canonical(self, *input_shapes: Shape) -> Block:
        skip = self.has_skip(input_shapes[0])
        return self if skip == self.skip else dataclasses.replace(self, skip=skip)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        (source,) = builder.inputs
        narrow = Convolution(_to_eights(builder.shape(source)[-1] * self.input_ratio))
        out = conv_bn_act(builder, "compress", source, narrow, self.activation)
        window = Convolution(_to_eights(self.filters * self.output_ratio), self.kernel, self.stride)
        out = conv_bn_act(builder, "window", out, window, self.activation)
        out = conv_bn_act(builder, "project", out, Convolution(self.filters), "linear")
        if self.has_skip(input_shapes[0]):
            out = builder.add("add", Add(), source, out)
        return builder.build(out)


def _to_eights(width: float) -> int:
    """The nearest multiple of 8, half rounded up, and at least 8: MobileDet's rule."""
    return max(8, int(width / 8 + 0.5) * 8)
