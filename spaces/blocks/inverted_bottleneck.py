"""Inverted bottlenecks: expand, filter, project, with a skip where the shapes allow it.

IBN: MobileNetV2 (arXiv 1801.04381). Fused IBN: MobileNetEdgeTPU and EfficientNetV2 (arXiv 2104.00298).
GC-IBN, the fused IBN with a group convolution: MobileNetEdgeTPUV2 (arXiv 2204.14007).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.pieces import (
    KERNELS,
    check_activation,
    check_choice,
    check_flag,
    check_positive,
    check_squeeze_excite,
    check_whole,
    conv_bn_act,
    squeeze_excite,
    squeezed_width,
)
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import ACTIVATIONS, Add, Convolution, DepthwiseConvolution, Shape
from edgenas.spaces.rounding import round_filters


@dataclass(frozen=True)
class _Bottleneck(Block):
    """What the three families share: options, checks, squeeze-excite, projection and skip."""

    filters: int
    kernel: int = 3
    stride: int = 1
    expansion: float = 6
    activation: str = "relu"
    se_ratio: float = 0.0
    se_gate: str = "hard_sigmoid"
    skip: bool = True
    se_of: str = "expanded"
    se_activation: str = "relu"
    divisor: int = 8
    expansion_of: str = "input"

    def __post_init__(self) -> None:
        check_whole(self.kind, filters=self.filters, stride=self.stride, divisor=self.divisor)
        check_positive(self.kind, expansion=self.expansion)
        check_flag(self.kind, skip=self.skip)
        check_choice(self.kind, "kernel", self.kernel, KERNELS)
        check_activation(self.kind, self.activation)
        check_squeeze_excite(self.kind, self.se_ratio, self.se_gate)
        check_choice(self.kind, "se_of", self.se_of, ("expanded", "input"))
        check_choice(self.kind, "se_activation", self.se_activation, ACTIVATIONS[1:])
        check_choice(self.kind, "expansion_of", self.expansion_of, ("input", "output"))

    def expanded_filters(self, input_shape: Shape) -> int:
        """Width between expansion and projection: channels times expansion, rounded to ``divisor`` unless that is 1.

        Of the input's channels, or with ``expansion_of: output`` of the block's filters (SpaghettiNet).
        """
        channels = input_shape[-1] if self.expansion_of == "input" else self.filters
        return channels if self.expansion == 1 else round_filters(channels * self.expansion, self.divisor)

    def has_skip(self, input_shape: Shape) -> bool:
        """Whether the input is added to the output: only at stride 1 and equal widths."""
        return self.skip and self.stride == 1 and input_shape[-1] == self.filters

    def canonical(self, *input_shapes: Shape) -> Block:
        # The width that is built, not the ratio that was asked for, is what costs.
        expansion = plain_ratio(self.expanded_filters(input_shapes[0]) / input_shapes[0][-1])
        changes: dict[str, Any] = {"expansion": expansion, "expansion_of": "input"}
        changes["skip"] = self.has_skip(input_shapes[0])
        changes["divisor"] = self._divisor_of(expansion, input_shapes[0])
        if not self.se_ratio:
            changes |= {"se_gate": "hard_sigmoid", "se_of": "expanded", "se_activation": "relu"}
        same = type(expansion) is type(self.expansion)
        if same and all(getattr(self, name) == value for name, value in changes.items()):
            return self
        return dataclasses.replace(self, **changes)

    def _divisor_of(self, expansion: float, input_shape: Shape) -> int:
        """8 where that gives the same width, else 1."""
        if expansion == 1:
            return 8
        return 8 if round_filters(input_shape[-1] * expansion) == self.expanded_filters(input_shape) else 1

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        (source,) = builder.inputs
        out = self._expand_and_filter(builder, source)
        if self.se_ratio:
            squeezed = squeezed_width(self.se_ratio, self.se_of, builder.shape(out)[-1], input_shapes[0][-1])
            out = squeeze_excite(builder, out, squeezed, self.se_gate, self.se_activation)
        out = conv_bn_act(builder, "project", out, Convolution(self.filters), "linear")
        if self.has_skip(input_shapes[0]):
            out = builder.add("add", Add(), source, out)
        return builder.build(out)

    def _expand_and_filter(self, builder: GraphBuilder, source: str) -> str:
        raise TypeError("a bottleneck family says how it expands")


def plain_ratio(value: float) -> float | int:
    """Ratios such as 4.0 as 4, so that they print alike."""
    rounded = round(value, 6)
    return int(rounded) if rounded == int(rounded) else rounded


@register_block("ibn")
@dataclass(frozen=True)
class InvertedBottleneck(_Bottleneck):
    """1x1 expansion (none when it would keep the width), depthwise ``kernel x kernel``, 1x1 projection."""

    def _expand_and_filter(self, builder: GraphBuilder, source: str) -> str:
        expanded = self.expanded_filters(builder.shape(source))
        if expanded != builder.shape(source)[-1]:
            source = conv_bn_act(builder, "expand", source, Convolution(expanded), self.activation)
        depthwise = DepthwiseConvolution(self.kernel, self.stride)
        return conv_bn_act(builder, "depthwise", source, depthwise, self.activation)


@register_block("fused_ibn")
@dataclass(frozen=True)
class FusedInvertedBottleneck(_Bottleneck):
    """Dense ``kernel x kernel`` expansion, 1x1 projection."""

    def _groups(self, expanded: int, channels: int) -> int:
        return 1

    def _expand_and_filter(self, builder: GraphBuilder, source: str) -> str:
        shape = builder.shape(source)
        expanded = self.expanded_filters(shape)
        conv = Convolution(expanded, self.kernel, self.stride, self._groups(expanded, shape[-1]))
        return conv_bn_act(builder, "expand", source, conv, self.activation)


@register_block("gc_ibn")
@dataclass(frozen=True)
class GroupConvInvertedBottleneck(FusedInvertedBottleneck):
    """Fused IBN whose expansion is a group convolution.

    Give either ``group_size`` (filters of the expansion in one group) or ``groups`` (how many groups). Both must
    divide: InputError names the widths otherwise.
    """

    group_size: int | None = None
    groups: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.group_size is None) == (self.groups is None):
            raise InputError("gc_ibn: give either group_size or groups")
        if self.groups is None:
            check_whole("gc_ibn", group_size=self.group_size or 0)
        else:
            check_whole("gc_ibn", groups=self.groups)

    def _groups(self, expanded: int, channels: int) -> int:
        groups = self.groups
        if groups is None:
            size = self.group_size or 0
            if expanded % size:
                raise InputError(
                    f"gc_ibn: group_size {size} does not divide {expanded} expanded filters "
                    f"({channels} channels, expansion {self.expansion})"
                )
            groups = expanded // size
        if expanded % groups or channels % groups:
            raise InputError(
                f"gc_ibn: {groups} groups do not divide {channels} input channels and {expanded} expanded filters"
                + (f" (group_size {self.group_size}, expansion {self.expansion})" if self.group_size else "")
            )
        return groups

    def canonical(self, *input_shapes: Shape) -> Block:
        channels = input_shapes[0][-1]
        groups = self._groups(self.expanded_filters(input_shapes[0]), channels)
        plain = super().canonical(*input_shapes)
        if groups == 1:
            shared = {f.name: getattr(plain, f.name) for f in dataclasses.fields(FusedInvertedBottleneck)}
            return FusedInvertedBottleneck(**shared)
        return dataclasses.replace(plain, group_size=None, groups=groups)  # type: ignore[call-arg]
