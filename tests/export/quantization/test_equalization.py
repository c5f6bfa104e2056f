"""Equalisation changes no float output, evens out channels, and is kept only where int8 gains from it."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.export.keras.builder import build_graph
from edgenas.export.keras.folding import fold_batch_norms, layer_weights
from edgenas.export.quantization.equalization import Equalization, equalizable_pairs, equalize, equalized_conversion
from edgenas.export.tflite.reader import check_integer
from edgenas.export.verify import tflite_logits
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct, GroupConvInvertedBottleneck, InvertedBottleneck
from edgenas.spaces.network import chain

NETWORK = chain(
    "pairs",
    (9, 9, 3),
    {
        "stem": ConvBnAct(8, 3, 2, "relu"),
        "ibn": InvertedBottleneck(12, 3, 1, 2, "relu"),
        "grouped": GroupConvInvertedBottleneck(12, 3, 1, 2, "relu6", groups=4),
        "head": ClassifierHead(5),
    },
)
IMAGES = np.random.default_rng(0).normal(size=(40, 9, 9, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def model(settled):
    return settled(NETWORK, IMAGES)


def uneven(model, factor: float) -> None:
    """Scales channels of the stem up and down, which relu passes on: the same float outputs, bad for int8."""
    scale = factor ** np.linspace(-1, 1, 8).astype(np.float32)
    norm, following = model.get_layer("stem.main_bn"), model.get_layer("ibn.expand_conv")
    norm.gamma.assign(norm.gamma * scale)
    norm.beta.assign(norm.beta * scale)
    following.kernel.assign(following.kernel / scale[:, None])


def test_pairs_are_those_that_a_factor_passes_between(model) -> None:
    graph, _ = fold_batch_norms(NETWORK.graph, layer_weights(model))
    assert equalizable_pairs(graph) == (
        ("stem.main_conv", "ibn.expand_conv"),
        ("ibn.expand_conv", "ibn.depthwise_conv"),
        ("ibn.depthwise_conv", "ibn.project_conv"),
        # Not ibn.project_conv: the skip of the next block reads it too. Not grouped.expand_conv: relu6 is in between.
    )


def test_float_outputs_stay_and_ranges_meet(model) -> None:
    graph, weights = fold_batch_norms(NETWORK.graph, layer_weights(model))
    equal = equalize(graph, weights)
    assert not np.allclose(equal["ibn.depthwise_conv"][0], weights["ibn.depthwise_conv"][0])
    rebuilt = build_graph(graph, "equal", weights=equal)
    np.testing.assert_allclose(np.asarray(rebuilt(IMAGES)), np.asarray(model(IMAGES)), atol=1e-4)
    kernel = np.abs(equal["ibn.expand_conv"][0])
    outputs, depthwise = kernel.max(axis=(0, 1, 2)), np.abs(equal["ibn.depthwise_conv"][0]).max(axis=(0, 1, 3))
    np.testing.assert_allclose(outputs, depthwise, rtol=0.02)


def test_inputs_of_a_group_convolution_are_scaled_by_group() -> None:
    blocks = {"stem": ConvBnAct(8, 1, 1, "relu"), "gc": GroupConvInvertedBottleneck(8, 3, 1, 2, groups=4, skip=False)}
    network = chain("groups", (5, 5, 3), blocks)
    from edgenas.export.keras.builder import build_keras

    plain = build_keras(network, seed=1)
    graph, weights = fold_batch_norms(network.graph, layer_weights(plain))
    assert ("stem.main_conv", "gc.expand_conv") in equalizable_pairs(graph)
    images = np.random.default_rng(0).normal(size=(4, 5, 5, 3)).astype(np.float32)
    rebuilt = build_graph(graph, "equal", weights=equalize(graph, weights))
    np.testing.assert_allclose(np.asarray(rebuilt(images)), np.asarray(plain(images)), atol=1e-4)


def test_it_is_kept_where_channels_were_uneven(settled) -> None:
    model = settled(NETWORK, IMAGES)
    uneven(model, 20.0)
    file, found = equalized_conversion(NETWORK, model, "int8", IMAGES)
    assert found["applied"]
    assert found["pairs"] == 3
    assert found["error_with"] < 0.5 * found["error_without"]
    assert check_integer(file) == []
    expected = np.asarray(model(IMAGES[::5]))
    error = np.mean((tflite_logits(file, IMAGES[::5], processes=1) - expected) ** 2)
    assert error == pytest.approx(found["error_with"], rel=1e-3)


def test_what_does_not_lower_the_error_is_not_applied() -> None:
    assert not Equalization(3, 0.5, 0.5).applied
    assert not Equalization(0).applied
