"""Shared layers besides those of convolutions: what is cut out computes what the supernet computes on that path."""

from dataclasses import dataclass

import numpy as np
import yaml

from edgenas.export._tensorflow import tensorflow
from edgenas.spaces.block import Block, register_block
from edgenas.spaces.graph import GraphBuilder
from edgenas.spaces.ops import Activation, ScaleShift, TransposedConvolution
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.spaces.space.spec import parse_spec
from edgenas.supernet.network import Supernet
from edgenas.supernet.shared_layer import Mode
from tests import graph_spaces  # noqa: F401  (registers blocks)
from tests.edgenas.supernet.test_supernet_network import check_decoded


@register_block("test_enlarge")
@dataclass(frozen=True)
class Enlarge(Block):
    """A transposed convolution with a scale instead of a batch norm."""

    filters: int
    kernel: int = 2
    stride: int = 2
    bias: bool = False

    def lower(self, *inputs):
        builder = GraphBuilder(*inputs)
        op = TransposedConvolution(self.filters, self.kernel, self.stride, use_bias=self.bias)
        out = builder.add("scale", ScaleShift(), builder.add("up", op, builder.inputs[0]))
        return builder.build(builder.add("act", Activation("relu"), out))


SEQUENCE = """
name: sequences
task: toy
inputs: {tokens: {shape: [5], dtype: int32}}
nodes:
  - {name: table, block: test_tokens, tokens: 4, features: [4, 8]}
  - {name: states, block: test_recurrent, units: [4, 8], layer: [lstm, gru]}
  - {name: mixed, blocks: [{block: test_attention, heads: 2, expansion: [1, 2]}, {block: identity}]}
  - {name: again, block: test_recurrent, units: [2, 6], layer: gru}
  - {name: flat, block: test_mean}
  - {name: kind, block: test_dense, units: 3}
outputs: [kind]
"""
IMAGE = """
name: enlarged
task: toy
inputs: {picture: [6, 6, 3]}
nodes:
  - {name: seen, block: conv, filters: [4, 8], stride: 2, inputs: picture}
  - {name: large, block: test_enlarge, filters: [4, 8], kernel: [2, 4], bias: [false, true]}
  - {name: one, block: conv, filters: 8, inputs: large}
  - {name: two, block: conv, filters: 8, kernel: 1, inputs: large}
  - {name: three, block: conv, filters: 8, kernel: 1, inputs: picture}
  - {name: sum, block: weighted_sum, inputs: [one, two, {one_of: [three, null]}]}
  - {name: flat, block: test_mean}
  - {name: kind, block: test_dense, units: 3}
outputs: [kind]
"""


def space(text: str) -> SearchSpace:
    return SearchSpace(parse_spec(yaml.safe_load(text), "layers"))


def test_embeddings_recurrent_layers_and_layer_norms_share_weights() -> None:
    check_decoded(space(SEQUENCE), 4)


def test_transposed_convolutions_scales_and_weighted_sums_share_weights() -> None:
    check_decoded(space(IMAGE), 4)


def test_half_precision_is_float32_but_for_rounding() -> None:
    """Inputs, weights and the result are float32; what is in between is not."""
    tf, found = tensorflow(), {}
    supernet = Supernet(space(IMAGE), seed=1)
    images = np.random.default_rng(0).normal(size=(8, 6, 6, 3)).astype(np.float32)
    plan = supernet.plan(supernet.space.architecture(supernet.space.sample(np.random.default_rng(1), 1)[0]))
    supernet.prepare("bfloat16")
    for dtype in ("float32", "bfloat16"):
        with tf.GradientTape() as tape:
            (answer,) = supernet.outputs(
                {"picture": tf.constant(images)}, tf.constant(plan), supernet.weights, Mode(training=True, dtype=dtype)
            )
        found[dtype] = answer.numpy(), tf.convert_to_tensor(tape.gradient(answer, supernet.weights)).numpy()
        assert [values.dtype for values in found[dtype]] == [np.float32, np.float32]
    for exact, rounded in zip(found["float32"], found["bfloat16"], strict=True):
        assert 0 < np.abs(exact - rounded).max() < 0.1 * np.abs(exact).max()
