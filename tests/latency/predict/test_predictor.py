"""Predictions: sums of table rows, alike for one network and for a population."""

from collections.abc import Callable

import numpy as np
import pytest

from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.search_space import SearchSpace


@pytest.fixture
def table(space: SearchSpace) -> LatencyTable:
    rng = np.random.default_rng(0)
    return LatencyTable(
        device="server",
        precision="int8",
        runtime="fake-runtime",
        runtime_version="1.0",
        threads=1,
        protocol="made up",
        anchor_ms=0.005,
        created="2000-01-01T00:00:00Z",
        rows={signature: Row(float(rng.uniform(0.001, 0.02))) for signature in space.signatures("int8")},
        calibration=Calibration(1.05, 0.002, 12, 0.006, 0.02, 1.1, 1.3, mape_interval=(0.004, 0.009)),
    )


def test_a_network_is_the_calibrated_sum_of_its_blocks(space: SearchSpace, table: LatencyTable) -> None:
    network = space.decode(space.sample(np.random.default_rng(1), 1)[0])
    prediction = Predictor(table).predict(network)
    assert table.calibration is not None
    standalone = [table.rows[signature].latency_ms for signature in network.signatures("int8").values()]
    by_hand = 0.002 + sum(max(1.05 * ms - 0.002, 0.105 * ms) for ms in standalone)
    assert prediction.latency_ms == pytest.approx(by_hand)
    assert prediction.latency_ms == pytest.approx(prediction.fixed_ms + sum(prediction.per_node.values()))
    assert set(prediction.per_node) == {node.name for node in network.nodes}
    assert prediction.error == {"mape": 0.006, "interval": (0.004, 0.009), "max": 0.02, "networks": 12}
    assert prediction.statistic == "quiet_min"
    assert prediction.provenance.kind == "modelled"


def test_a_population_is_predicted_as_its_networks(space: SearchSpace, table: LatencyTable) -> None:
    predictor = Predictor(table)
    population = space.sample(np.random.default_rng(2), 100)
    one_by_one = [predictor.predict(space.decode(row)).latency_ms for row in population]
    np.testing.assert_allclose(predictor.population(space, population), one_by_one, rtol=1e-12)


def test_the_cheapest_is_the_cheapest_of_all(space: SearchSpace, table: LatencyTable) -> None:
    predictor = Predictor(table)
    architecture, latency_ms = predictor.cheapest(space)
    assert predictor.population(space, space.enumerate()).min() == pytest.approx(latency_ms)
    assert predictor.predict(space.decode(architecture)).latency_ms == pytest.approx(latency_ms)


def test_what_lacks_is_refused_with_the_command_that_measures_it(space: SearchSpace, table: LatencyTable) -> None:
    signatures = list(table.rows)
    lacking = [signature for signature in signatures if "classifier" in signature]
    short = LatencyTable.from_text(table.to_text())
    for signature in lacking:
        del short.rows[signature]  # type: ignore[attr-defined]
    predictor = Predictor(short)
    population = space.sample(np.random.default_rng(0), 4)
    assert predictor.missing(space) == lacking
    calls: list[Callable[[], object]] = [
        lambda: predictor.predict(space.decode(population[0])),
        lambda: predictor.population(space, population),
        lambda: predictor.cheapest(space),
    ]
    for call in calls:
        with pytest.raises(InputError, match=r"lacks \d+ signatures.*classifier.*edgenas profile"):
            call()


def test_only_architectures_that_use_what_lacks_are_refused(space: SearchSpace, table: LatencyTable) -> None:
    short = LatencyTable.from_text(table.to_text())
    population = space.enumerate()
    network = space.decode(population[0])
    used = set(network.signatures("int8").values())
    other = next(signature for signature in table.rows if signature not in used)
    del short.rows[other]  # type: ignore[attr-defined]
    predictor = Predictor(short)
    assert predictor.population(space, population[:1])[0] == pytest.approx(predictor.predict(network).latency_ms)


def test_one_line_about_the_error(table: LatencyTable) -> None:
    line = Predictor(table).describe_error()
    assert "0.6%" in line
    assert "12 measured networks" in line
    assert "\n" not in line
    bare = LatencyTable.from_text(table.to_text().replace("x", "x"))
    uncalibrated = Predictor(LatencyTable(**{**vars(bare), "calibration": None}))
    assert "error unknown" in uncalibrated.describe_error()


def test_the_deployed_median_is_another_statistic(table: LatencyTable) -> None:
    told = Predictor(table).describe_deployed()
    assert told is not None
    assert told.startswith("a normal run took 1.10 times the quiet latency in the median")
