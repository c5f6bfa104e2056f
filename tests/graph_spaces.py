"""Search spaces that are graphs, with blocks as a third party writes them, for tests of several floors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import yaml

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder
from edgenas.spaces.ops import (
    Activation,
    Add,
    Convolution,
    Dense,
    Embedding,
    Gru,
    LayerNorm,
    Lstm,
    MatrixProduct,
    Reduce,
    Reshape,
    Scale,
    Softmax,
    Transpose,
)
from edgenas.spaces.task_names import add_task_name

add_task_name("toy")


@register_block("test_shrink")
@dataclass(frozen=True)
class Shrink(Block):
    """Halves the sides and widens: neither ``stride`` nor ``filters`` says so."""

    widening: int = 2

    def __post_init__(self):
        if self.widening < 1:
            raise InputError("test_shrink: widening must be at least 1")

    def lower(self, *inputs):
        builder = GraphBuilder(*inputs)
        conv = Convolution(inputs[0][-1] * self.widening, 3, 2, use_bias=True)
        return builder.build(builder.add("act", Activation("relu"), builder.add("conv", conv, builder.inputs[0])))


@register_block("test_attention")
@dataclass(frozen=True)
class Attention(Block):
    """A transformer's layer: attention of several heads and two dense ops, each after a layer norm."""

    heads: int = 2
    expansion: int = 2

    def lower(self, *inputs):
        builder = GraphBuilder(*inputs)
        (source,) = builder.inputs
        positions, features = inputs[0]
        if features % self.heads:
            raise InputError(f"test_attention: {self.heads} heads do not divide {features} features")
        size = features // self.heads
        normal = builder.add("norm", LayerNorm(), source)

        def by_head(name):
            values = builder.add(name, Dense(features), normal)
            parts = builder.add(f"{name}_parts", Reshape((positions, self.heads, size)), values)
            return builder.add(f"{name}_heads", Transpose((1, 0, 2)), parts)

        query, key, value = (by_head(name) for name in ("query", "key", "value"))
        scores = builder.add("scores", MatrixProduct(transpose_second=True), query, key)
        shares = builder.add("shares", Softmax(), builder.add("scaled", Scale(size**-0.5), scores))
        mixed = builder.add("mixed", Transpose((1, 0, 2)), builder.add("mix", MatrixProduct(), shares, value))
        joined = builder.add("joined", Reshape((positions, features)), mixed)
        out = builder.add("attended", Add(), source, builder.add("output", Dense(features), joined))
        hidden = builder.add("hidden", Dense(features * self.expansion), builder.add("norm2", LayerNorm(), out))
        hidden = builder.add("act", Activation("gelu"), hidden)
        return builder.build(builder.add("residual", Add(), out, builder.add("dense", Dense(features), hidden)))


@register_block("test_recurrent")
@dataclass(frozen=True)
class Recurrent(Block):
    """A recurrent layer over a sequence."""

    units: int
    layer: str = "lstm"

    def lower(self, *inputs):
        builder = GraphBuilder(*inputs)
        op = (Lstm if self.layer == "lstm" else Gru)(self.units, all_positions=True)
        return builder.build(builder.add("states", op, builder.inputs[0]))


@register_block("test_tokens")
@dataclass(frozen=True)
class Tokens(Block):
    """Vectors of token ids."""

    tokens: int
    features: int

    def lower(self, *inputs):
        builder = GraphBuilder(*inputs)
        return builder.build(builder.add("table", Embedding(self.tokens, self.features), builder.inputs[0]))


@register_block("test_mean")
@dataclass(frozen=True)
class Mean(Block):
    """The mean over all axes but the last."""

    def lower(self, *inputs):
        builder = GraphBuilder(*inputs)
        return builder.build(builder.add("mean", Reduce("mean", tuple(range(len(inputs[0]) - 1))), builder.inputs[0]))


@register_block("test_dense")
@dataclass(frozen=True)
class DenseAct(Block):
    """A dense op, with a relu after it if wanted."""

    units: int
    relu: bool = False

    input_count: ClassVar[int | None] = 1

    def lower(self, *inputs):
        builder = GraphBuilder(*inputs)
        out = builder.add("dense", Dense(self.units), builder.inputs[0])
        return builder.build(builder.add("act", Activation("relu"), out) if self.relu else out)


SPACES = {
    "two_ends": """
name: two_ends
task: toy
inputs: {picture: [16, 16, 3], facts: [5]}
nodes:
  - {name: seen, block: conv, filters: [8, 16], stride: 2, inputs: picture}
  - {name: more, blocks: [{block: ibn, kernel: [3, 5]}, {block: fused_ibn, expansion: 2}], filters: [16, 24]}
  - {name: flat, block: test_mean}
  - {name: known, block: test_dense, units: [16, 32], relu: true, inputs: facts}
  - {name: both, block: concat, inputs: [flat, known]}
  - {name: kind, block: test_dense, units: 4}
  - {name: amount, block: test_dense, units: 1, inputs: both}
outputs: [kind, amount]
""",
    "pyramid": """
name: pyramid
input_shape: [32, 32, 3]
classes: 5
stem: {filters: [8, 16], stride: 2}
stages:
  - {stride: 2, filters: [16, 24], depth: [1, 2], layers: [{blocks: [{block: ibn, kernel: [3, 5], expansion: 2}]}]}
  - {stride: 2, filters: [24, 32], depth: [1, 2], layers: [{blocks: [{block: ibn, expansion: [2, 4]}]}]}
cells:
  fpn:
    inputs: [p1, p2, p3]
    nodes:
      - {name: t2, block: fusion, filters: $width, inputs: [p2, {one_of: [p1, p3, null]}, {one_of: [p3, null]}]}
      - {name: t1, block: fusion, filters: $width, inputs: [p1, {one_of: [t2, p3]}], weighted: [false, true]}
      - {name: b3, block: fusion, filters: $width, inputs: [p3, {one_of: [t2, t1, null]}]}
      - {name: out, block: fusion, filters: $width, inputs: [t1, {one_of: [b3, t2, null]}], activation: relu6}
nodes:
  - {name: neck, cell: fpn, inputs: [stem, stage1, stage2], with: {width: 16}}
  - {name: again, cell: fpn, inputs: [neck, stage1, stage2], share: neck, with: {width: 16}}
head: [{block: classifier}]
""",
    "searched_edges": """
name: searched_edges
input_shape: [16, 16, 3]
classes: 4
nodes:
  - {name: a, block: conv, filters: [8, 16], kernel: 3}
  - {name: b, block: conv, filters: [8, 16, 24], kernel: [1, 3], stride: 2}
  - {name: c, block: relu_conv, kernel: [1, 3], inputs: [{one_of: [a, b, image]}]}
  - {name: d, block: ibn, filters: [8, 16], kernel: [3, 5], inputs: [{one_of: [a, b, c]}], optional: true}
  - {name: e, block: fusion, filters: 16, inputs: [d, {one_of: [a, b, c, null]}, {one_of: [c, b, null]}]}
head: [{block: classifier}]
""",
    "transformer": """
name: transformer
inputs: {tokens: {shape: [6], dtype: int32}}
classes: 3
cells:
  layer:
    nodes: [{name: attention, block: test_attention, heads: [1, 2, 4], expansion: [1, 2], optional: true}]
nodes:
  - {name: table, block: test_tokens, tokens: 20, features: [8, 16]}
  - {name: layers, cell: layer, repeat: 3}
  - {name: flat, block: test_mean}
  - {name: classes, block: test_dense, units: 3}
""",
    "recurrent": """
name: recurrent
inputs: {frames: [5, 8]}
nodes:
  - {name: first, block: test_recurrent, units: [4, 8], layer: [lstm, gru]}
  - {name: second, block: test_recurrent, units: [4, 8], layer: gru, optional: true}
  - {name: flat, block: test_mean}
  - {name: classes, block: test_dense, units: 3}
""",
    "third_party": """
name: third_party
input_shape: [15, 15, 3]
classes: 4
stem: {block: test_shrink, widening: [2, 4]}
stages: [{filters: [8, 16], depth: [1, 2], layers: [{blocks: [{block: ibn, expansion: [1, 2]}]}]}]
head: [{block: test_shrink}, {block: conv, filters: [16, 24], kernel: 1}, {block: classifier}]
""",
}


def load(name):
    """The space of this name."""
    from edgenas.spaces import SearchSpace
    from edgenas.spaces.space.spec import parse_spec

    return SearchSpace(parse_spec(yaml.safe_load(SPACES[name]), f"{name}.yaml"))
