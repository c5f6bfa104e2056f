"""What stands before and behind a network of table rows in its file: the same as in NumPy, in every precision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.export.bundle.run_table import features_of
from edgenas.export.bundle.table_preprocessing import TableColumn, TablePreprocessing
from edgenas.export.finishing import finished
from edgenas.export.keras.builder import build_keras
from edgenas.export.quantization import convert
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.reader import check_integer, model_io, read_operators
from edgenas.export.verify import tflite_outputs
from edgenas.spaces import SearchSpace
from edgenas.spaces.blocks import Columns, Unit
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network

PREPARED = TablePreprocessing(
    (
        TableColumn("year", 2000.0, 12.5, 2001.0),
        TableColumn("gain", 1e4, 3e4, 0.0),
        TableColumn("job", values=("a", "b")),
        TableColumn("home", values=("x", "y", "z")),
    ),
    ("income", 50.0, 20.0),
)
RAW = np.array([[2024, 99999, 0, 3], [1975.5, np.nan, 2, 0], [np.nan, 0, 1, 1]], np.float32)


def run(model, values):
    (answer,) = tflite_outputs(model, [values], processes=1)
    return answer


def network(rng=0):
    space = SearchSpace.load("mlp", input_shape=(9,), classes=1)
    deployed = space.ending_in(Unit()).beginning_with(Columns(2, "3+4"), (4,))
    return deployed.decode(deployed.sample(np.random.default_rng(rng), 1)[0])


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_features_are_those_of_numpy(precision):
    graph = Columns(2, "3+4").lower((4,))
    model = write_tflite(graph, precision, constants={"features": PREPARED.constants["columns"]})
    assert model_io(model).inputs[0].dtype == "FLOAT32"
    tolerance = 0.02 if precision == "int8" else 2e-3 if precision == "float16" else 1e-5
    np.testing.assert_allclose(run(model, PREPARED.filled(RAW)), PREPARED.features(RAW), atol=tolerance)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 3),
    st.lists(st.integers(1, 5), max_size=3),
    st.integers(0, 2**31),
)
def test_any_columns_become_the_same_features_in_the_file_and_in_run_py(numeric, counts, seed):
    if not numeric + len(counts):
        return
    rng = np.random.default_rng(seed)
    columns = [TableColumn(f"n{k}", rng.normal(0, 100), rng.uniform(0.1, 1e3)) for k in range(numeric)]
    columns += [TableColumn(f"c{k}", values=tuple(map(str, range(count)))) for k, count in enumerate(counts)]
    prepared = TablePreprocessing(tuple(columns), inside=False)
    rows = np.concatenate([rng.normal(0, 500, (4, numeric)), rng.integers(0, 6, (4, len(counts)))], axis=1)
    rows = rows.astype(np.float32)
    block = Columns(numeric, "+".join(str(count + 1) for count in counts))
    model = write_tflite(block.lower((len(columns),)), "float32", constants={"features": prepared.constants["columns"]})
    np.testing.assert_allclose(run(model, rows), prepared.features(rows), rtol=1e-5, atol=1e-5)
    alone = np.stack([features_of(row, prepared.to_dict()) for row in rows])
    np.testing.assert_allclose(alone, prepared.features(rows), rtol=1e-4, atol=1e-5)


def test_the_finished_file_is_the_trained_part_on_features_in_the_targets_unit():
    whole = network()
    model = build_keras(whole, seed=1)
    features = np.random.default_rng(0).normal(size=(64, 9)).astype(np.float32)
    for quantization, tolerance in (("float32", 1e-3), ("int8", 4.0)):
        calibration = [features] if quantization == "int8" else None
        converted = convert(model, quantization=quantization, calibration=calibration)
        file = finished(converted, whole, PREPARED.constants)
        wanted = 50 + 20 * run(converted, PREPARED.features(RAW))
        np.testing.assert_allclose(run(file, PREPARED.filled(RAW)), wanted, atol=tolerance)
        ends = model_io(file)
        assert (ends.inputs[0].shape, ends.outputs[0].dtype) == ((1, 4), "FLOAT32")
    assert check_integer(file, real_ends=True) == []
    assert check_integer(file)
    # before the sum of a residual the converter writes a RESHAPE that changes nothing
    written = [operator.name for operator in read_operators(write_tflite(whole.graph, "int8"))]
    assert [operator.name for operator in read_operators(file) if operator.name != "RESHAPE"] == written


def test_learned_networks_take_features_and_read_back():
    whole = network()
    assert whole.learned.inputs[0][1] == (9,)
    assert [node.block.kind for node in whole.learned.nodes][:1] == ["dense"]
    assert Network.from_dict(whole.to_dict()) == whole
    assert whole.macs == whole.learned.macs
    assert whole.params == whole.learned.params


def test_columns_that_do_not_fit_are_refused():
    space = SearchSpace.load("mlp", input_shape=(9,), classes=2)
    with pytest.raises(InputError, match="'mlp' takes 9, 'columns' makes 8"):
        space.beginning_with(Columns(1, "3+4"), (3,))
    for wrong in (
        {"numeric": 0},
        {"numeric": -1},
        {"numeric": 1, "categories": "3+"},
        {"numeric": 1, "categories": "0"},
    ):
        with pytest.raises(InputError):
            Columns(**wrong).lower((1,))
    constants = {"features": (np.zeros(1), np.ones(1))}
    with pytest.raises(InputError, match="1 means and 1 deviations for 2 values"):
        write_tflite(Columns(2).lower((2,)), "int8", constants=constants)


def test_preprocessing_reads_back_and_refuses_others():
    assert TablePreprocessing.from_dict(PREPARED.to_dict()) == PREPARED
    for wrong in ({}, {"columns": []}, {"columns": [{"name": "a"}], "inside": True}):
        with pytest.raises(InputError):
            TablePreprocessing.from_dict(wrong)
    with pytest.raises(InputError):
        TablePreprocessing(PREPARED.columns[::-1])
