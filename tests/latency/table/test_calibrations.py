"""A table keeps the calibration of each space: what is profiled later changes nothing of what was predicted before."""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgenas.devices import get_device
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.measure.visits import QuietSettings
from edgenas.latency.predict.model_prediction import predict_model
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.profile.profiler import profile_space
from edgenas.latency.profile.reference_networks import table_for
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.spaces.space.search_space import SearchSpace

FEW = QuietSettings(visits=3, max_visits=6)
Server = Callable[..., Any]
SINGLE = """\
name: single
task: classification
input_shape: [16, 16, 1]
classes: 10
stem: {block: conv, filters: [8], kernel: 3, stride: 2}
stages:
  - stride: 2
    filters: [8]
    depth: [1]
    layers: [{blocks: [{block: ibn, kernel: [3], expansion: [2]}]}]
head:
  - {block: classifier}
"""


def told(table: LatencyTable, space: SearchSpace) -> tuple[Any, ...]:
    """All that is predicted of a space, and how."""
    table = table_for(table, space)
    predictor = Predictor(table)
    population = space.sample(np.random.default_rng(5), 20)
    return (
        predictor.population(space, population).tolist(),
        predictor.error,
        predictor.describe_error(),
        predictor.energy_provenance,
        predictor.describe_deployed(),
    )


@pytest.mark.parametrize("kind", ["standalone", "in networks", "simulated"])
def test_profiling_another_space_changes_no_prediction(
    tmp_path: Path, space: SearchSpace, server: Server, slow_server: Server, kind: str
) -> None:
    """Neither a space of other sizes, nor one of a single network, whose blocks were all measured before."""
    path = tmp_path / "t.csv"
    device = {"standalone": server, "in networks": slow_server, "simulated": lambda: get_device("edgetpu-sim")}[kind]()
    other = SearchSpace.load(tmp_path / "space.yaml", input_shape=(24, 24, 1))
    (tmp_path / "single.yaml").write_text(SINGLE)
    single = SearchSpace.load(tmp_path / "single.yaml")
    assert single.size == 1

    profile_space(space, device, precision="int8", table_path=path, settings=FEW)
    before = told(LatencyTable.load(path), space)
    rows = LatencyTable.load(path).rows
    model = write_tflite(space.decode(space.sample(np.random.default_rng(7), 1)[0]).graph, "int8")
    predicted = predict_model(model, LatencyTable.load(path)).to_json()
    for each in (single, other):
        found = profile_space(each, device, precision="int8", table_path=path, settings=FEW)
        assert found.table.calibration is not None
        assert found.table.calibration == table_for(LatencyTable.load(path), each).calibration
        table = LatencyTable.load(path)
        assert told(table, space) == before
        after = predict_model(model, table).to_json()
        assert {key: after[key] for key in predicted if key != "provenance"} == {
            key: predicted[key] for key in predicted if key != "provenance"
        }
        for name, row in rows.items():
            assert dataclasses.replace(table.rows[name], profiled_for=()) == dataclasses.replace(row, profiled_for=())
    assert len(LatencyTable.load(path).calibrations) == 3
    networks = [each.networks for each in LatencyTable.load(path).calibrations.values()]
    assert networks[0] == before[1]["networks"] > networks[1]


def test_an_older_table_is_read_as_one_calibration_for_all_its_rows(
    tmp_path: Path, space: SearchSpace, server: Server
) -> None:
    path = tmp_path / "t.csv"
    table = profile_space(space, server(), precision="int8", table_path=path, settings=FEW).table
    assert table.calibration is not None
    of = table.calibration.of
    lines = table.to_text().splitlines()[:-1]
    older = [line if line.startswith("#") else line.rpartition(",")[0] for line in lines]
    older[0] = "# edgenas-latency-table: 2"
    text = "\n".join(older).replace(f"# calibration {of}:", "# calibration:") + "\n"
    read = LatencyTable.from_text(f"{text}# sha256: {hashlib.sha256(text.encode()).hexdigest()}\n")
    assert read.calibration == table.calibration
    assert {row.profiled_for for row in read.rows.values()} == {(of,)}
    assert told(read, space) == told(table, space)
