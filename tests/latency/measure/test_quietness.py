"""A quiet board is told from a shared server by its first visits, and is visited as seldom as it needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgenas.latency.check.validation import validate
from edgenas.latency.measure.visits import QuietSettings
from edgenas.latency.profile.profiler import ProfileResult, profile_space
from edgenas.spaces.space.search_space import SearchSpace

SPARING = QuietSettings()
NEVER = dataclasses.replace(SPARING, spares_quiet=False)
Make = Callable[..., Any]


def visits_for(device: Any, space: SearchSpace, path: Path, settings: QuietSettings) -> tuple[ProfileResult, int]:
    before = device.visits
    result = profile_space(space, device, precision="int8", table_path=path, settings=settings)
    return result, device.visits - before


@pytest.mark.parametrize("kind", ["server", "slow_server"])
def test_a_quiet_board_pays_for_no_machinery(
    kind: str, request: pytest.FixtureRequest, space: SearchSpace, tmp_path: Path, home: Path
) -> None:
    make: Make = request.getfixturevalue(kind)
    sparing, few = visits_for(make(), space, tmp_path / "few.csv", SPARING)
    usual, many = visits_for(make(), space, tmp_path / "many.csv", NEVER)
    assert few < 0.6 * many, (few, many)
    for signature, row in sparing.table.rows.items():
        assert row.latency_ms == pytest.approx(usual.table.rows[signature].latency_ms, rel=0.01)
    assert validate(space, make(), sparing.table, networks=6).accuracy.mape < 0.02


@pytest.mark.parametrize(("busy", "clocks"), [(0.3, (1.0,)), (0.0, (1.0, 1.06))])
def test_a_shared_server_is_visited_as_ever(
    busy: float, clocks: tuple[float, ...], server: Make, space: SearchSpace, tmp_path: Path, home: Path
) -> None:
    _, sparing = visits_for(server(1, busy, clocks), space, tmp_path / "a.csv", SPARING)
    _, usual = visits_for(server(1, busy, clocks), space, tmp_path / "b.csv", NEVER)
    assert sparing > 0.85 * usual, (sparing, usual)


def test_a_board_that_gets_busy_later_is_visited_as_a_server(
    server: Make, space: SearchSpace, tmp_path: Path, home: Path
) -> None:
    class Later(type(server())):  # type: ignore[misc]
        def _visit(self, model: Any, clock: float) -> Any:
            self.busy = 0.0 if self.visits <= 16 else 0.3
            return super()._visit(model, clock)

    result, _ = visits_for(Later(), space, tmp_path / "a.csv", SPARING)
    assert min(row.visits for row in result.table.rows.values()) >= SPARING.least_visits
