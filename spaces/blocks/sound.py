"""Convolutional blocks of keyword spotting, on images whose height is time and whose width is frequency.

DS-CNN: Hello Edge (arXiv 1711.07128). One-dimensional convolutions, with the bands as channels: TC-ResNet (arXiv
1904.03814). Broadcasted residuals: BC-ResNet (arXiv 2106.04140), with plain batch norms and without dilation.

With ``causal`` a window ends at its own frame: it is padded in front alone, so the block can be run frame by frame
(:mod:`edgenas.export.streaming`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.pieces import (
    check_activation,
    check_flag,
    check_positive,
    check_whole,
    conv_bn_act,
    image_shape,
)
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import (
    Activation,
    Add,
    BatchNorm,
    Convolution,
    DepthwiseConvolution,
    Pad,
    Reduce,
    Reshape,
    Shape,
    SoundFeatures,
    pair,
)


def useful_kernel(kernel: int, side: int) -> int:
    """The kernel without what sees nothing but padding on both sides at every place.

    >>> useful_kernel(5, 1), useful_kernel(5, 2), useful_kernel(4, 10)
    (1, 3, 4)
    """
    return min(kernel, 2 * side - 1)


def windowed(
    builder: GraphBuilder, name: str, source: str, conv: Convolution | DepthwiseConvolution, causal: bool
) -> tuple[str, Convolution | DepthwiseConvolution]:
    """What a convolution reads, and the convolution: padded in front along the time where it is causal."""
    (frames, bands), (down, right) = pair(conv.kernel), pair(conv.stride)
    if not causal or (frames == 1 and down == 1):
        return source, conv
    _, width, _ = builder.shape(source)
    # As many frames come out as with the padding "same", the first of them at the first frame.
    over = max(0, (-(-width // right) - 1) * right + bands - width)
    pad = Pad(top=frames - 1, left=over // 2, right=over - over // 2)
    return builder.add(f"{name}_pad", pad, source), dataclasses.replace(conv, padding="valid")


class _Sound(Block):
    """What the blocks share: checks, and convolutions that may be causal."""

    def _check(self, **wholes: int) -> None:
        own: Any = self
        check_whole(self.kind, filters=own.filters, kernel=own.kernel, stride=own.stride, **wholes)
        check_activation(self.kind, own.activation)
        check_flag(self.kind, causal=own.causal)

    def _conv(
        self, builder: GraphBuilder, name: str, source: str, conv: Convolution | DepthwiseConvolution, activation: str
    ) -> str:
        own: Any = self
        source, conv = windowed(builder, name, source, conv, own.causal)
        return conv_bn_act(builder, name, source, conv, activation)


@register_block("sound_conv")
@dataclass(frozen=True)
class SoundConv(_Sound):
    """Convolution of ``kernel`` frames by ``bands`` coefficients, batch normalisation, activation: a stem.

    ``band_stride`` strides along the frequency, ``stride`` along the time; 0: as the time.
    """

    filters: int
    kernel: int = 10
    bands: int = 4
    stride: int = 1
    band_stride: int = 0
    activation: str = "relu"
    causal: bool = False

    def __post_init__(self) -> None:
        self._check(bands=self.bands)
        check_whole(self.kind, least=0, band_stride=self.band_stride)

    def canonical(self, *input_shapes: Shape) -> Block:
        bands = useful_kernel(self.bands, image_shape(self.kind, input_shapes[0])[1])
        return dataclasses.replace(self, bands=bands, band_stride=self.band_stride or self.stride)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        bands = useful_kernel(self.bands, image_shape(self.kind, input_shapes[0])[1])
        strides = (self.stride, self.band_stride or self.stride)
        conv = Convolution(self.filters, (self.kernel, bands), strides)
        return builder.build(self._conv(builder, "main", builder.inputs[0], conv, self.activation))


@register_block("band_conv")
@dataclass(frozen=True)
class BandConv(_Sound):
    """The coefficients of a frame become its channels, then a convolution along the time alone: a 1-D stem."""

    filters: int
    kernel: int = 3
    stride: int = 1
    activation: str = "relu"
    causal: bool = False

    def __post_init__(self) -> None:
        self._check()

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        (source,) = builder.inputs
        frames, bands, channels = image_shape(self.kind, input_shapes[0])
        if bands > 1:
            source = builder.add("bands", Reshape((frames, 1, bands * channels)), source)
        conv = Convolution(self.filters, (self.kernel, 1), (self.stride, 1))
        return builder.build(self._conv(builder, "main", source, conv, self.activation))


@register_block("ds_conv")
@dataclass(frozen=True)
class DepthwiseSeparable(_Sound):
    """Depthwise convolution of ``kernel`` frames by ``bands`` coefficients, 1x1 convolution, each normalised.

    The stride is that of both sides. On images one coefficient wide it is one-dimensional. With ``skip`` the input is
    added where the shapes allow it.
    """

    filters: int
    kernel: int = 3
    bands: int = 3
    stride: int = 1
    activation: str = "relu"
    skip: bool = False
    causal: bool = False

    def __post_init__(self) -> None:
        self._check(bands=self.bands)
        check_flag(self.kind, skip=self.skip)

    def has_skip(self, input_shape: Shape) -> bool:
        """Whether the input is added to the output: only at stride 1 and equal widths."""
        return self.skip and self.stride == 1 and input_shape[-1] == self.filters

    def canonical(self, *input_shapes: Shape) -> Block:
        bands = useful_kernel(self.bands, image_shape(self.kind, input_shapes[0])[1])
        return dataclasses.replace(self, bands=bands, skip=self.has_skip(input_shapes[0]))

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        (source,) = builder.inputs
        bands = useful_kernel(self.bands, image_shape(self.kind, input_shapes[0])[1])
        depthwise = DepthwiseConvolution((self.kernel, bands), self.stride)
        out = self._conv(builder, "depthwise", source, depthwise, self.activation)
        out = conv_bn_act(builder, "pointwise", out, Convolution(self.filters), self.activation)
        if self.has_skip(input_shapes[0]):
            out = builder.add("add", Add(), source, out)
        return builder.build(out)


@register_block("bc_residual")
@dataclass(frozen=True)
class BroadcastedResidual(_Sound):
    """A 2-D part along the frequency, and a 1-D part along the time of its mean over the frequency, added to it.

    ``activation`` is that of the 1-D part; what comes out passes a relu. Where the width changes or it strides, a 1x1
    convolution comes first, and the input is not added.
    """

    filters: int
    kernel: int = 3
    bands: int = 3
    stride: int = 1
    activation: str = "relu"
    causal: bool = False

    def __post_init__(self) -> None:
        self._check(bands=self.bands)

    def canonical(self, *input_shapes: Shape) -> Block:
        bands = useful_kernel(self.bands, image_shape(self.kind, input_shapes[0])[1])
        return dataclasses.replace(self, bands=bands)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        (source,) = builder.inputs
        _, width, channels = image_shape(self.kind, input_shapes[0])
        is_residual = self.stride == 1 and channels == self.filters
        out = source if is_residual else conv_bn_act(builder, "widen", source, Convolution(self.filters), "relu")
        frequency = DepthwiseConvolution((1, useful_kernel(self.bands, width)), self.stride)
        image = self._conv(builder, "frequency", out, frequency, "linear")
        line = image
        if builder.shape(image)[1] > 1:
            line = builder.add("mean", Reduce("mean", (1,), keep_sides=True), image)
        line = self._conv(builder, "time", line, DepthwiseConvolution((self.kernel, 1)), self.activation)
        line = builder.add("mix_conv", Convolution(self.filters), line)
        line = builder.add("mix_bn", BatchNorm(), line)
        out = builder.add("joined", Add(broadcast=builder.shape(image)[1] > 1), image, line)
        if is_residual:
            out = builder.add("residual", Add(), source, out)
        return builder.build(builder.add("act", Activation("relu"), out))


@register_block("sound_features")
@dataclass(frozen=True)
class Features(Block):
    """Samples as features, see :class:`edgenas.spaces.ops.SoundFeatures`; it begins deployed networks only."""

    rate: int
    frame: int
    hop: int
    transform: int
    bands: int = 40
    coefficients: int = 10
    low_hz: float = 20.0
    high_hz: float = 4000.0

    only_deployed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        wholes = {name: getattr(self, name) for name in ("rate", "frame", "hop", "transform", "bands")}
        check_whole(self.kind, **wholes)
        check_whole(self.kind, least=0, coefficients=self.coefficients)
        check_positive(self.kind, low_hz=self.low_hz, high_hz=self.high_hz)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        op = SoundFeatures(**{field.name: getattr(self, field.name) for field in dataclasses.fields(self)})
        return builder.build(builder.add("features", op, builder.inputs[0]))
