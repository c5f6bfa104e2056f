"""Costs that are a function of the file: a simulation, a model fitted to others' measurements, a compiler's estimate.

There is no noise to wait for and no drift to take out, and the device answers for whole networks without a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.devices import Device, Measurement, MeasurementError, MeasureSettings
from edgenas.devices.device import Model
from edgenas.export.figure import common_kind
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.check.device_drift import DeviceDrift
from edgenas.latency.costing.protocol import BlocksNow, ModelLatencies
from edgenas.latency.measure.visits import QuietLatency, QuietSettings
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.profile.computed import profile_computed
from edgenas.latency.profile.computed_in_networks import compute_in_networks
from edgenas.latency.profile.job import ProfileJob, ProfileResult
from edgenas.latency.profile.progress import ProgressCallback
from edgenas.latency.table.latency_table import LatencyTable, default_table_path
from edgenas.latency.table.rebuild import blocks_from
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.space.search_space import SearchSpace


@dataclass(frozen=True)
class ComputedCosting:
    """A :class:`edgenas.latency.costing.protocol.Costing`."""

    device: Device

    @property
    def statistic(self) -> str:
        return self.device.identity().kind

    def protocol(self, settings: QuietSettings) -> str:
        return self.device.identity().kind

    def profile(self, job: ProfileJob) -> ProfileResult:
        return profile_computed(job)

    def latencies(
        self,
        models: Mapping[str, Model],
        settings: QuietSettings | None = None,
        *,
        rng: np.random.Generator | None = None,
        threads: int = 1,
        anchor_ms: float | None = None,
        progress: ProgressCallback | None = None,
    ) -> ModelLatencies:
        outcomes = self.device.measure_many(models)
        errors = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, MeasurementError)}
        found = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Measurement)}
        kind = common_kind(outcome.provenance.kind for outcome in found.values())
        once = {name: QuietLatency(outcome.min, outcome.min, 0.0, 1, 1) for name, outcome in found.items()}
        uncounted = {name: outcome.uncounted for name, outcome in found.items() if outcome.uncounted}
        return ModelLatencies(once, kind, errors, uncounted=uncounted)

    def blocks_now(
        self, table: LatencyTable, blocks: Mapping[str, SlotEntry], settings: QuietSettings, seed: int
    ) -> BlocksNow:
        shared = {name: entry for name, entry in blocks.items() if table.rows[name].networks}
        neighbours = blocks_from(name for name, row in table.rows.items() if row.networks) if shared else {}
        seen = compute_in_networks(shared, neighbours, self.device, table.precision, None).rows
        lacking = {name: "not told apart in networks any more" for name in shared if name not in seen}
        models = {name: write_tflite(blocks[name].deployed, table.precision) for name in blocks if name not in shared}
        outcomes = self.device.measure_many(models, MeasureSettings(in_network=True))
        found = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Measurement)}
        return BlocksNow(
            {name: outcome.min for name, outcome in found.items()}
            | {name: row.latency_ms for name, row in seen.items()},
            {name: str(outcome) for name, outcome in outcomes.items() if name not in found} | lacking,
        )

    def drift(self, then_ms: Sequence[float], now_ms: Sequence[float]) -> DeviceDrift | None:
        return DeviceDrift(1.0)

    def table_path(self, path: Path | None, precision: str, space: SearchSpace | None = None) -> Path | None:
        if path is not None or space is None:
            return path
        own = default_table_path(self.device.name, precision)
        return own if own.exists() and self._holds(own, precision, space) else None

    def _holds(self, path: Path, precision: str, space: SearchSpace) -> bool:
        """Whether a table knows all of a space, and the device still computes as it did."""
        table = LatencyTable.load(path, device=self.device.name, precision=precision)
        stale = not table.is_adapted and table.differences(self.device.identity())
        return not stale and not Predictor(table).missing(space)
