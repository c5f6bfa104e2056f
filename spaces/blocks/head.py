"""Pooling and the classifier at the end of a network."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.pieces import check_activation, check_choice, check_share, check_whole
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import Activation, Dense, Dropout, GlobalAveragePool, Pool, Shape


@register_block("pool")
@dataclass(frozen=True)
class Pooling(Block):
    """Average or max pooling."""

    pooling: str = "average"
    kernel: int = 2
    stride: int = 2

    def __post_init__(self) -> None:
        check_choice("pool", "pooling", self.pooling, ("average", "max"))
        check_whole("pool", kernel=self.kernel, stride=self.stride)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        return builder.build(builder.add("pool", Pool(self.pooling, self.kernel, self.stride), builder.inputs[0]))


@register_block("classifier")
@dataclass(frozen=True)
class ClassifierHead(Block):
    """Global average pooling, an optional hidden dense layer, dropout, and a dense layer of logits."""

    classes: int
    hidden: int = 0
    activation: str = "relu"
    dropout: float = 0.0

    cost_free_fields: ClassVar[frozenset[str]] = frozenset({"dropout"})

    def __post_init__(self) -> None:
        check_whole("classifier", classes=self.classes)
        check_whole("classifier", least=0, hidden=self.hidden)
        check_share("classifier", dropout=self.dropout)
        check_activation("classifier", self.activation)

    def canonical(self, *input_shapes: Shape) -> Block:
        return dataclasses.replace(self, activation=self.activation if self.hidden else "relu")

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        out = builder.add("pool", GlobalAveragePool(), builder.inputs[0])
        if self.hidden:
            out = builder.add("hidden", Dense(self.hidden), out)
            if self.activation != "linear":
                out = builder.add("hidden_act", Activation(self.activation), out)
        if self.dropout:
            out = builder.add("dropout", Dropout(self.dropout), out)
        return builder.build(builder.add("logits", Dense(self.classes), out))
