"""Group convolutions in parts: the same numbers from operators that an Edge TPU takes."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgenas.export.compilers.edgetpu.check import check_edgetpu
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.group_split import groups_of, split_group_convolutions
from edgenas.export.tflite.reader import model_io, read_operators
from edgenas.spaces.blocks import GroupConvInvertedBottleneck, InvertedBottleneck
from edgenas.spaces.errors import InputError
from edgenas.spaces.references import reference_network

GROUPED = GroupConvInvertedBottleneck(filters=16, expansion=4, groups=4).lower((8, 8, 16))


def run(model: bytes) -> np.ndarray:
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    rng = np.random.default_rng(0)
    values = (
        rng.integers(-128, 128, source["shape"]) if source["dtype"] == np.int8 else rng.normal(size=source["shape"])
    )
    interpreter.set_tensor(source["index"], values.astype(source["dtype"]))
    interpreter.invoke()
    return interpreter.get_tensor(result["index"])


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_the_parts_compute_the_same(precision):
    model = write_tflite(GROUPED, precision)
    split = split_group_convolutions(model)
    names = [operator.name for operator in read_operators(split)]
    assert names == ["SPLIT", *["CONV_2D"] * 4, "CONCATENATION", "CONV_2D", "ADD"]
    assert all(groups_of(operator) == 1 for operator in read_operators(split))
    assert model_io(split).inputs[0].shape == model_io(model).inputs[0].shape
    whole = run(model)
    assert whole.std() > 0.1
    np.testing.assert_allclose(run(split), whole, rtol=1e-5, atol=1e-5 if precision == "float32" else 0)


def test_the_parts_map_and_the_whole_does_not():
    model = write_tflite(GROUPED, "int8")
    assert check_edgetpu(model).mapped == 0
    report = check_edgetpu(split_group_convolutions(model))
    assert (report.cpu, report.failure) == (0, None)


def test_a_network_made_for_the_edge_tpu_maps_whole_once_split():
    model = write_tflite(reference_network("mobilenet_edgetpu_v2_s", (64, 64, 3)).graph, "int8")
    assert check_edgetpu(split_group_convolutions(model)).cpu == 0


def test_a_model_without_groups_stays_as_it_is():
    model = write_tflite(InvertedBottleneck(filters=16).lower((8, 8, 16)), "int8")
    assert split_group_convolutions(model) is model


def test_what_is_no_model_is_refused_and_damage_does_no_harm():
    with pytest.raises(InputError, match="TFLite model"):
        split_group_convolutions(b"nonsense")
    model, rng = write_tflite(GROUPED, "int8"), np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(model)
        for _ in range(3):
            damaged[int(rng.integers(0, 3000))] = int(rng.integers(0, 256))
        try:
            split_group_convolutions(bytes(damaged))
        except InputError:
            continue
