"""What a device's file has behind every network is in every prediction, of one network as of a population."""

import dataclasses

import numpy as np
import pytest

from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.predict.predictor import BEHIND, Predictor
from edgenas.latency.table.energy_header import TableEnergy
from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.spaces.blocks import PostProcess
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.spaces.tensor import TensorSpec

TAIL = SlotEntry(PostProcess(), (TensorSpec((96, 4)), TensorSpec((96, 3)))).signature("int8")


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace.load("tiny_edge")


@pytest.fixture(scope="module")
def table(space: SearchSpace) -> LatencyTable:
    rng = np.random.default_rng(0)
    rows = {name: Row(float(rng.uniform(0.01, 0.1))) for name in space.signatures("int8")}
    return LatencyTable(
        device="made-up",
        precision="int8",
        runtime="none",
        runtime_version="1",
        threads=1,
        protocol="none",
        anchor_ms=1.0,
        created="2026-01-01T00:00:00Z",
        rows={**rows, TAIL: Row(0.5)},
        calibration=Calibration(1.1, 0.002, 0),
        energy=TableEnergy("modelled", "watts", 1.0, 3.0),
    )


def test_it_is_in_every_prediction(space: SearchSpace, table: LatencyTable) -> None:
    plain, whole = Predictor(table), Predictor(table, TAIL)
    assert (plain.behind_ms, whole.behind_ms) == (0.0, pytest.approx(1.1 * 0.5 - 0.002))
    rows = space.sample(np.random.default_rng(1), 5)
    latencies, energies = whole.population(space, rows), whole.population_energy(space, rows)
    np.testing.assert_allclose(latencies - plain.population(space, rows), whole.behind_ms)
    for row, latency_ms, energy_mj in zip(rows, latencies, energies, strict=True):
        found = whole.predict(space.decode(row))
        assert (found.latency_ms, found.energy_mj) == (pytest.approx(latency_ms), pytest.approx(energy_mj))
        assert found.per_node[BEHIND] == pytest.approx(whole.behind_ms)
    assert (energies > plain.population_energy(space, rows)).all()
    for of in ("cheapest", "cheapest_energy"):
        architecture, least = getattr(whole, of)(space)
        assert architecture == getattr(plain, of)(space)[0]
        found = whole.predict(space.decode(architecture))
        assert least == pytest.approx(found.latency_ms if of == "cheapest" else found.energy_mj)


def test_slow_networks_are_slower_by_what_stands_behind_them(space: SearchSpace, table: LatencyTable) -> None:
    seen = dataclasses.replace(table, calibration=Calibration(cache_miss_ms_per_mb=0.05, cache_miss_decay_ms=0.3))
    seen = seen.with_rows({name: dataclasses.replace(row, cache_miss_ms=0.004) for name, row in seen.rows.items()})
    whole, rows = Predictor(seen, TAIL), space.sample(np.random.default_rng(2), 4)
    alone = [whole.predict(space.decode(row)).latency_ms for row in rows]
    np.testing.assert_allclose(whole.population(space, rows), alone, rtol=1e-3)


def test_an_energy_of_it_that_is_not_known_is_told(space: SearchSpace, table: LatencyTable) -> None:
    metered = {
        name: dataclasses.replace(row, energy_mj=None if name == TAIL else 0.1) for name, row in table.rows.items()
    }
    predictor = Predictor(
        dataclasses.replace(table, rows=metered, energy=TableEnergy("measured", "meter", 1.0, 3.0)), TAIL
    )
    with pytest.raises(InputError, match=r"lacks the energy of 1 signatures.*detection_post_process"):
        predictor.population_energy(space, space.sample(np.random.default_rng(4), 2))


def test_where_the_table_does_not_know_it_predictions_are_without_it(space: SearchSpace, table: LatencyTable) -> None:
    without = dataclasses.replace(table, rows={name: row for name, row in table.rows.items() if name != TAIL})
    predictor, row = Predictor(without, TAIL), space.sample(np.random.default_rng(3), 1)[0]
    assert predictor.behind is None
    assert predictor.predict(space.decode(row)) == Predictor(table).predict(space.decode(row))
