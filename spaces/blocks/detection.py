"""The heads of detectors: boxes and classes of every anchor, predicted from several levels and joined.

A level is an image of features; each of its pixels has so many anchors. Anchors are counted from the first level to
the last, in a level by row, column, and anchor of the pixel: the order of what a convolution puts out. A network ends
in two of these blocks that read the same levels, ``boxes`` and ``classes``
(:mod:`edgenas.spaces.detection` tells the levels of a network).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.pieces import (
    KERNELS,
    check_activation,
    check_choice,
    check_flag,
    check_whole,
    conv_bn_act,
    image_shape,
)
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import (
    BOX_NUMBERS,
    Concatenate,
    Convolution,
    DepthwiseConvolution,
    DetectionPostProcess,
    Reshape,
    Shape,
)


@dataclass(frozen=True)
class DetectionHead(Block):
    """What both heads share. ``anchors`` for each pixel, ``first_anchors`` for those of the first level (0: as many).

    A predictor is a depthwise convolution with batch normalisation and activation, and a 1x1 convolution with a bias
    (SSDLite, arXiv 1801.04381); without ``separable`` one ``kernel x kernel`` convolution (SSD, arXiv 1512.02325).
    Each level has its own, or with ``shared`` all have one, which takes levels of as many channels.
    """

    input_count: ClassVar[int | None] = None

    anchors: int = 6
    first_anchors: int = 0
    kernel: int = 3
    separable: bool = True
    shared: bool = False
    activation: str = "relu6"

    def __post_init__(self) -> None:
        check_whole(self.kind, anchors=self.anchors)
        check_whole(self.kind, least=0, first_anchors=self.first_anchors)
        check_choice(self.kind, "kernel", self.kernel, KERNELS)
        check_flag(self.kind, separable=self.separable, shared=self.shared)
        check_activation(self.kind, self.activation)
        if self.shared and self.first_anchors not in (0, self.anchors):
            raise InputError(f"{self.kind}: a shared predictor has as many anchors on the first level; leave it out")

    @property
    def numbers(self) -> int:
        """How many numbers each anchor has."""
        raise TypeError("a head says what it predicts")

    def anchors_of(self, level: int) -> int:
        """Anchors of each pixel of a level, counted from 0."""
        return self.first_anchors or self.anchors if level == 0 else self.anchors

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        if self.shared and len({shape[-1] for shape in input_shapes}) > 1:
            widths = ", ".join(str(shape[-1]) for shape in input_shapes)
            raise InputError(f"{self.kind}: a shared predictor takes levels of as many channels, not {widths}")
        levels = []
        for level, source in enumerate(builder.inputs):
            height, width, _ = image_shape(self.kind, builder.shape(source))
            out = self._predictor(builder, level, source)
            count = height * width * self.anchors_of(level)
            levels.append(builder.add(f"level{level}_list", Reshape((count, self.numbers)), out))
        return builder.build(builder.add("join", Concatenate(0), *levels) if len(levels) > 1 else levels[0])

    def _predictor(self, builder: GraphBuilder, level: int, source: str) -> str:
        filters = self.anchors_of(level) * self.numbers
        name = f"level{level}"
        owner = "level0" if self.shared and level else None
        if not self.separable:
            conv = Convolution(filters, self.kernel, use_bias=True)
            return builder.add(f"{name}_conv", conv, source, weights=owner and f"{owner}_conv")
        deep = conv_bn_act(
            builder,
            f"{name}_deep",
            source,
            DepthwiseConvolution(self.kernel),
            self.activation,
            owner and f"{owner}_deep",
        )
        point = Convolution(filters, use_bias=True)
        return builder.add(f"{name}_conv", point, deep, weights=owner and f"{owner}_conv")


@register_block("box_head")
@dataclass(frozen=True)
class BoxHead(DetectionHead):
    """Box encodings of all anchors: (anchors, 4) with ty, tx, th, tw, no activation."""

    @property
    def numbers(self) -> int:
        return BOX_NUMBERS


@register_block("class_head")
@dataclass(frozen=True)
class ClassHead(DetectionHead):
    """Logits of all anchors: (anchors, classes), each class by itself (sigmoid), without one for the background."""

    classes: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("class_head", classes=self.classes)

    @property
    def numbers(self) -> int:
        return self.classes


@register_block("detection_post_process")
@dataclass(frozen=True)
class PostProcess(Block):
    """What makes boxes of a detector's encodings (anchors, 4) and logits (anchors, classes), by TFLite's own operator.

    It stands behind the file of a network rather than in it (``export.post_processing``), where a device's file has it;
    tables have a row for it.
    """

    most_boxes: int = 100

    input_count: ClassVar[int | None] = 2
    only_deployed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("detection_post_process", most_boxes=self.most_boxes)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        return builder.build(builder.add("boxes", DetectionPostProcess(self.most_boxes), *builder.inputs))
