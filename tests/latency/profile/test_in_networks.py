"""Blocks seen in networks: right where standalone ones are not, complete, resumable, standalone where it must be."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.check.drift import measure_drift
from edgenas.latency.check.validation import validate
from edgenas.latency.measure.visits import QuietSettings
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.profile.profiler import profile_space
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.spaces.space.search_space import SearchSpace

FEW = QuietSettings(visits=4, max_visits=8)
Server = Callable[..., Any]


def worst_error(table: LatencyTable, space: SearchSpace, device: Any) -> float:
    """Of predictions of random networks."""
    population = space.sample(np.random.default_rng(9), 40)
    true = [device.true_ms(write_tflite(space.decode(row).graph, "int8")) for row in population]
    return float(np.abs(Predictor(table).population(space, population) / np.array(true) - 1).max())


def test_large_networks_are_the_sum_of_their_blocks(tmp_path: Path, space: SearchSpace, slow_server: Server) -> None:
    device = slow_server(seed=1, busy=0.3, clocks=(1.0, 1.045, 1.09))
    table = profile_space(space, device, precision="int8", table_path=tmp_path / "t.csv").table
    assert set(table.rows) == set(space.signatures("int8"))
    assert all(row.networks for row in table.rows.values())
    assert np.median([row.networks for row in table.rows.values()]) >= 2
    assert worst_error(table, space, device) < 0.03
    assert table.calibration is not None
    assert table.calibration.mape is not None
    assert table.calibration.mape < 0.01
    assert table.calibration.in_network_scale == pytest.approx(1, abs=0.02)
    assert LatencyTable.load(tmp_path / "t.csv") == table
    assert "no difference" in str(Predictor(table).describe_in_networks())


def test_fast_and_slow_networks_are_told_apart(tmp_path: Path, space: SearchSpace, slow_server: Server) -> None:
    device = slow_server(seed=3, busy=0.2)
    device.cache_miss_decay_ms = 1.5
    table = profile_space(space, device, precision="int8", table_path=tmp_path / "t.csv").table
    assert table.calibration is not None
    assert table.calibration.cache_miss_decay_ms == pytest.approx(1.5, rel=0.2)
    assert table.calibration.cache_miss_ms_per_mb == pytest.approx(1e6 * device.BYTE_MS * (device.COLD - 1), rel=0.3)
    assert worst_error(table, space, device) < 0.03
    predictor = Predictor(table)
    assert "ms per MB of weights" in str(predictor.describe_in_networks())
    fastest, latency = predictor.cheapest(space)
    everything = predictor.population(space, space.enumerate())
    assert latency == pytest.approx(everything.min())
    assert predictor.predict(space.decode(fastest)).latency_ms == pytest.approx(latency)
    assert latency == pytest.approx(device.true_ms(write_tflite(space.decode(fastest).graph, "int8")), rel=0.03)
    slowest = predictor.predict(space.decode(space.enumerate()[int(np.argmax(everything))]))
    assert slowest.fixed_ms + sum(slowest.per_node.values()) == pytest.approx(slowest.latency_ms)


def test_networks_that_were_disturbed_all_the_time_are_visited_again(
    tmp_path: Path, space: SearchSpace, slow_server: Server
) -> None:
    device = slow_server(seed=4)
    device.rush = range(60, 130)
    table = profile_space(space, device, precision="int8", table_path=tmp_path / "t.csv", settings=FEW).table
    assert worst_error(table, space, device) < 0.03
    assert table.calibration is not None
    assert table.calibration.max_error is not None
    assert table.calibration.max_error < 0.02


@pytest.mark.parametrize("why", ["not told", "merged", "fast"])
def test_blocks_are_measured_standalone_where_operators_do_not_tell(
    tmp_path: Path, space: SearchSpace, slow_server: Server, why: str
) -> None:
    device = slow_server()
    device.tells_operators, device.merges = why != "not told", why == "merged"
    settings = dataclasses.replace(FEW, operators_above=1.0) if why == "fast" else FEW
    result = profile_space(space, device, precision="int8", table_path=tmp_path / "t.csv", settings=settings)
    assert set(result.table.rows) == set(space.signatures("int8"))
    assert not any(row.networks for row in result.table.rows.values())
    assert Predictor(result.table).describe_in_networks() is None


def test_a_block_that_does_not_run_takes_no_other_with_it(
    tmp_path: Path, space: SearchSpace, slow_server: Server
) -> None:
    device = slow_server()
    broken = sorted(space.signatures("int8"))[0]
    entry = space.signatures("int8")[broken]
    within = {
        f"network: {' > '.join(space.decode(row).signatures('int8').values())}"
        for row in space.enumerate()
        if broken in space.decode(row).signatures("int8").values()
    }
    device.fail = lambda name: name.partition(" ")[2] in {broken, *within}
    result = profile_space(space, device, precision="int8", table_path=tmp_path / "t.csv", settings=FEW)
    assert set(result.failed) == {broken}
    assert set(result.table.rows) == set(space.signatures("int8")) - {broken}
    assert entry.block.kind in broken


def test_an_interrupted_profile_goes_on_where_it_was(tmp_path: Path, space: SearchSpace, slow_server: Server) -> None:
    whole = slow_server()
    expected = profile_space(space, whole, precision="int8", table_path=tmp_path / "whole.csv", settings=FEW).table
    device = slow_server()
    device.interrupt_after = whole.visits // 2
    with pytest.raises(KeyboardInterrupt):
        profile_space(space, device, precision="int8", table_path=tmp_path / "t.csv", settings=FEW)
    assert not (tmp_path / "t.csv").exists()
    device.interrupt_after = None
    found = profile_space(space, device, precision="int8", table_path=tmp_path / "t.csv", settings=FEW).table
    assert {name: row.latency_ms for name, row in found.rows.items()} == {
        name: row.latency_ms for name, row in expected.rows.items()
    }
    assert device.visits < 1.3 * whole.visits


def test_only_what_lacks_is_seen_again(tmp_path: Path, space: SearchSpace, slow_server: Server) -> None:
    path = tmp_path / "t.csv"
    first = slow_server()
    table = profile_space(space, first, precision="int8", table_path=path, settings=FEW).table
    lost = sorted(table.rows)[::5]
    kept = {name: row for name, row in table.rows.items() if name not in lost}
    dataclasses.replace(table, rows=kept).save(path)
    device = slow_server()
    result = profile_space(space, device, precision="int8", table_path=path, settings=FEW)
    assert (result.measured, result.reused) == (len(lost), len(kept))
    assert {name: result.table.rows[name] for name in kept} == kept
    assert device.visits < first.visits
    again = slow_server()
    assert profile_space(space, again, precision="int8", table_path=path, settings=FEW).measured == 0
    assert again.visits == 0


def test_blocks_known_standalone_are_seen_in_networks(tmp_path: Path, space: SearchSpace, slow_server: Server) -> None:
    """A runtime that did not tell operators does now, and one more block is asked for."""
    path, device = tmp_path / "t.csv", slow_server()
    device.tells_operators = False
    table = profile_space(space, device, precision="int8", table_path=path, settings=FEW).table
    dataclasses.replace(table, rows=dict(list(table.rows.items())[1:])).save(path)
    device.tells_operators = True
    result = profile_space(space, device, precision="int8", table_path=path, settings=FEW)
    assert all(row.networks for row in result.table.rows.values())
    assert worst_error(result.table, space, device) < 0.015


@pytest.mark.parametrize("slowdown", [1.0, 1.2])
def test_drift_is_seen_in_networks_too(
    tmp_path: Path, space: SearchSpace, slow_server: Server, slowdown: float
) -> None:
    device = slow_server(seed=2, busy=0.2)
    table = profile_space(space, device, precision="int8", table_path=tmp_path / "t.csv", settings=FEW).table
    device.slowdown = slowdown
    found = measure_drift(table, device, sample=8, settings=FEW)
    assert len(found.rows) == 8
    assert not found.failed
    assert found.holds == (slowdown == 1.0)
    assert found.median == pytest.approx(slowdown, rel=0.02)
    told = validate(space, device, table, networks=10, settings=FEW)
    assert told.drift is not None
    assert told.drift.ratio == pytest.approx(slowdown, rel=0.02)


def test_drift_says_when_operators_are_not_told_any_more(
    tmp_path: Path, space: SearchSpace, slow_server: Server
) -> None:
    device = slow_server()
    table = profile_space(space, device, precision="int8", table_path=tmp_path / "t.csv", settings=FEW).table
    standalone = sorted(table.rows)[0]
    table = table.with_rows({standalone: dataclasses.replace(table.rows[standalone], networks=0)})
    device.tells_operators = False
    found = measure_drift(table, device, sample=len(table.rows), settings=FEW)
    assert [row.signature for row in found.rows] == [standalone]
    assert set(found.failed.values()) == {"not told apart in networks any more"}


def test_a_table_of_both_kinds_predicts_both(tmp_path: Path, space: SearchSpace, slow_server: Server) -> None:
    """A space of slow networks, then one of fast ones: the first is predicted as before."""
    device, path = slow_server(), tmp_path / "t.csv"
    small = SearchSpace.load(tmp_path / "space.yaml", input_shape=(24, 24, 1))
    table = profile_space(space, device, precision="int8", table_path=path, settings=FEW).table
    population = space.sample(np.random.default_rng(3), 20)
    before = Predictor(table).population(space, population)
    standalone = dataclasses.replace(FEW, operators_above=1.0)
    dataclasses.replace(table, protocol=standalone.protocol).save(path)
    both = profile_space(small, device, precision="int8", table_path=path, settings=standalone).table
    assert both.calibration is not None
    assert both.calibration.scale > 1.1
    after = Predictor(both).population(space, population)
    assert after - both.calibration.fixed_ms == pytest.approx(before)
    one = Predictor(both).predict(space.decode(population[0]))
    assert one.latency_ms == pytest.approx(after[0])
