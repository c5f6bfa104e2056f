"""Weighted sums with their trained weights as constants compute the same."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.export.keras.builder import build_graph
from edgenas.export.keras.folding import layer_weights
from edgenas.export.keras.weighted_sums import fix_weighted_sums
from edgenas.spaces.graph import GraphBuilder
from edgenas.spaces.ops import Activation, Convolution, Scale, WeightedSum


@pytest.mark.parametrize(("shares", "scales"), [((0.5, 2.0, 1.0), 3), ((1.0, -0.3, 0.2), 2), ((-1.0, 0.4, -2.0), 1)])
def test_they_compute_the_same(shares: tuple[float, ...], scales: int) -> None:
    builder = GraphBuilder((4, 5, 3))
    sources = [builder.add(f"conv{number}", Convolution(6, 1, use_bias=True), builder.inputs[0]) for number in range(3)]
    graph = builder.build(builder.add("act", Activation("relu"), builder.add("sum", WeightedSum(), *sources)))
    model = build_graph(graph, "sum", seed=1)
    model.get_layer("sum").set_weights([np.array(shares, np.float32)])
    fixed, weights = fix_weighted_sums(graph, layer_weights(model))
    assert sum(isinstance(node.op, Scale) for node in fixed.nodes) == scales
    assert "sum" not in weights
    images = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)
    found = build_graph(fixed, "fixed", weights=weights)(images)
    np.testing.assert_allclose(np.asarray(found), np.asarray(model(images)), atol=1e-5)
