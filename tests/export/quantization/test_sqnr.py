"""Layer by layer: figures against their definition, planted faults found by name, and models that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.export.quantization.layer_matching import match_layers
from edgenas.export.quantization.sqnr import HIGHEST_DB, SqnrReport, compare_layers, decibels, random_inputs, short_name
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.group_split import split_group_convolutions
from edgenas.export.tflite.schema import FILE_IDENTIFIER, schema
from edgenas.spaces.blocks import ConvBnAct, GroupConvInvertedBottleneck, InvertedBottleneck
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.network import chain

NETWORK = chain(
    "two",
    (8, 8, 3),
    {"stem": ConvBnAct(16, 3, 1, "relu"), "ibn": InvertedBottleneck(16, 3, 1, 2), "end": ConvBnAct(8, 1)},
)


@pytest.fixture(scope="module")
def models() -> tuple[bytes, bytes]:
    return write_tflite(NETWORK.graph, "float32"), write_tflite(NETWORK.graph, "int8")


@pytest.fixture(scope="module")
def report(models: tuple[bytes, bytes]) -> SqnrReport:
    return compare_layers(*models, random_inputs(models[0], count=3, seed=1))


def edited(model: bytes, change) -> bytes:
    """The model after ``change`` of its object tree."""
    import flatbuffers

    unpacked = schema().ModelT.InitFromPackedBuf(model, 0)
    change(unpacked)
    builder = flatbuffers.Builder(len(model))
    builder.Finish(unpacked.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


def test_every_layer_is_there_in_order(report: SqnrReport, models) -> None:
    assert [layer.operator for layer in report.layers][:2] == ["INPUT", "CONV_2D"]
    assert len(report.layers) == 1 + len(match_layers(*models)[1:])
    assert all(20 < layer.sqnr_db < 60 for layer in report.layers)
    assert all(layer.drop_db >= 0 for layer in report.layers)
    assert report.inputs == 3


def test_the_input_loses_what_rounding_costs(models) -> None:
    """Noise of step^2 / 12, which is what grid_db says."""
    first = compare_layers(*models, random_inputs(models[1], count=3, seed=1)).layers[0]
    assert first.grid_db is not None
    assert first.sqnr_db == pytest.approx(first.grid_db, abs=0.5)
    assert first.clipped == 0


def test_outputs_are_those_of_the_models(report: SqnrReport, models) -> None:
    from edgenas.export.verify import tflite_logits

    assert report.outputs is not None
    inputs = random_inputs(models[0], count=3, seed=1)
    first, second = (tflite_logits(model, inputs, processes=1) for model in models)
    # The interpreter's own kernels and XNNPACK's round apart by a step.
    expected = 10 * np.log10((first**2).sum() / ((second - first) ** 2).sum())
    assert report.outputs["sqnr_db"] == pytest.approx(expected, abs=0.5)


def test_a_model_equals_itself(models) -> None:
    same = compare_layers(models[0], models[0], random_inputs(models[0], count=2))
    assert all(layer.sqnr_db == HIGHEST_DB for layer in same.layers)
    assert same.outputs is not None
    assert same.outputs["max_abs_difference"] == 0
    assert same.outputs["same_top1"] == 1
    assert "exactly equal" in same.explain()


def test_a_layer_with_a_range_that_is_too_small_is_named_with_the_reason(models) -> None:
    def clip(model) -> None:
        tensor = model.subgraphs[0].tensors[model.subgraphs[0].operators[-1].outputs[0]]
        tensor.quantization.scale = tensor.quantization.scale / 16

    report = compare_layers(models[0], edited(models[1], clip), random_inputs(models[0], count=2))
    costliest = report.costliest
    assert costliest is not None
    assert costliest.index == len(report.layers) - 1
    assert costliest.clipped > 0.2
    assert "calibrate with more" in costliest.reason()
    assert short_name(costliest.tensor) in report.explain()


def test_a_layer_with_coarse_steps_is_named_with_the_reason(models) -> None:
    def stretch(model) -> None:
        tensor = model.subgraphs[0].tensors[model.subgraphs[0].operators[-1].outputs[0]]
        tensor.quantization.scale = tensor.quantization.scale * 60

    report = compare_layers(models[0], edited(models[1], stretch), random_inputs(models[0], count=2))
    assert report.costliest is not None
    assert report.costliest.index == len(report.layers) - 1
    assert report.costliest.sqnr_db < 20
    assert "stretch its range" in report.costliest.reason()
    assert "usually costs accuracy" in report.explain()


def test_layers_match_by_name_where_operators_differ() -> None:
    graph = GroupConvInvertedBottleneck(filters=16, expansion=4, groups=4).lower((8, 8, 16))
    model = write_tflite(graph, "int8")
    report = compare_layers(model, split_group_convolutions(model), random_inputs(model, count=2))
    assert [layer.operator for layer in report.layers] == ["INPUT", "CONCATENATION", "CONV_2D", "ADD"]
    assert all(layer.sqnr_db == HIGHEST_DB for layer in report.layers)


def test_models_of_nothing_in_common(models) -> None:
    other = write_tflite(ConvBnAct(4, 3).lower((8, 8, 3)), "int8")
    report = compare_layers(models[0], other, random_inputs(other, count=1))
    assert report.layers == ()
    assert report.outputs is None
    assert "no layer" in report.explain()
    assert report.to_json()["worst"] is None


def test_what_does_not_fit_is_refused(models) -> None:
    with pytest.raises(InputError, match="takes an input of shape"):
        compare_layers(*models, np.zeros((1, 9, 9, 3), np.float32))
    with pytest.raises(InputError, match="at least one"):
        compare_layers(*models, np.zeros((0, 8, 8, 3), np.float32))
    with pytest.raises(InputError, match="TFLite model"):
        compare_layers(models[0], b"nonsense", np.zeros((1, 8, 8, 3), np.float32))


def test_an_interpreter_that_crashes_is_an_error(models, monkeypatch) -> None:
    from edgenas.export.quantization import sqnr

    monkeypatch.setattr(sqnr, "_WORKER", ("-c", "import os; os.kill(os.getpid(), 11)"))
    with pytest.raises(WorkError, match="crashed with SIGSEGV"):
        compare_layers(*models, random_inputs(models[0], count=1))


def test_decibels_have_ends() -> None:
    assert decibels(0, 1) == -HIGHEST_DB
    assert decibels(1, 0) == decibels(1, 1e-300) == HIGHEST_DB
