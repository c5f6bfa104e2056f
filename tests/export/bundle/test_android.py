"""The Kotlin class: the model's own shape and constants, for the types that Android can feed, balanced braces."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.export.bundle.android import kotlin_classifier
from edgenas.export.bundle.android_detector import kotlin_detector
from edgenas.export.bundle.boxes import BOX_SCALES, placed_anchors
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.post_processing import PostProcessing, with_post_processing
from edgenas.export.tflite.reader import model_io
from edgenas.spaces.blocks import BoxHead, ClassHead, ClassifierHead, ConvBnAct, InvertedBottleneck
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, Node, chain
from edgenas.spaces.tensor import TensorSpec


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


@pytest.mark.parametrize(("precision", "write"), [("int8", "writeInt8"), ("float32", "writeFloat")])
def test_a_detector_that_ends_in_boxes(precision: str, write: str) -> None:
    nodes = (
        Node("stem", ConvBnAct(8, stride=4), ("image",)),
        Node("boxes", BoxHead(2), ("stem",)),
        Node("classes", ClassHead(2, classes=3), ("stem",)),
    )
    network = Network("d", (("image", TensorSpec((12, 12, 3))),), nodes, ("boxes", "classes"))
    raw = write_tflite(network.graph, precision)
    preprocessing = Preprocessing((0.5,), (0.25,))
    assert kotlin_detector(raw, preprocessing) is None
    anchors = placed_anchors([(3, 3)], [np.full((2, 2), 0.5)])
    text = kotlin_detector(with_post_processing(raw, PostProcessing(anchors, 0.6, 0.01, 10, BOX_SCALES)), preprocessing)
    assert text is not None
    for expected in ("const val HEIGHT = 12", f"inputs[0].{write}(pixels(bitmap))", "outputs[3].readFloat()[0]"):
        assert expected in text
    for pair in ("{}", "()", "[]"):
        assert text.count(pair[0]) == text.count(pair[1])
