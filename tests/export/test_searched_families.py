"""Blocks of EfficientNetV2, MobileNetV4 and CoAtNet: built, written, converted and run, alone and in a network."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from edgenas.export.keras.builder import build_keras
from edgenas.export.quantization import convert
from edgenas.export.runtime import find_runtime
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.operator_list import list_operators
from edgenas.export.tflite.reader import check_integer, read_operators
from edgenas.spaces.blocks import (
    ClassifierHead,
    ConvBnAct,
    InvertedBottleneck,
    PreNormInvertedBottleneck,
    RelativeAttention,
    UniversalInvertedBottleneck,
)
from edgenas.spaces.network import chain

SHAPE = (6, 6, 16)
BLOCKS = {
    "conv with a skip": ConvBnAct(16, activation="swish", skip=True),
    "mbconv": InvertedBottleneck(
        16, expansion=4, activation="swish", se_ratio=0.25, se_of="input", se_activation="swish", se_gate="sigmoid"
    ),
    "h-swish and squeeze-excite": InvertedBottleneck(24, 5, 2, 3, "hard_swish", se_ratio=0.25),
    "extra depthwise": UniversalInvertedBottleneck(16, 5, 3, expansion=2),
    "ConvNeXt-like, stride": UniversalInvertedBottleneck(24, 3, 0, 2, expansion=2),
    "pre-norm": PreNormInvertedBottleneck(16, expansion=2),
    "pre-norm, stride": PreNormInvertedBottleneck(24, 5, 2, 2, "relu", 0),
    "attention": RelativeAttention(16, head_size=8, expansion=2),
    "attention of one head": RelativeAttention(16, head_size=16, expansion=2, norm="batch"),
    "attention, stride": RelativeAttention(24, 2, 8, 2, "relu"),
    "head of MobileNetV4": ClassifierHead(10, 32, hidden_norm=True),
    "head of CoAtNet": ClassifierHead(10, 32, "tanh", norm=True),
}
NETWORK = chain(
    "several_of_them",
    (12, 12, 3),
    {
        "stem": ConvBnAct(16, 3, 2, "gelu"),
        "linear": ConvBnAct(16, 3, activation="linear"),
        "pre_norm": BLOCKS["pre-norm"],
        "skip": BLOCKS["conv with a skip"],
        "mbconv": BLOCKS["mbconv"],
        "extra": BLOCKS["extra depthwise"],
        "attention": BLOCKS["attention"],
        "stride": BLOCKS["attention, stride"],
        "one_head": RelativeAttention(24, 1, 24, 2, "relu", "batch"),
        "head": BLOCKS["head of CoAtNet"],
    },
)


def trained_like(network, shape):
    """A Keras model whose statistics and tables are not those that a converter leaves out, and images."""
    rng = np.random.default_rng(3)
    model = build_keras(network, seed=1)
    for variable in model.variables:
        if variable.path.endswith(("bias", "beta", "gamma", "table", "moving_mean")):
            variable.assign(rng.normal(0.5, 0.2, variable.shape))
    return model, rng.normal(size=(8, *shape)).astype(np.float32)


def run(model, image):
    interpreter = find_runtime().interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    if source["dtype"] == np.int8:
        scale, zero_point = source["quantization"]
        image = np.clip(np.rint(image / scale) + zero_point, -128, 127).astype(np.int8)
    interpreter.set_tensor(source["index"], image)
    interpreter.invoke()
    values = interpreter.get_tensor(result["index"])
    scale, zero_point = result["quantization"]
    return values if values.dtype == np.float32 else (values.astype(np.float32) - zero_point) * scale


def check(network, shape, precisions):
    model, images = trained_like(network, shape)
    expected = model(images[:1], training=False).numpy()
    for precision in precisions:
        far = 0.1 if precision == "int8" else 1e-5
        theirs = convert(model, quantization=precision, calibration=images)
        ours = write_tflite(network.graph, precision)
        kinds = [Counter(operator.name for operator in read_operators(file)) for file in (ours, theirs)]
        assert kinds[0] == kinds[1]
        assert np.abs(run(theirs, images[:1]) - expected).mean() <= far * max(1.0, float(np.abs(expected).std()))
        assert np.isfinite(run(ours, images[:1])).all()
        if precision == "int8":
            assert check_integer(ours) == check_integer(theirs) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_built_written_converted_and_run(name):
    check(chain("one", SHAPE, {"block": BLOCKS[name]}), SHAPE, ("int8",))


def test_a_network_of_them_is_too():
    check(NETWORK, (12, 12, 3), ("float32", "int8"))


def test_a_network_runs_what_its_blocks_run_at_their_places():
    whole = Counter(operator.name for operator in list_operators(NETWORK.graph, "int8"))
    parts = (list_operators(entry.deployed, "int8") for entry in NETWORK.running.values())
    assert whole == Counter(operator.name for part in parts for operator in part)
