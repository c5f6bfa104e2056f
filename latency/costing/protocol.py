"""What everybody who needs costs may ask, whether a device measures them or computes them.

Measured costs (:mod:`edgenas.latency.costing.measured`) need statistics, a calibration with whole networks, and a look
at how the device drifts. Computed ones (:mod:`edgenas.latency.costing.computed`) are a function of the file: one look
tells all, and it never changes. :func:`edgenas.latency.costing.devices.costing_of` has the one of a device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from edgenas.devices import Device, MeasurementError
from edgenas.devices.device import Model
from edgenas.latency.check.device_drift import DeviceDrift
from edgenas.latency.measure.visits import QuietLatency, QuietSettings
from edgenas.latency.profile.job import ProfileJob, ProfileResult
from edgenas.latency.profile.progress import ProgressCallback
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.space.search_space import SearchSpace


@dataclass(frozen=True)
class ModelLatencies:
    """What whole models take, by name, at the clock where the reference model takes ``reference_ms``.

    ``errors`` are the device's words about those that it cannot run, ``kind`` is how the others are known, and
    ``clock`` tells how much slower the device's own clock was. ``uncounted`` operators of a model are not
    in its figure.
    """

    found: Mapping[str, QuietLatency]
    kind: str
    errors: Mapping[str, MeasurementError] = field(default_factory=dict)
    reference_ms: float = 1.0
    clock: float = 1.0
    uncounted: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class BlocksNow:
    """What blocks of a table take now, as its rows have them, and the device's words about the others.

    ``disturbed`` are those that had no quiet moment.
    """

    latencies_ms: Mapping[str, float] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    disturbed: frozenset[str] = frozenset()

    def __or__(self, other: BlocksNow) -> BlocksNow:
        return BlocksNow(
            {**self.latencies_ms, **other.latencies_ms},
            {**self.failed, **other.failed},
            self.disturbed | other.disturbed,
        )


class Costing(Protocol):
    """The costs of one device."""

    @property
    def device(self) -> Device: ...

    @property
    def statistic(self) -> str:
        """What its latencies are, as tables name it."""

    def protocol(self, settings: QuietSettings) -> str:
        """How they come to be, in words for headers of tables."""

    def profile(self, job: ProfileJob) -> ProfileResult:
        """A table of blocks, calibrated with whole networks."""

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
        """What whole models take, so that they can be compared with each other and with a table's predictions."""

    def blocks_now(
        self, table: LatencyTable, blocks: Mapping[str, SlotEntry], settings: QuietSettings, seed: int
    ) -> BlocksNow:
        """What blocks of a table take now, in the way in which its rows were made."""

    def drift(self, then_ms: Sequence[float], now_ms: Sequence[float]) -> DeviceDrift | None:
        """How the device differs from what it was, from networks then and now; None where nobody can tell."""

    def table_path(self, path: Path | None, precision: str, space: SearchSpace | None = None) -> Path | None:
        """Where the table is that predictions come from: ``path`` where one was named, else the device's own.

        None where the device itself answers.
        """
