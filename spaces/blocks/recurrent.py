"""Blocks on sequences ``(frames, features)``: recurrent layers, SVDF, stacking of frames, and their classifier.

All of them are causal: what they put out at a frame depends on this one and earlier ones.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.pieces import check_activation, check_choice, check_share, check_whole
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import (
    Activation,
    Add,
    Convolution,
    Dense,
    DepthwiseConvolution,
    Dropout,
    Gru,
    Lstm,
    Pad,
    Reduce,
    Reshape,
    Shape,
    Slice,
)


def sequence_shape(owner: str, shape: Shape) -> tuple[int, int]:
    """Frames and features. Raises InputError for anything but a sequence."""
    if len(shape) != 2:
        raise InputError(f"{owner}: takes a sequence (frames, features), not {shape!r}; put a frame_stack before it")
    return shape[0], shape[1]


@register_block("frame_stack")
@dataclass(frozen=True)
class FrameStack(Block):
    """``frames`` frames after each other become one with as many features; a remainder at the end is dropped.

    From an image (frames, coefficients, channels) or a sequence it makes a sequence: with ``frames: 1`` of all frames.
    """

    frames: int = 1

    def __post_init__(self) -> None:
        check_whole(self.kind, frames=self.frames)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        (out,), shape = builder.inputs, input_shapes[0]
        if len(shape) < 2 or shape[0] < self.frames:
            raise InputError(f"{self.kind}: {self.frames} frames cannot be stacked out of {tuple(shape)}")
        if dropped := shape[0] % self.frames:
            out = builder.add("whole", Slice(0, shape[0] - dropped, 0), out)
        return builder.build(builder.add("stacked", Reshape((shape[0] // self.frames, -1)), out))


@dataclass(frozen=True)
class _Layer(Block):
    """A recurrent layer of ``filters`` units; all its states come out."""

    filters: int

    op: ClassVar[type[Gru] | type[Lstm]]

    def __post_init__(self) -> None:
        check_whole(self.kind, filters=self.filters)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        sequence_shape(self.kind, input_shapes[0])
        builder = GraphBuilder(*input_shapes)
        return builder.build(builder.add("states", self.op(self.filters, all_positions=True), builder.inputs[0]))


@register_block("gru")
@dataclass(frozen=True)
class GruLayer(_Layer):
    """Gated recurrent unit (arXiv 1406.1078)."""

    op: ClassVar[type[Gru] | type[Lstm]] = Gru


@register_block("lstm")
@dataclass(frozen=True)
class LstmLayer(_Layer):
    """Long short-term memory (Hochreiter and Schmidhuber 1997)."""

    op: ClassVar[type[Gru] | type[Lstm]] = Lstm


@register_block("svdf")
@dataclass(frozen=True)
class Svdf(Block):
    """Each unit filters the features of a frame, then its last ``memory`` results (SVDF, Nakkiran et al. 2015).

    ``rank`` such filters make a unit together. No state but the memory, so nothing is unrolled.
    """

    filters: int
    memory: int = 8
    rank: int = 1
    activation: str = "relu"

    def __post_init__(self) -> None:
        check_whole(self.kind, filters=self.filters, memory=self.memory, rank=self.rank)
        check_activation(self.kind, self.activation)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        frames, _ = sequence_shape(self.kind, input_shapes[0])
        builder = GraphBuilder(*input_shapes)
        out = builder.add("line", Reshape((frames, 1, -1)), builder.inputs[0])
        out = builder.add("features", Convolution(self.filters * self.rank, use_bias=self.memory == 1), out)
        if self.memory > 1:
            out = builder.add("before", Pad(top=self.memory - 1), out)
            time = DepthwiseConvolution((self.memory, 1), use_bias=True, padding="valid")
            out = builder.add("time", time, out)
        total = builder.add("part0", Slice(0, self.filters), out) if self.rank > 1 else out
        for place in range(1, self.rank):
            part = builder.add(f"part{place}", Slice(place * self.filters, self.filters), out)
            total = builder.add(f"sum{place}", Add(), total, part)
        if self.activation != "linear":
            total = builder.add("act", Activation(self.activation), total)
        return builder.build(builder.add("sequence", Reshape((frames, -1)), total))


@register_block("sequence_classifier")
@dataclass(frozen=True)
class SequenceClassifier(Block):
    """The last frame, or the mean of all, dropout, and a dense layer of logits."""

    classes: int
    pooling: str = "last"
    dropout: float = 0.0

    cost_free_fields: ClassVar[frozenset[str]] = frozenset({"dropout"})

    def __post_init__(self) -> None:
        check_whole(self.kind, classes=self.classes)
        check_choice(self.kind, "pooling", self.pooling, ("last", "mean"))
        check_share(self.kind, dropout=self.dropout)

    def canonical(self, *input_shapes: Shape) -> Block:
        return dataclasses.replace(self, pooling="last") if input_shapes[0][0] == 1 else self

    def lower(self, *input_shapes: Shape) -> OpGraph:
        frames, _ = sequence_shape(self.kind, input_shapes[0])
        builder = GraphBuilder(*input_shapes)
        (out,) = builder.inputs
        if self.pooling == "mean" and frames > 1:
            out = builder.add("mean", Reduce("mean", (0,)), out)
        elif frames > 1:
            out = builder.add("last", Slice(frames - 1, 1, 0), out)
        if self.dropout:
            out = builder.add("dropout", Dropout(self.dropout), out)
        out = builder.add("logits", Dense(self.classes), out)
        return builder.build(
            builder.add("vector", Reshape((self.classes,)), out) if len(builder.shape(out)) > 1 else out
        )
