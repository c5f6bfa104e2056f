"""Batch norms folded exactly, for every block family and network family, in both kinds of Keras."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.export.keras.builder import build_graph, build_keras
from edgenas.export.keras.folding import fold_batch_norms, layer_weights
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct
from edgenas.spaces.graph import GraphBuilder
from edgenas.spaces.network import chain
from edgenas.spaces.ops import Add, BatchNorm, Convolution
from edgenas.spaces.references import reference_network

FAMILIES = ["mobilenet_v3_small", "mobilenet_v2_0.35", "mobilenet_edgetpu_0.75", "mobilenet_edgetpu_v2_tiny"]
FAMILIES += ["efficientnet_lite0", "mobilenet_v3_large_minimalistic"]


@pytest.mark.parametrize(
    "name", [name if name == "mobilenet_v3_small" else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES]
)
def test_reference_families_keep_their_outputs_in_tf_keras(name: str) -> None:
    layers = pytest.importorskip("tf_keras").layers
    network = reference_network(name, input_shape=(32, 32, 3), classes=10)
    images = np.random.default_rng(1).normal(size=(8, 32, 32, 3)).astype(np.float32)
    model = build_keras(network, seed=3)
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if hasattr(layer, "moving_mean"):
            draws = generator.uniform(0.7, 1.3, (2, *layer.gamma.shape)), generator.normal(size=(2, *layer.gamma.shape))
            layer.set_weights([draws[0][0], 0.2 * draws[1][0], 0.1 * draws[1][1], draws[0][1]])
    expected = np.asarray(model(images, training=False))
    weights = layer_weights(model)
    same = build_graph(network.graph, "same", layers=layers, weights=weights)
    graph, folded_weights = fold_batch_norms(network.graph, weights)
    folded = build_graph(graph, "folded", layers=layers, weights=folded_weights)
    tolerance = 1e-5 * max(1.0, float(np.abs(expected).max()))
    assert expected.std() > 1e-3
    for rebuilt in (same, folded):
        np.testing.assert_allclose(np.asarray(rebuilt(images, training=False)), expected, atol=tolerance)
    assert not any(hasattr(layer, "moving_mean") for layer in folded.layers)


def test_a_norm_whose_convolution_is_read_twice_stays() -> None:
    builder = GraphBuilder((4, 4, 3), input_names=("image",))
    conv = builder.add("conv", Convolution(8), "image")
    graph = builder.build(builder.add("add", Add(), builder.add("bn", BatchNorm(), conv), conv))
    weights = {"conv": [np.ones((1, 1, 3, 8), np.float32)], "bn": [np.full(8, 2.0, np.float32)] * 4}
    same, kept = fold_batch_norms(graph, weights)
    assert same == graph
    assert set(kept) == {"conv", "bn"}


def test_a_bias_before_the_norm_is_folded_too() -> None:
    builder = GraphBuilder((4, 4, 3), input_names=("image",))
    conv = builder.add("conv", Convolution(2, use_bias=True), "image")
    graph = builder.build(builder.add("bn", BatchNorm(epsilon=0.0), conv))
    norm = [np.array(values, np.float32) for values in ([2.0, 3.0], [1.0, -1.0], [0.5, 0.0], [4.0, 1.0])]
    weights = {"conv": [np.ones((1, 1, 3, 2), np.float32), np.array([1.5, 1.0], np.float32)], "bn": norm}
    folded, found = fold_batch_norms(graph, weights)
    assert [node.name for node in folded.nodes] == ["conv"] == list(folded.outputs)
    np.testing.assert_allclose(found["conv"][0][0, 0, 0], [1.0, 3.0])
    np.testing.assert_allclose(found["conv"][1], [2.0, 2.0])


def test_weights_of_an_unknown_shape_are_refused_by_keras() -> None:
    network = chain("head", (4, 4, 3), {"stem": ConvBnAct(8), "head": ClassifierHead(3)})
    with pytest.raises(ValueError, match="shape"):
        build_graph(network.graph, "wrong", weights={"head.logits": [np.ones((4, 4)), np.ones(4)]})
