"""Quantization-aware networks: they start where the float network is, and become the operators int8 becomes."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.export.keras.builder import build_keras
from edgenas.export.keras.folding import fold_batch_norms, layer_weights
from edgenas.export.quantization import convert
from edgenas.export.quantization.converter import with_outputs_named
from edgenas.export.quantization.fake_quantization import (
    activation_ranges,
    is_quantize_aware,
    kernel_variables,
    settle_kernel_ranges,
    stored_tensors,
)
from edgenas.export.quantization.preparation import FineTuning, prepare
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.reader import check_integer, model_io, read_operators
from edgenas.export.verify import agreement, tflite_logits, tflite_outputs
from edgenas.spaces.blocks import (
    BoxHead,
    ClassHead,
    ClassifierHead,
    ConvBnAct,
    FusedInvertedBottleneck,
    GroupConvInvertedBottleneck,
    InvertedBottleneck,
    Pooling,
)
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.graph import GraphBuilder
from edgenas.spaces.network import Network, Node, chain
from edgenas.spaces.ops import Dense
from edgenas.spaces.tensor import TensorSpec

pytest.importorskip("tensorflow_model_optimization")

NETWORK = chain(
    "families",
    (13, 11, 3),
    {
        "stem": ConvBnAct(16, 3, 2, "hard_swish"),
        "ibn": InvertedBottleneck(16, 3, 1, 4, "relu6", se_ratio=0.25),
        "grouped": GroupConvInvertedBottleneck(24, 3, 2, 4, "relu", group_size=16),
        "average": Pooling("average", 3, 1),
        "fused": FusedInvertedBottleneck(24, 3, 1, 2, "swish", se_ratio=0.25, se_gate="sigmoid"),
        "max": Pooling("max", 2, 2),
        "head": ClassifierHead(8, hidden=24, activation="hard_swish", dropout=0.2),
    },
)


@pytest.fixture(scope="module")
def families(settled):
    images = np.random.default_rng(0).normal(size=(32, 13, 11, 3)).astype(np.float32)
    return settled(NETWORK, images), images


def test_every_family_starts_close_and_becomes_the_operators_of_int8(families) -> None:
    model, images = families
    prepared = prepare(NETWORK, model, FineTuning(quantize_aware=True), calibration=images)
    aware = prepared.finish()
    simulated = np.asarray(aware(images, training=False))
    expected = np.asarray(model(images, training=False))
    assert 0 < np.abs(simulated - expected).max() < 0.15 * np.ptp(expected)
    file = convert(aware, quantization="int8-qat")
    assert check_integer(file) == []
    plain = convert(model, quantization="int8", calibration=images)
    assert [op.name for op in read_operators(file)] == [op.name for op in read_operators(plain)]
    assert len(file) < 1.05 * len(plain)  # names of tensors take space too
    # The file computes what training saw: within a few steps of the output's scale.
    step = read_operators(file)[-1].outputs[0].scale[0]
    assert agreement(simulated, tflite_logits(file, images, processes=1)).max_abs_difference < 6 * step


def test_a_detector_keeps_its_boxes_first() -> None:
    # The converter lists these outputs the other way round; as many classes as a box has numbers hide that in shapes.
    nodes = (
        Node("fine", ConvBnAct(8, stride=2), ("image",)),
        Node("coarse", ConvBnAct(8, stride=2), ("fine",)),
        Node("boxes", BoxHead(2), ("fine", "coarse")),
        Node("classes", ClassHead(2, classes=4), ("fine", "coarse")),
    )
    network = Network("detector", (("image", TensorSpec((8, 8, 3))),), nodes, ("boxes", "classes"))
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype(np.float32)
    aware = prepare(network, build_keras(network), FineTuning(quantize_aware=True), calibration=images).finish()
    file = convert(aware, quantization="int8-qat")
    assert check_integer(file) == []
    for expected, found in zip(aware(images, training=False), tflite_outputs(file, [images]), strict=True):
        assert np.abs(np.asarray(expected) - found).mean() < 0.1 * np.asarray(expected).std()


def test_outputs_that_cannot_be_told_apart_are_refused() -> None:
    builder = GraphBuilder((4,))
    ends = [builder.add(name, Dense(2), builder.inputs[0]) for name in ("first", "second")]
    file = write_tflite(builder.build(*ends), "int8")
    assert [end.name for end in model_io(file).outputs] == ["first", "second"]
    assert [end.name for end in model_io(with_outputs_named(file, ("second", "first"))).outputs] == ["second", "first"]
    with pytest.raises(WorkError, match="cannot be told apart as first, third"):
        with_outputs_named(file, ("first", "third"))


def test_what_is_fused_has_no_tensor(families) -> None:
    graph, _ = fold_batch_norms(NETWORK.graph, layer_weights(families[0]))
    stored = stored_tensors(graph)
    assert "stem.main_conv" in stored  # read by a hard swish, which the file computes by itself
    assert not {"grouped.expand_conv", "ibn.se_expand_conv"} & stored  # a relu and a hard sigmoid are fused
    assert not {"max.pool", "average.pool", "head.dropout"} & stored


def test_kernel_ranges_follow_the_weights(settled) -> None:
    head = chain("head", (4, 4, 3), {"stem": ConvBnAct(8), "head": ClassifierHead(8)})
    images = np.random.default_rng(0).normal(size=(16, 4, 4, 3)).astype(np.float32)
    aware = prepare(head, settled(head, images), FineTuning(quantize_aware=True), calibration=images).model
    assert is_quantize_aware(aware)
    before = np.asarray(aware(images, training=False))
    for variable in kernel_variables(aware).values():
        variable.assign(2.0 * variable)
    clipped = np.asarray(aware(images, training=False))
    settle_kernel_ranges(aware)
    assert np.abs(clipped - before).max() < np.abs(np.asarray(aware(images, training=False)) - before).max()


def test_ranges_are_those_of_the_activations() -> None:
    network = chain("stem", (4, 4, 1), {"stem": ConvBnAct(2, 1)})
    model = build_keras(network)
    graph, weights = fold_batch_norms(network.graph, layer_weights(model))
    images = np.random.default_rng(0).normal(size=(70, 4, 4, 1)).astype(np.float32)
    ranges = activation_ranges(graph, weights, images)
    assert ranges["image"] == pytest.approx((images.min(), images.max()))
    out = np.asarray(model(images))
    assert ranges["stem.main_act"] == pytest.approx((0.0, out.max()), abs=1e-5)


def test_preparing_needs_images(families) -> None:
    with pytest.raises(InputError, match="calibration images"):
        prepare(NETWORK, families[0], FineTuning(quantize_aware=True))


def test_a_missing_extra_is_named(families, monkeypatch) -> None:
    from edgenas.export.quantization import fake_quantization

    def missing(name: str):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(fake_quantization.importlib, "import_module", missing)
    fake_quantization._toolkit.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'edgenas\[qat\]'"):
        prepare(NETWORK, families[0], FineTuning(quantize_aware=True), calibration=families[1])
    fake_quantization._toolkit.cache_clear()
