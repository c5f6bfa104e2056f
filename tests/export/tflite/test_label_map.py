"""The end of segmentation networks, as written and as joined to a converted file: exact labels, by either arg-max."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.export.compilers.edgetpu.check import check_edgetpu
from edgenas.export.finishing import finished
from edgenas.export.keras.builder import build_keras
from edgenas.export.quantization import convert
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.join import joined
from edgenas.export.tflite.reader import read_operators
from edgenas.export.verify import tflite_outputs
from edgenas.spaces.blocks import ConvBnAct, LabelMap
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import chain
from edgenas.spaces.ops import ClassMap
from edgenas.tasks.pixels import label_maps

INT8 = np.arange(-128, 128) / 32  # what int8 inputs of the range -4 to 4 are, nearly


def run(model: bytes, values: np.ndarray) -> np.ndarray:
    (found,) = tflite_outputs(model, [values.astype(np.float32)], processes=1)
    return found


@pytest.mark.parametrize("precision", ["int8", "float32", "float16"])
@pytest.mark.parametrize("argmax", ["operator", "chain"])
@pytest.mark.parametrize("classes", [2, 11, 127])
def test_labels_are_exact_and_the_first_of_equals_wins(precision: str, argmax: str, classes: int) -> None:
    rng = np.random.default_rng(classes)
    stored = rng.integers(-128, 128, (2, 6, 5, classes))
    stored[0, 0] = 7  # all equal
    stored[0, 1, :, classes // 2 :] = 127
    graph = LabelMap(6, 5, 6, 5, argmax).lower((6, 5, classes))
    scale = np.float32(8 / 255)  # of int8 inputs as they are written
    found = run(write_tflite(graph, precision), (stored + 0.0) * scale if precision == "int8" else stored)
    np.testing.assert_array_equal(found, stored.argmax(-1))


def test_labels_are_repeated_as_the_nearest_pixel_is() -> None:
    values = np.random.default_rng(0).normal(size=(1, 6, 5, 4))
    for height, width in ((24, 20), (13, 11)):
        found = run(write_tflite(LabelMap(height, width, 6, 5).lower((6, 5, 4)), "float32"), values)
        down, right = (((np.arange(new) + 0.5) * old / new).astype(int) for new, old in ((height, 6), (width, 5)))
        np.testing.assert_array_equal(found[0], values.argmax(-1)[0][down][:, right])


def test_the_chain_is_made_of_operators_that_edge_tpus_take() -> None:
    graph = LabelMap(24, 20, 12, 10, "chain").lower((6, 5, 11))
    names = [operator.name for operator in read_operators(write_tflite(graph, "int8"))]
    assert names[0] == "RESIZE_BILINEAR"
    assert names[1:7] == ["REDUCE_MAX", "SUB", "MUL", "ADD", "REDUCE_MAX", "SUB"]
    assert names[7:] == ["RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "RESHAPE"]
    report = check_edgetpu(write_tflite(graph, "int8"))
    assert report.cpu == 0, [(operator.op, operator.reason) for operator in report.operators]
    assert check_edgetpu(write_tflite(LabelMap(24, 20, 12, 10).lower((6, 5, 11)), "int8")).cpu


NETWORK = chain(
    "seg", (16, 24, 3), {"a": ConvBnAct(8, 3, 4), "b": ConvBnAct(5, 1, 1, "linear"), "c": LabelMap(16, 24, 16, 24)}
)


def test_what_is_learned_ends_before_the_labels() -> None:
    assert [node.name for node in NETWORK.learned.nodes] == ["a", "b"]
    assert NETWORK.learned.outputs == ("b",)
    assert NETWORK.learned.learned is NETWORK.learned
    assert (NETWORK.params, NETWORK.macs) == (NETWORK.learned.params, NETWORK.learned.macs)
    assert tuple(build_keras(NETWORK).output.shape) == (None, 4, 6, 5)


@pytest.mark.parametrize("quantization", ["float32", "int8", "dynamic"])
def test_a_converted_file_is_finished(quantization: str) -> None:
    images = np.random.default_rng(0).normal(size=(8, 16, 24, 3)).astype(np.float32)
    plain = convert(build_keras(NETWORK, seed=1), quantization=quantization, calibration=images)
    whole = finished(plain, NETWORK)
    labels = run(whole, images)
    assert labels.shape == (8, 16, 24)
    wanted = label_maps(run(plain, images), (16, 24))
    assert (labels == wanted).mean() > (0.999 if quantization != "int8" else 0.97)  # resized in int8: ties
    assert finished(plain, NETWORK.learned) is plain


def test_files_that_do_not_fit_are_not_joined() -> None:
    one = write_tflite(ConvBnAct(8).lower((4, 4, 3)), "int8")
    other = write_tflite(ConvBnAct(8).lower((4, 4, 7)), "int8")
    with pytest.raises(InputError, match=r"puts out INT8 \(1, 4, 4, 8\) cannot go on with one that takes INT8"):
        joined(one, other)


def test_too_many_classes_are_refused() -> None:
    with pytest.raises(InputError, match="128 classes"):
        ClassMap().output((4, 4, 128))
