"""The Kotlin class: the model's own shape and constants, for the types that Android can feed, balanced braces."""

from __future__ import annotations

import pytest

from edgenas.export.bundle.android import kotlin_classifier
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.reader import model_io
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct, InvertedBottleneck
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import chain


def model(channels: int, precision: str) -> bytes:
    network = chain("n", (12, 10, channels), {"stem": ConvBnAct(8, 3, 2), "head": ClassifierHead(4)})
    return write_tflite(network.graph, precision)


def test_an_int8_model_gets_its_scales() -> None:
    content = model(3, "int8")
    text = kotlin_classifier(content, Preprocessing((0.5,), (0.25,)))
    assert text is not None
    ends = model_io(content)
    for expected in (
        "const val HEIGHT = 12",
        "const val WIDTH = 10",
        "val MEAN = floatArrayOf(0.5f, 0.5f, 0.5f)",
        "inputs[0].writeInt8(pixels(bitmap))",
        f"(value / {ends.inputs[0].scale[0]:.9g}f).roundToInt() + ({ends.inputs[0].zero_point[0]})",
        f"outputs[0].readInt8().map {{ (it - ({ends.outputs[0].zero_point[0]})) * {ends.outputs[0].scale[0]:.9g}f }}",
        "stored(red, 0)",
    ):
        assert expected in text
    assert text.count("{") == text.count("}")
    assert text.count("(") == text.count(")")


def test_a_float_model_of_grey_images() -> None:
    text = kotlin_classifier(model(1, "float32"), Preprocessing((0.5,), (0.25,)))
    assert text is not None
    assert "writeFloat(pixels(bitmap))" in text
    assert "val logits = outputs[0].readFloat()\n" in text
    assert "0.299f * red" in text
    assert "roundToInt() +" not in text


def test_what_android_cannot_feed() -> None:
    block = write_tflite(InvertedBottleneck(filters=16).lower((8, 8, 16)), "int8")
    assert kotlin_classifier(block, Preprocessing((0.5,), (0.25,))) is None
    with pytest.raises(InputError, match="TFLite model"):
        kotlin_classifier(b"nonsense", Preprocessing((0.5,), (0.25,)))
