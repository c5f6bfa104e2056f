"""Model files: blocks are found again in their operators, the rest is told apart."""

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from edgenas.export.compilers.edgetpu.compiled import is_compiled
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.group_split import split_group_convolutions
from edgenas.export.tflite.reader import TfliteOperator, TfliteTensor, read_operators
from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.predict.model_cover import BlockIndex
from edgenas.latency.predict.model_prediction import model_precision, predict_model
from edgenas.latency.predict.operators import operator_work
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.spaces.errors import InputError
from edgenas.spaces.references import reference_network
from edgenas.spaces.space.search_space import SearchSpace


def make_table(space: SearchSpace, precision: str) -> LatencyTable:
    rng = np.random.default_rng(0)
    return LatencyTable(
        device="server",
        precision=precision,
        runtime="fake-runtime",
        runtime_version="1.0",
        threads=1,
        protocol="made up",
        anchor_ms=0.005,
        created="2000-01-01T00:00:00Z",
        rows={
            name: Row(0.001 + entry.graph.macs * 1e-7 * rng.uniform(0.9, 1.1))
            for name, entry in space.signatures(precision).items()
        },
        calibration=Calibration(1.05, 0.0005, 12, 0.006, 0.02, 1.1, 1.3),
    )


@pytest.fixture(scope="module")
def tiny() -> SearchSpace:
    return SearchSpace.load("tiny_edge")


@pytest.fixture(scope="module")
def table(tiny: SearchSpace) -> LatencyTable:
    return make_table(tiny, "int8")


@pytest.mark.parametrize("precision", ["int8", "float32", "float16"])
def test_exported_networks_are_predicted_as_networks(tiny: SearchSpace, precision: str) -> None:
    table = make_table(tiny, precision)
    for row in tiny.sample(np.random.default_rng(1), 8):
        network = tiny.decode(row)
        expected = Predictor(table).predict(network)
        found = predict_model(write_tflite(network.graph, precision), table, strict=True)
        assert found.latency_ms == pytest.approx(expected.latency_ms, rel=0.01)
        assert found.measured_share == pytest.approx(1)
        assert len(found.blocks) == len(network.nodes)
        assert found.error["mape"] == 0.006
        assert found.provenance.kind == "modelled"
        assert not found.warnings


@pytest.mark.parametrize("name", ["mobilenet_v2_0.35", "mobilenet_v3_small", "mobilenet_edgetpu_v2_tiny"])
def test_reference_networks_are_covered_by_their_own_blocks(name: str) -> None:
    network = reference_network(name, (96, 96, 3))
    works = operator_work(read_operators(write_tflite(network.graph, "int8")))
    pieces = BlockIndex(network.signatures("int8").values()).cover(works)
    assert [piece.signature for piece in pieces] == list(network.signatures("int8").values())


def test_a_block_that_is_read_from_inside_is_no_block(tiny: SearchSpace, table: LatencyTable) -> None:
    works = list(
        operator_work(
            read_operators(write_tflite(tiny.decode(tiny.sample(np.random.default_rng(1), 1)[0]).graph, "int8"))
        )
    )
    index = BlockIndex(table.rows)
    whole = index.cover(works)
    long = next(piece for piece in whole if len(piece.works) > 1)
    place = works.index(long.works[0])
    # The last operator now reads the first of the block as well.
    works[-1] = dataclasses.replace(works[-1], sources=(*works[-1].sources, place))
    assert long.signature not in [piece.signature for piece in index.cover(works) if piece.works == long.works]


def test_what_no_block_covers_is_interpolated_and_told(tiny: SearchSpace, table: LatencyTable) -> None:
    model = write_tflite(reference_network("mobilenet_v2_0.35", (32, 32, 3), 10).graph, "int8")
    found = predict_model(model, table)
    assert found.latency_ms > 0
    assert found.measured_share < 0.05
    assert found.measured_share + found.interpolated_share + found.unknown_share == pytest.approx(1)
    assert found.extrapolated_share > 0
    assert found.error["mape"] is None
    assert "beyond those measured" in found.error["reason"]
    assert any("other forms or sizes" in warning for warning in found.warnings)
    assert "form no measured block" in found.warnings[0]
    with pytest.raises(InputError, match=r"form no block.*edgenas profile"):
        predict_model(model, table, strict=True)


def test_operators_that_no_block_has_are_named(table: LatencyTable) -> None:
    model = write_tflite(reference_network("mobilenet_v3_small", (32, 32, 3), 10).graph, "int8")
    found = predict_model(model, table)
    assert found.unknown_operators == {"HARD_SWISH": 19}
    assert found.unknown_share > 0
    assert any("HARD_SWISH" in warning for warning in found.warnings)
    assert found.error["mape"] is None
    assert "HARD_SWISH" in found.error["reason"]


def changed(operator: TfliteOperator, **changes: Any) -> TfliteOperator:
    """An operator with other tensors: ``activations``, ``weights`` are types, ``kernel`` sides, the rest options."""
    weights, activations, kernel = (changes.pop(name, None) for name in ("weights", "activations", "kernel"))

    def tensor(one: TfliteTensor) -> TfliteTensor:
        if one.is_constant and len(one.shape) == 4:
            shape = (one.shape[0], *kernel, one.shape[3]) if kernel else one.shape
            return dataclasses.replace(
                one, dtype=weights or one.dtype, shape=shape, is_sparse=changes.get("sparse", False)
            )
        return dataclasses.replace(one, dtype=activations) if activations and not one.is_constant else one

    inputs = tuple(one if one is None else tensor(one) for one in operator.inputs)
    outputs = tuple(tensor(one) for one in operator.outputs)
    options = dict(operator.options) | {name: value for name, value in changes.items() if name in operator.options}
    renamed = {name: changes[name] for name in ("name", "is_custom") if name in changes}
    return dataclasses.replace(operator, inputs=inputs, outputs=outputs, options=options, **renamed)


OUTSIDE_OF_WHAT_WAS_MEASURED: dict[str, tuple[str, dict[str, Any]]] = {
    "dynamic range": ("INT8 weights between FLOAT32 activations.*not measured in this precision", {"weights": "INT8"}),
    "four bits": ("INT4 weights between FLOAT32 activations.*not measured in this precision", {"weights": "INT4"}),
    "int16": ("activations INT16 was not measured in this precision", {"activations": "INT16", "weights": "INT16"}),
    "float16": ("activations FLOAT16 was not measured", {"activations": "FLOAT16"}),
    "kernel": ("kernel 10x4 was not measured", {"kernel": (10, 4)}),
    "larger kernel": ("kernel 9x9 was not measured", {"kernel": (9, 9)}),
    "stride": ("stride 3x3 was not measured", {"strideH": 3, "strideW": 3}),
    "one stride": ("stride 1x2 was not measured", {"strideH": 1, "strideW": 2}),
    "dilation": ("dilation 2x2 was not measured", {"dilationHFactor": 2, "dilationWFactor": 2}),
    "sparse": ("sparse weights yes was not measured", {"sparse": True}),
    "activation": ("fused activation TANH was not measured", {"fusedActivationFunction": 4}),
    "custom": ("a custom operator", {"name": "MyOp", "is_custom": True}),
    "kind": ("no measured block has this operator", {"name": "RFFT2D"}),
    "control flow": ("control flow: how often", {"name": "WHILE"}),
}


@pytest.mark.parametrize("name", OUTSIDE_OF_WHAT_WAS_MEASURED)
def test_the_error_is_not_known_outside_of_what_was_measured(
    tiny: SearchSpace, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """One operator of a network whose blocks were all measured is of another form."""
    pattern, changes = OUTSIDE_OF_WHAT_WAS_MEASURED[name]
    table = make_table(tiny, "float32")
    model = write_tflite(tiny.decode(tiny.sample(np.random.default_rng(1), 1)[0]).graph, "float32")
    operators = list(read_operators(model))
    assert predict_model(model, table).error["mape"] == 0.006
    place = next(
        place
        for place, one in enumerate(operators)
        if one.name == "CONV_2D" and one.inputs[1] and one.inputs[1].shape[1] > 1
    )
    operators[place] = changed(operators[place], **changes)
    monkeypatch.setattr("edgenas.latency.predict.model_prediction.read_operators", lambda _: tuple(operators))
    found = predict_model(model, table)
    assert found.error["mape"] is None
    assert found.error["interval"] is None
    assert re.search(pattern, found.error["reason"])
    assert found.error["reasons"]
    assert found.measured_share < 1
    assert found.extrapolated_share + found.unknown_share > 0


def test_integers_without_a_sign_have_no_known_error(
    tiny: SearchSpace, table: LatencyTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_tflite(tiny.decode(tiny.sample(np.random.default_rng(1), 1)[0]).graph, "int8")
    operators = tuple(changed(one, activations="UINT8", weights="UINT8") for one in read_operators(model))
    monkeypatch.setattr("edgenas.latency.predict.model_prediction.read_operators", lambda _: operators)
    found = predict_model(model, table)
    assert found.error["mape"] is None
    assert "uint8" in found.error["reason"]


def test_a_table_without_whole_networks_says_why_there_is_no_error(tiny: SearchSpace, table: LatencyTable) -> None:
    model = write_tflite(tiny.decode(tiny.sample(np.random.default_rng(1), 1)[0]).graph, "int8")
    found = predict_model(model, dataclasses.replace(table, calibration=None, calibrations={}))
    assert found.error["mape"] is None
    assert found.error["reason"] == "the table is not calibrated with whole networks"


def test_split_groups_are_another_model(tiny: SearchSpace, table: LatencyTable) -> None:
    network = next(
        n for n in map(tiny.decode, tiny.sample(np.random.default_rng(0), 50)) if "gc_ibn" in str(n.signatures("int8"))
    )
    found = predict_model(split_group_convolutions(write_tflite(network.graph, "int8")), table)
    assert {"SPLIT", "CONCATENATION"} <= set(found.unknown_operators)
    assert 0 < len(found.blocks) < len(network.nodes)


def test_other_precisions_are_refused(tiny: SearchSpace, table: LatencyTable) -> None:
    network = tiny.decode(tiny.sample(np.random.default_rng(0), 1)[0])
    for precision in ("float32", "float16"):
        model = write_tflite(network.graph, precision)
        assert model_precision(read_operators(model)) == precision
        with pytest.raises(InputError, match=f"model is {precision}.*precision int8.*edgenas profile"):
            predict_model(model, table)


def test_damaged_models_are_refused_and_never_crash(tiny: SearchSpace, table: LatencyTable) -> None:
    model = write_tflite(tiny.decode(tiny.sample(np.random.default_rng(0), 1)[0]).graph, "int8")
    rng = np.random.default_rng(0)
    outcomes = {"refused": 0, "predicted": 0}
    for turn in range(40):
        damaged = bytearray(model[: rng.integers(0, len(model))] if turn % 3 == 0 else model)
        for place in rng.integers(0, max(len(damaged), 1), 20 if damaged else 0):
            # Most of a file is weights: damage its tables too.
            damaged[-1 - place % 30_000 if turn % 2 else place] = rng.integers(256)
        try:
            if not is_compiled(bytes(damaged)):
                assert predict_model(bytes(damaged), table).latency_ms > 0
            outcomes["predicted"] += 1
        except InputError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 0
    with pytest.raises(InputError):
        predict_model(b"", table)
