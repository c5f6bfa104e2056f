"""What a profile is asked for, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgenas.devices import Device, MeasurementError
from edgenas.latency.measure.visits import QuietSettings
from edgenas.latency.profile.neighbourhoods import Neighbourhoods
from edgenas.latency.profile.progress import ProgressCallback
from edgenas.latency.table.latency_table import LatencyTable, default_table_path
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network


@dataclass(frozen=True)
class ProfileJob:
    """The arguments of :func:`edgenas.latency.profile.profiler.profile`. Raises InputError for a wrong precision."""

    entries: Mapping[str, SlotEntry]
    device: Device
    precision: str
    table_path: Path | None = None
    networks: Sequence[Network] = ()
    threads: int = 1
    settings: QuietSettings = field(default_factory=QuietSettings)
    seed: int = 0
    fresh: bool = False
    neighbourhoods: Neighbourhoods | None = None
    progress: ProgressCallback | None = None

    def __post_init__(self) -> None:
        if self.precision not in self.device.precisions:
            raise InputError(
                f"device {self.device.name!r} runs {', '.join(self.device.precisions)}, not {self.precision}"
            )

    @property
    def path(self) -> Path:
        """Where the table is kept."""
        return self.table_path or default_table_path(self.device.name, self.precision)


@dataclass(frozen=True)
class ProfileResult:
    """A table and what it took. ``failed`` holds the words about signatures that the device could not run."""

    table: LatencyTable
    path: Path
    signatures: int
    measured: int
    reused: int
    seconds: float
    failed: Mapping[str, MeasurementError] = field(default_factory=dict)
