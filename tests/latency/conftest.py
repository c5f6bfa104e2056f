"""A small space, and a device that behaves like a shared server: known costs, busy neighbours, clock steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgenas.devices import Device, DeviceSpec, Measurement, MeasurementError, MeasureSettings, Provenance
from edgenas.devices.device import MeasurementOutcome, Model
from edgenas.export.tflite.reader import read_operators
from edgenas.spaces.space.search_space import SearchSpace

SPACE = """\
name: tiny_test
task: classification
input_shape: [16, 16, 1]
classes: 10
stem: {block: conv, filters: [8, 16], kernel: 3, stride: 2}
stages:
  - stride: 2
    filters: [8, 16]
    depth: [1, 2, 3]
    layers:
      - blocks:
          - {block: ibn, kernel: [3, 5], expansion: [2, 4]}
          - {block: fused_ibn, expansion: [1, 2]}
head:
  - {block: classifier}
"""


class SharedServer(Device):
    """Costs add up over operators, plus one entry into the interpreter; what is measured is disturbed at random.

    ``busy`` is the share of chunks with a neighbour on the core; the clock is drawn anew for every process from
    ``clocks``. ``slowdown`` makes everything but the anchor slower (the machine has changed); ``fail`` and
    ``interrupt_after`` break models and whole sessions.
    """

    ENTRY_MS, OPERATOR_MS, BYTE_MS, ANCHOR_MS = 0.001, 0.002, 2e-6, 0.005

    def __init__(self, seed: int = 0, busy: float = 0.0, clocks: tuple[float, ...] = (1.0,)) -> None:
        super().__init__(DeviceSpec("server", "test", precisions=("int8",)))
        self.rng = np.random.default_rng(seed)
        self.busy = busy
        self.clocks = clocks
        self.slowdown = 1.0
        self.fail: Callable[[str], bool] = lambda name: False
        self.interrupt_after: int | None = None
        self.interruption: BaseException = KeyboardInterrupt()
        self.visits = 0
        self.runtime_version = "1.0"

    def true_ms(self, model: Model) -> float:
        content = model.read_bytes() if isinstance(model, Path) else model
        operators = len(read_operators(content))
        return self.ENTRY_MS + self.slowdown * (operators * self.OPERATOR_MS + len(content) * self.BYTE_MS)

    def identity(self, *, threads: int = 1) -> Provenance:
        return Provenance(
            "measured",
            "server",
            "fake-runtime",
            self.runtime_version,
            threads=threads,
            cpu_model="Abacus 3000",
            time_utc="2000-01-01T00:00:00Z",
        )

    def measure_many(
        self,
        models: Mapping[str, Model],
        settings: MeasureSettings | None = None,
        on_result: Callable[[str, MeasurementOutcome], None] | None = None,
    ) -> dict[str, MeasurementOutcome]:
        clock = self.rng.choice(self.clocks)
        outcomes: dict[str, MeasurementOutcome] = {}
        for name, model in models.items():
            if self.interrupt_after is not None and self.visits >= self.interrupt_after:
                raise self.interruption
            self.visits += 1
            outcomes[name] = (
                MeasurementError(f"model {name!r}: out of beads") if self.fail(name) else self._visit(model, clock)
            )
            if on_result:
                on_result(name, outcomes[name])
        return outcomes

    def _visit(self, model: Model, clock: float) -> Measurement:
        true = self.true_ms(model)
        samples, anchors = [], []
        for _ in range(4):
            load = self.rng.uniform(1.5, 2.5) if self.rng.random() < self.busy else 1.0
            noise = 1 + self.rng.exponential(0.002, 3) * (self.busy > 0)
            samples.append(true * clock * load * noise[0])
            # A neighbour hurts a small model less than a large one.
            anchors.append(tuple(self.ANCHOR_MS * clock * (1 + 0.6 * (load - 1)) * noise[1:]))
        return Measurement(tuple(samples), self.identity(), anchors_ms=tuple(anchors))


class SlowServer(SharedServer):
    """Blocks and networks of milliseconds on a runtime that tells operators. Alone, weights come from the cache.

    They follow the clock as long models do: less than the anchor. Weights are slower in whole networks, by ``COLD``, or
    in slow ones, where after ``cache_miss_decay_ms`` of running 63 % of that has come. ``tells_operators`` and
    ``merges`` (the last two operators of a whole network run as one) spoil what can be told. During the visits of
    ``rush``
    everything is disturbed.
    """

    OPERATOR_MS, BYTE_MS = 0.2, 1e-4
    COLD = 1.5
    LARGEST_BLOCK_OPERATORS = 4

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.tells_operators = True
        self.merges = False
        self.cache_miss_decay_ms: float | None = None
        self.rush = range(0)
        self._weights: dict[bytes, list[int]] = {}

    def operators_ms(self, model: Model) -> list[float]:
        content = model.read_bytes() if isinstance(model, Path) else model
        if content not in self._weights:
            self._weights[content] = [
                sum(math.prod(t.shape) for t in each.inputs if t is not None and t.is_constant)
                for each in read_operators(content)
            ]
        weights = self._weights[content]
        cold = float(len(weights) > self.LARGEST_BLOCK_OPERATORS)
        if self.cache_miss_decay_ms:
            bytes_ms = self.BYTE_MS * sum(weights)
            warm_ms = len(weights) * self.OPERATOR_MS + bytes_ms
            for _ in range(100):  # until the total is what its own share makes of it
                cold = 1 - math.exp(-(warm_ms + (self.COLD - 1) * cold * bytes_ms) / self.cache_miss_decay_ms)
        byte_ms = self.BYTE_MS * (1 + (self.COLD - 1) * cold)
        return [self.slowdown * (self.OPERATOR_MS + byte_ms * count) for count in weights]

    def true_ms(self, model: Model) -> float:
        return self.ENTRY_MS + sum(self.operators_ms(model))

    def measure_many(
        self,
        models: Mapping[str, Model],
        settings: MeasureSettings | None = None,
        on_result: Callable[[str, MeasurementOutcome], None] | None = None,
    ) -> dict[str, MeasurementOutcome]:
        self._above = settings.operators_above if settings else None
        return super().measure_many(models, settings, on_result)

    def _visit(self, model: Model, clock: float) -> Measurement:
        true_us = 1e3 * np.array(self.operators_ms(model))
        above = self._above
        if above is None or not self.tells_operators or (above and true_us.sum() < above * 1e6):
            return super()._visit(model, clock)
        if self.merges and len(true_us) > self.LARGEST_BLOCK_OPERATORS:
            true_us = np.append(true_us[:-2], true_us[-2:].sum())
        busy, least = (1.0, 1.6) if self.visits in self.rush else (self.busy, 1.0)
        loads = np.where(self.rng.random((6, len(true_us))) < busy, self.rng.uniform(1.6, 2.5), 1.0)
        runs = (true_us * clock**0.4 * loads * (1 + self.rng.exponential(0.002, loads.shape) * (self.busy > 0))).astype(
            int
        )
        anchors = tuple(
            (self.ANCHOR_MS * clock * (1 + 0.6 * (load - 1)), self.ANCHOR_MS * clock * least) for load in loads[:, -1]
        )
        samples = tuple(float(run.sum()) / 1e3 for run in runs)
        return Measurement(
            samples, self.identity(), anchors_ms=anchors, operators_us=tuple(tuple(map(int, run)) for run in runs)
        )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGENAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def space(tmp_path: Path) -> SearchSpace:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    return SearchSpace.load(path)


@pytest.fixture
def server() -> Callable[..., Any]:
    """Makes :class:`SharedServer` devices."""
    return SharedServer


@pytest.fixture
def slow_server() -> Callable[..., Any]:
    """Makes :class:`SlowServer` devices."""
    return SlowServer
