"""Whether a table still holds, on a device that has changed or has not."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.check.drift import measure_drift, median_interval, sign_test
from edgenas.latency.measure.visits import QuietSettings
from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.space.search_space import SearchSpace

QUICK = QuietSettings(visits=4, max_visits=8)


@pytest.fixture
def table(space: SearchSpace, server: Callable[..., Any]) -> LatencyTable:
    device = server()
    identity = device.identity()
    models = {name: write_tflite(entry.graph, "int8") for name, entry in space.signatures("int8").items()}
    return LatencyTable(
        device="server",
        precision="int8",
        runtime=identity.runtime,
        runtime_version=identity.runtime_version,
        threads=1,
        protocol="made up",
        anchor_ms=device.ANCHOR_MS,
        created="2000-01-01T00:00:00Z",
        rows={name: Row(device.true_ms(model)) for name, model in models.items()},
        cpu_model=identity.cpu_model,
    )


def test_an_unchanged_device_holds_on_a_busy_machine(table: LatencyTable, server: Callable[..., Any]) -> None:
    found = measure_drift(table, server(seed=1, busy=0.4, clocks=(1.0, 1.05)), sample=12, settings=QUICK)
    assert found.holds
    assert len(found.rows) == 12
    assert found.median == pytest.approx(1, abs=0.02)
    assert found.interval[0] <= found.median <= found.interval[1]
    assert "still holds" in found.describe()
    assert found.to_json()["holds"] is True


def test_a_machine_that_is_never_quiet_tells_nothing(table: LatencyTable, server: Callable[..., Any]) -> None:
    found = measure_drift(table, server(seed=1, busy=1.0), sample=6, settings=QUICK)
    assert (found.holds, found.disturbed) == (None, 6)
    assert found.to_json()["holds"] is None
    assert "6 of 6 blocks had no quiet moment" in found.describe()


@pytest.mark.parametrize("slowdown", [0.8, 1.3])
def test_a_changed_device_does_not(table: LatencyTable, server: Callable[..., Any], slowdown: float) -> None:
    device = server(seed=1)
    device.slowdown = slowdown
    found = measure_drift(table, device, sample=12, settings=QUICK)
    assert not found.holds
    assert found.sign_test < 0.01
    assert "does not hold" in found.describe()


def test_half_of_the_blocks_changed_in_both_directions(table: LatencyTable, server: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    mixed = table.with_rows({n: Row(r.latency_ms * rng.choice([0.8, 1.25])) for n, r in table.rows.items()})
    assert not measure_drift(mixed, server(), sample=20, settings=QUICK).holds


def test_another_runtime_does_not_hold_whatever_its_speed(table: LatencyTable, server: Callable[..., Any]) -> None:
    device = server()
    device.runtime_version = "2.0"
    found = measure_drift(table, device, sample=4, settings=QUICK)
    assert not found.holds
    assert "runtime_version was 1.0, is now 2.0" in found.describe()


def test_blocks_that_fail_are_told(table: LatencyTable, server: Callable[..., Any]) -> None:
    device = server()
    device.fail = lambda name: "classifier" in name
    found = measure_drift(table, device, sample=len(table.rows), settings=QUICK)
    assert set(found.failed) == {name for name in table.rows if "classifier" in name}
    device.fail = lambda name: True
    with pytest.raises(WorkError, match="none of 3 blocks"):
        measure_drift(table, device, sample=3, settings=QUICK)


def test_wrong_tables_are_refused(table: LatencyTable, server: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match=r"of device 'pi', not of 'server'"):
        measure_drift(dataclasses.replace(table, device="pi"), server())
    with pytest.raises(InputError, match="no block that can be rebuilt"):
        measure_drift(dataclasses.replace(table, rows={"theirs(a=1)@8x8x8/int8": Row(1.0)}), server())


def test_intervals_cover_the_median() -> None:
    rng = np.random.default_rng(0)
    covered = [low <= 0 <= high for low, high in (median_interval(rng.normal(size=30).tolist()) for _ in range(1000))]
    assert 0.94 < np.mean(covered) < 0.995
    assert median_interval([3.0, 1.0, 2.0]) == (1.0, 3.0)


def test_sign_test_by_hand() -> None:
    assert sign_test([1.1] * 5 + [0.9] * 5) == 1.0
    assert sign_test([1.1] * 10) == pytest.approx(2 / 1024)
    assert sign_test([1.0, 1.0]) == 1.0
