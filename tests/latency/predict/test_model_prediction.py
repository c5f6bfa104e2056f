"""Model files: blocks are found again in their operators, the rest is told apart."""

import dataclasses

import numpy as np
import pytest

from edgenas.export.compilers.edgetpu.compiled import is_compiled
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.group_split import split_group_convolutions
from edgenas.export.tflite.reader import read_operators
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
    told = 0.006 + found.interpolated_share * found.error["interpolation"]["mape"] + found.extrapolated_share
    assert found.extrapolated_share > 0
    assert found.error["mape"] == (None if found.extrapolated_share > 0.1 else pytest.approx(told))
    assert any("larger, smaller or rarer" in warning for warning in found.warnings)
    assert "form no measured block" in found.warnings[0]
    with pytest.raises(InputError, match=r"form no block.*edgenas profile"):
        predict_model(model, table, strict=True)


def test_operators_that_no_block_has_are_named(table: LatencyTable) -> None:
    model = write_tflite(reference_network("mobilenet_v3_small", (32, 32, 3), 10).graph, "int8")
    found = predict_model(model, table)
    assert found.unknown_operators == {"HARD_SWISH": 19}
    assert found.unknown_share > 0
    assert any("HARD_SWISH" in warning for warning in found.warnings)
    assert found.error["mape"] is None or found.unknown_share < 0.1


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
