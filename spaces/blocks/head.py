"""Pooling and the classifier at the end of a network."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.pieces import check_activation, check_choice, check_flag, check_share, check_whole
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import Activation, BatchNorm, Dense, Dropout, GlobalAveragePool, LayerNorm, Pool, Shape


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
    """Global average pooling, an optional hidden dense layer, dropout, and a dense layer of logits.

    ``norm`` puts a layer normalisation behind the pooling (CoAtNet, arXiv 2106.04803); ``hidden_norm`` a batch
    normalisation in the place of the hidden layer's bias (MobileNetV4, arXiv 2404.10518).
    """

    classes: int
    hidden: int = 0
    activation: str = "relu"
    dropout: float = 0.0
    norm: bool = False
    hidden_norm: bool = False

    cost_free_fields: ClassVar[frozenset[str]] = frozenset({"dropout"})

    def __post_init__(self) -> None:
        check_whole("classifier", classes=self.classes)
        check_whole("classifier", least=0, hidden=self.hidden)
        check_share("classifier", dropout=self.dropout)
        check_activation("classifier", self.activation)
        check_flag("classifier", norm=self.norm, hidden_norm=self.hidden_norm)

    def canonical(self, *input_shapes: Shape) -> Block:
        return self if self.hidden else dataclasses.replace(self, activation="relu", hidden_norm=False)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        out = builder.add("pool", GlobalAveragePool(), builder.inputs[0])
        if self.norm:
            out = builder.add("norm", LayerNorm(), out)
        if self.hidden:
            out = builder.add("hidden", Dense(self.hidden, use_bias=not self.hidden_norm), out)
            if self.hidden_norm:
                out = builder.add("hidden_bn", BatchNorm(), out)
            if self.activation != "linear":
                out = builder.add("hidden_act", Activation(self.activation), out)
        if self.dropout:
            out = builder.add("dropout", Dropout(self.dropout), out)
        return builder.build(builder.add("logits", Dense(self.classes), out))
