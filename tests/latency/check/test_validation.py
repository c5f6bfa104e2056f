"""Validation: honest figures on networks that nobody has seen."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgenas.latency.check.validation import Accuracy, spearman, validate
from edgenas.latency.measure.visits import QuietSettings
from edgenas.latency.profile.profiler import profile_space
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.space.search_space import SearchSpace

FEW = QuietSettings(visits=3, max_visits=9)
Server = Callable[..., Any]


@pytest.fixture
def table(tmp_path: Path, space: SearchSpace, server: Server) -> LatencyTable:
    device = server(seed=3, busy=0.3, clocks=(1.0, 1.045))
    return profile_space(space, device, precision="int8", table_path=tmp_path / "t.csv").table


def test_a_steady_device_is_predicted(space: SearchSpace, server: Server, table: LatencyTable) -> None:
    device = server(seed=2, busy=0.3, clocks=(1.045, 1.09))
    found = validate(space, device, table, networks=20, seed=5, settings=FEW)
    assert found.accuracy.mape < 0.02
    assert found.accuracy.within_10pct == 1
    assert found.accuracy.spearman > 0.99
    assert found.drift is not None
    assert found.drift.ratio == pytest.approx(1, abs=0.02)
    # At a slower clock the wall clock disagrees, and the difference is told.
    assert found.clock == pytest.approx(1.045, abs=0.01)
    assert found.unadjusted.mape == pytest.approx(0.045, abs=0.02)


def test_the_document_is_the_promised_one(space: SearchSpace, server: Server, table: LatencyTable) -> None:
    document = json.loads(json.dumps(validate(space, server(), table, networks=5, seed=0, settings=FEW).to_json()))
    assert {"networks", "statistic", "mape", "within_5pct", "within_10pct", "spearman", "rows"} <= set(document)
    assert document["networks"] == len(document["rows"]) == 5
    predicted = np.array([row["predicted_ms"] for row in document["rows"]])
    measured = np.array([row["measured_ms"] for row in document["rows"]])
    assert document["mape"] == pytest.approx(float(np.mean(np.abs(predicted / measured - 1))), rel=1e-2, abs=1e-4)
    assert len({row["architecture"] for row in document["rows"]}) == 5
    for row in document["rows"]:
        space.parse(row["architecture"])


def test_the_seed_chooses_the_networks(space: SearchSpace, server: Server, table: LatencyTable) -> None:
    def architectures(seed: int) -> list[str]:
        rows = validate(space, server(), table, networks=5, seed=seed, settings=FEW).rows
        return [row.architecture for row in rows]

    assert architectures(1) == architectures(1)
    assert architectures(1) != architectures(2)


def test_fast_networks_are_fast(
    space: SearchSpace, server: Server, table: LatencyTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = validate(space, server(seed=1), table, networks=5, fast=True)
    typical = validate(space, server(seed=1), table, networks=10)
    assert max(row.measured_ms for row in found.rows) < np.median([row.measured_ms for row in typical.rows])
    assert found.to_json()["fast"] is True
    monkeypatch.setattr("edgenas.latency.profile.neighbourhoods._BLUR", 0.0)
    with pytest.raises(InputError, match=r"only 1 fast.*fewer"):
        validate(space, server(), table, networks=5, fast=True)


def test_a_changed_machine_shows_as_drift_and_as_error(space: SearchSpace, server: Server, table: LatencyTable) -> None:
    device = server()
    device.slowdown = 1.3
    found = validate(space, device, table, networks=10, settings=FEW)
    assert found.drift is not None
    assert found.drift.ratio == pytest.approx(1.3, abs=0.06)
    assert found.accuracy == found.now
    assert found.accuracy.mape > 0.15
    assert found.to_json()["holds"] is False


def test_minutes_that_differ_a_little_are_told_apart_from_the_error(
    space: SearchSpace, server: Server, table: LatencyTable
) -> None:
    device = server(seed=3, busy=0.3)
    device.slowdown = 1.07
    found = validate(space, device, table, networks=10, settings=FEW)
    assert found.drift is not None
    assert found.drift.ratio == pytest.approx(1.07, abs=0.02)
    assert found.accuracy.mape < 0.02
    assert found.now.mape == pytest.approx(0.065, abs=0.015)
    assert found.to_json()["holds"] is True
    for row in found.rows:  # what is shown is what the figures are of
        assert row.measured_ms == pytest.approx(row.predicted_ms, rel=found.accuracy.max_error + 1e-4)


def test_a_table_that_was_calibrated_with_other_networks_tells_no_drift(
    space: SearchSpace, server: Server, table: LatencyTable
) -> None:
    assert table.calibration is not None
    other = dataclasses.replace(
        table, calibration=dataclasses.replace(table.calibration, of="another space"), calibrations={}
    )
    device = server()
    device.slowdown = 1.07
    found = validate(space, device, other, networks=4, settings=FEW)
    assert found.drift is None
    assert found.accuracy == found.now
    assert found.now.mape > 0.04


def test_a_foreign_table_is_refused(space: SearchSpace, server: Server, table: LatencyTable) -> None:
    device = server()
    device.runtime_version = "9.9"
    with pytest.raises(InputError, match=r"runtime_version was 1\.0, is now 9\.9"):
        validate(space, device, table, networks=4)


def test_more_networks_than_the_space_has(space: SearchSpace, server: Server, table: LatencyTable) -> None:
    with pytest.raises(InputError, match="fewer networks"):
        validate(space, server(), table, networks=space.size + 1)
    with pytest.raises(InputError, match="at least 2"):
        validate(space, server(), table, networks=1)


def test_networks_that_do_not_run_are_an_error(space: SearchSpace, server: Server, table: LatencyTable) -> None:
    device = server()
    device.fail = lambda name: name.endswith(" 3")
    with pytest.raises(WorkError, match="out of beads"):
        validate(space, device, table, networks=5, settings=FEW)


def test_accuracy_by_hand() -> None:
    found = Accuracy.of(np.array([1.0, 2.2, 2.79]), np.array([1.0, 2.0, 3.0]))
    assert found.mape == pytest.approx((0 + 0.1 + 0.07) / 3)
    assert found.max_error == pytest.approx(0.1)
    assert found.within_5pct == pytest.approx(1 / 3)
    assert found.spearman == 1


def test_spearman_with_ties_and_constants() -> None:
    assert spearman([1, 1, 2], [1, 1, 2]) == 1
    assert spearman([1, 2, 3], [3, 2, 1]) == -1
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))
    assert spearman([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(0.9486832980505138)
