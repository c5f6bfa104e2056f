"""Recordings are worked out as the profile that they were made of; mechanisms are switched off and on again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgenas.latency.table.latency_table import LatencyTable
from tests.latency.conftest import SPACE

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture(params=["server", "slow_server"])
def recorded(
    request: pytest.FixtureRequest, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(TOOLS))
    from ablation.recording import record

    space = tmp_path / "tiny_test.yaml"
    space.write_text(SPACE)
    make: Callable[..., Any] = request.getfixturevalue(request.param)
    yield record(make(seed=1, busy=0.2), str(space), 16, "int8", tmp_path, seed=0, networks=4)
    for name in [name for name in sys.modules if name == "ablation" or name.startswith("ablation.")]:
        del sys.modules[name]


def test_a_recording_tells_all_that_was_stated(recorded: Path) -> None:
    from ablation.mechanisms import MECHANISMS
    from ablation.recording import Recording
    from ablation.replay import Replay

    recording = Recording.load(recorded)
    replay = Replay(recording)
    table, stored = replay.table(), LatencyTable.load(recorded / "table.csv")
    assert {name: row.latency_ms for name, row in table.rows.items()} == pytest.approx(
        {name: row.latency_ms for name, row in stored.rows.items() if name in table.rows}
    )
    error = float(np.abs(replay.predicted_ms(table) / replay.seen(table).measured_ms - 1).mean())
    assert error == pytest.approx(recording.stated["mape"], rel=0.01)
    for mechanism in MECHANISMS:
        with mechanism.without():
            assert replay.seen(replay.table()).measured_ms.min() > 0
    assert replay.table().rows == table.rows
