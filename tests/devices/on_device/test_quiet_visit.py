"""Visits, with a clock that only made-up models move."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgenas.devices.on_device import quiet_visit, runner


class Models:
    """The time in ns, and models that take theirs: shorter ones once they have run ``learned`` times."""

    def __init__(self) -> None:
        self.now = 0

    def perf_counter_ns(self) -> int:
        return self.now

    def perf_counter(self) -> float:
        return self.now / 1e9

    def model(self, first_us: int, then_us: int, learned: int) -> Any:
        state = SimpleNamespace(runs=0)

        def invoke() -> None:
            self.now += 1000 * (first_us if state.runs < learned else then_us)
            state.runs += 1

        return SimpleNamespace(invoke=invoke, state=state)


def visit(monkeypatch: pytest.MonkeyPatch, path: Path, warmup_seconds: float) -> dict[str, Any]:
    models = Models()
    monkeypatch.setattr(quiet_visit, "time", models)
    settings = dict(runner.DEFAULTS, affinity=[0], warmup_seconds=warmup_seconds)
    anchor = quiet_visit.Anchor(models.model(5, 5, 0), settings, [0])
    visitor = quiet_visit.Visitor(
        anchor, settings, lambda _: models.model(450, 300, learned=25), lambda _: [], lambda: None
    )
    return visitor.visit(str(path))


@pytest.mark.parametrize(("size", "warmup_seconds", "ms"), [(2**21, 0.06, 0.3), (2**21, 0.001, 0.45), (9, 0.06, 0.45)])
def test_large_models_are_warmed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, warmup_seconds: float, ms: float
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(bytes(size))
    seen = visit(monkeypatch, path, warmup_seconds)
    assert seen["samples_ms"] == [ms] * len(seen["samples_ms"])
    assert (seen["warmup_runs"] > 25) == (ms < 0.4)


def test_warming_up_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(bytes(2**21))
    assert visit(monkeypatch, path, warmup_seconds=1e9)["warmup_runs"] < 50
