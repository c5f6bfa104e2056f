"""Network -> Keras -> float TFLite: the same shapes, parameters and numbers at every step."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.export._tensorflow import keras
from edgenas.export.keras.builder import LayerSettings, build_keras, keras_layer, layer_seed
from edgenas.export.quantization import convert
from edgenas.export.tflite.reader import read_operators
from edgenas.export.verify import agreement, tflite_logits
from edgenas.spaces.block import block_kinds
from edgenas.spaces.blocks import (
    ClassifierHead,
    ConvBnAct,
    FusedInvertedBottleneck,
    GroupConvInvertedBottleneck,
    InvertedBottleneck,
    Pooling,
)
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, Node, chain
from edgenas.spaces.ops import Op, Shape

FAMILIES = {
    "stem": ConvBnAct(16, 3, 2, "hard_swish"),
    "ibn": InvertedBottleneck(16, 3, 1, 4, "relu6"),
    "grouped": GroupConvInvertedBottleneck(24, 3, 2, 4, "relu", group_size=16),
    "fused": FusedInvertedBottleneck(24, 3, 1, 2, "hard_swish", se_ratio=0.25),
    "average": Pooling("average", 3, 1),
    "wide": InvertedBottleneck(32, 5, 1, 6, "swish", se_ratio=0.25, se_gate="sigmoid"),
    "max": Pooling("max", 2, 2),
    "last": ConvBnAct(40, 1, 1, "linear"),
    "head": ClassifierHead(10, hidden=24, activation="hard_swish", dropout=0.2),
}
NETWORK = chain("all families:0-1", (27, 21, 3), FAMILIES)


@pytest.fixture(scope="module")
def model():
    built = build_keras(NETWORK, seed=3)
    images = np.random.default_rng(0).normal(size=(64, 27, 21, 3)).astype(np.float32)
    for layer in built.layers:
        if hasattr(layer, "moving_mean"):
            layer.momentum = 0.0
    built(images, training=True)  # batch norms that do something
    return built


@pytest.fixture(scope="module")
def float_tflite(model) -> bytes:
    return convert(model, quantization="float32")


def test_every_block_family_is_in_the_network_under_test() -> None:
    assert set(block_kinds()) >= {block.kind for block in FAMILIES.values()}


def test_parameters_equal_the_networks(model) -> None:
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == NETWORK.params


def test_every_layer_has_the_shape_and_the_name_of_its_op(model) -> None:
    shapes = {layer.name: tuple(layer.output.shape[1:]) for layer in model.layers}
    assert shapes == dict(NETWORK.graph.shapes)
    assert model.inputs[0].name == "image"


def test_parameters_equal_op_by_op(model) -> None:
    for node in NETWORK.graph.nodes:
        weights = model.get_layer(node.name).trainable_weights
        expected = node.op.params(*NETWORK.graph.input_shapes(node))
        assert sum(int(np.prod(weight.shape)) for weight in weights) == expected, node.name


def test_float_tflite_equals_keras(model, float_tflite: bytes) -> None:
    images = np.random.default_rng(1).normal(size=(8, 27, 21, 3)).astype(np.float32)
    logits = model.predict(images, verbose=0)
    assert logits.std() > 0.1  # or the comparison would say nothing
    assert agreement(logits, tflite_logits(float_tflite, images, processes=1)).max_abs_difference < 1e-4


def test_converter_folds_norms_and_makes_one_convolution_of_a_group_convolution(float_tflite: bytes) -> None:
    names = [operator.name for operator in read_operators(float_tflite)]
    assert names == [
        *("CONV_2D", "HARD_SWISH"),
        *("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "ADD"),
        *("CONV_2D", "CONV_2D"),
        *("CONV_2D", "HARD_SWISH", "MEAN", "CONV_2D", "CONV_2D", "MUL", "MUL", "CONV_2D", "ADD"),
        "AVERAGE_POOL_2D",
        *("CONV_2D", "LOGISTIC", "MUL", "DEPTHWISE_CONV_2D", "LOGISTIC", "MUL"),
        *("MEAN", "CONV_2D", "CONV_2D", "LOGISTIC", "MUL", "CONV_2D"),
        "MAX_POOL_2D",
        "CONV_2D",
        *("MEAN", "FULLY_CONNECTED", "HARD_SWISH", "FULLY_CONNECTED"),
    ]


def test_equal_seeds_give_equal_weights_and_others_do_not(model) -> None:
    head = chain("head", (4, 4, 8), {"head": ClassifierHead(10)})
    first, second, other = (build_keras(head, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_weights_do_not_depend_on_what_else_is_in_the_network() -> None:
    stem = {"stem": ConvBnAct(8, 3)}
    short = build_keras(chain("short", (8, 8, 3), stem), seed=5)
    long = build_keras(chain("long", (8, 8, 3), stem | {"more": ConvBnAct(8, 3)}), seed=5)
    kernels = [net.get_layer("stem.main_conv").get_weights()[0] for net in (short, long)]
    assert np.array_equal(*kernels)
    assert not np.array_equal(long.get_layer("more.main_conv").get_weights()[0][:, :, :3], kernels[0])


def test_activations_keep_their_scale_through_a_group_convolution() -> None:
    """The initial variance follows the fan of one group: with the whole kernel's, it would shrink with the groups."""
    for groups in (1, 8):
        blocks = {"gc": GroupConvInvertedBottleneck(16, 3, 1, 4, groups=groups)}
        net = build_keras(chain("gc", (8, 8, 64), blocks), seed=0)
        kernel = net.get_layer("gc.expand_conv").get_weights()[0]
        assert np.std(kernel) == pytest.approx(np.sqrt(2 / (9 * 256 / groups)), rel=0.05)


def test_seeds_of_layers_differ() -> None:
    seeds = {layer_seed(seed, name) for seed in range(20) for name in ("a.conv", "b.conv", "a.bn")}
    assert len(seeds) == 60


def test_dropout_is_for_training_only(model) -> None:
    image = np.ones((1, 27, 21, 3), np.float32)
    assert np.array_equal(model(image, training=False), model(image, training=False))
    layer = model.get_layer("head.dropout")
    features = np.ones((1, 100), np.float32)
    assert np.array_equal(layer(features, training=False), features)
    assert not np.array_equal(layer(features, training=True), features)


def test_branches_and_two_outputs() -> None:
    nodes = (
        Node("trunk", ConvBnAct(8, 3, 2), ("image",)),
        Node("left", ClassifierHead(3), ("trunk",)),
        Node("right", ClassifierHead(5), ("trunk",)),
    )
    net = build_keras(Network("fork", (("image", (8, 8, 3)),), nodes, ("left", "right")))
    assert [tuple(out.shape) for out in net(np.zeros((2, 8, 8, 3), np.float32))] == [(2, 3), (2, 5)]


def test_tf_keras_layers_give_the_same_numbers(model) -> None:
    layers = pytest.importorskip("tf_keras").layers
    other = build_keras(NETWORK, layers=layers)
    for layer in other.layers:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    images = np.random.default_rng(1).normal(size=(4, 27, 21, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(other(images)), np.asarray(model(images)), atol=1e-5)


class _Unknown(Op):
    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]


def test_an_op_without_a_layer_is_named() -> None:
    with pytest.raises(InputError, match=r"no Keras layer for _Unknown \(a\.b\).*Convolution"):
        keras_layer(_Unknown(), LayerSettings("a.b", 0, ((4, 4, 3),), keras().layers))


def test_an_empty_network_is_refused() -> None:
    with pytest.raises(InputError, match="no ops"):
        build_keras(Network("empty", (("image", (4, 4, 3)),), (), ("image",)))


def test_a_model_can_be_cloned_and_saved(model, tmp_path) -> None:
    images = np.random.default_rng(1).normal(size=(4, 27, 21, 3)).astype(np.float32)
    clone = keras().models.clone_model(model)
    clone.set_weights(model.get_weights())
    model.save(tmp_path / "model.keras")
    for copy in (clone, keras().models.load_model(tmp_path / "model.keras")):
        np.testing.assert_allclose(np.asarray(copy(images)), np.asarray(model(images)), atol=1e-5)
