"""Costs that are measured: quiet visits at a reference clock, tables that are calibrated, and a device that drifts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.devices import Device
from edgenas.devices.device import Model
from edgenas.latency.check.blocks_now import measure_blocks_now
from edgenas.latency.check.device_drift import DeviceDrift, tell_drift
from edgenas.latency.costing.protocol import BlocksNow, ModelLatencies
from edgenas.latency.measure.quiet import visit_in_rounds
from edgenas.latency.measure.visits import THOROUGH, QuietSettings, Visit, Visits
from edgenas.latency.profile.job import ProfileJob, ProfileResult
from edgenas.latency.profile.measured import profile_measured
from edgenas.latency.profile.progress import ProgressCallback, Reporter
from edgenas.latency.table.latency_table import QUIET, LatencyTable, default_table_path
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.space.search_space import SearchSpace


@dataclass(frozen=True)
class MeasuredCosting:
    """A :class:`edgenas.latency.costing.protocol.Costing`."""

    device: Device

    @property
    def statistic(self) -> str:
        return QUIET

    def protocol(self, settings: QuietSettings) -> str:
        return settings.protocol

    def profile(self, job: ProfileJob) -> ProfileResult:
        return profile_measured(job)

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
        visits = Visits(settings or QuietSettings(), anchor_ms, effort=dict.fromkeys(models, THOROUGH))
        enough = visits.settings.visits
        report = Reporter(progress, f"measuring {len(models)} networks", len(models) * enough)
        done = dict.fromkeys(models, 0)

        def on_visit(name: str, visit: Visit) -> None:
            done[name] = min(done[name] + 1, enough)
            report(sum(done.values()))

        rng = rng or np.random.default_rng(0)
        errors = visit_in_rounds(self.device, models, visits, rng=rng, threads=threads, on_visit=on_visit)
        found = visits.latencies(name for name in models if name not in errors)
        clock = visits.session_anchor_ms / visits.reference_ms
        return ModelLatencies(found, "measured", errors, visits.reference_ms, clock)

    def blocks_now(
        self, table: LatencyTable, blocks: Mapping[str, SlotEntry], settings: QuietSettings, seed: int
    ) -> BlocksNow:
        return measure_blocks_now(self.device, table, blocks, settings, seed)

    def drift(self, then_ms: Sequence[float], now_ms: Sequence[float]) -> DeviceDrift | None:
        return tell_drift(np.array(then_ms), np.array(now_ms)) if then_ms else None

    def table_path(self, path: Path | None, precision: str, space: SearchSpace | None = None) -> Path | None:
        return path or default_table_path(self.device.name, precision)
