"""The measuring part of a profile: quiet visits to many models, each of them in the journal soon after it happened."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgenas.devices import Device, Measurement, MeasurementError, MeasureSettings
from edgenas.export.temporary import temporary_folder
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.measure.journal import Journal
from edgenas.latency.measure.quiet import visit_in_rounds
from edgenas.latency.measure.visits import Visit, Visits
from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.profile.progress import ProgressCallback, Reporter
from edgenas.spaces.errors import WorkError
from edgenas.spaces.graph import OpGraph
from edgenas.spaces.network import Network

#: So many networks tell how much slower a normal run is on a quiet device.
_QUIET_DEPLOYED = 6


@dataclass
class Session:
    """What is measured, how, and what came of it; ``errors`` are the device's words about models that it cannot run."""

    device: Device
    precision: str
    threads: int
    visits: Visits
    journal: Journal | None = None
    seed: int = 0
    progress: ProgressCallback | None = None
    errors: dict[str, MeasurementError] = field(default_factory=dict)

    def measure(self, graphs: Mapping[str, OpGraph], *, what: str, batch: int) -> None:
        """Quiet visits to all models, of which ``batch`` are on disk and in one set of rounds at once."""
        names = list(graphs)
        rng = np.random.default_rng(self.seed)
        enough = {name: self.visits.effort.get(name, 1.0) * self.visits.settings.visits for name in names}
        report = Reporter(self.progress, f"measuring {len(names)} {what}", sum(enough.values()))
        finished = 0.0
        for first in range(0, len(names), batch):
            chosen = names[first : first + batch]
            with temporary_folder("profile") as folder:
                models = self._write(chosen, graphs, folder)
                counts = {name: min(self.visits.quiet_visits(name), enough[name]) for name in models}

                def on_visit(name: str, visit: Visit) -> None:
                    if self.journal:
                        self.journal.add(name, visit)
                    counts[name] = min(counts[name] + 1, enough[name])  # noqa: B023
                    report(finished + sum(counts.values()))  # noqa: B023

                self.errors |= visit_in_rounds(
                    self.device, models, self.visits, rng=rng, threads=self.threads, on_visit=on_visit
                )
            finished += sum(enough[name] for name in chosen)
            report(finished)

    def _write(self, names: Iterable[str], graphs: Mapping[str, OpGraph], folder: Path) -> dict[str, Path]:
        models = {}
        for index, name in enumerate(self.visits.lacking(list(names))):
            models[name] = folder / f"{index}.tflite"
            try:
                models[name].write_bytes(write_tflite(graphs[name], self.precision))
            except OSError as error:
                raise WorkError(
                    f"{folder}: cannot be written ({error.strerror}); what was measured before is kept: make room, or "
                    f"set TMPDIR, and give the same command again"
                ) from error
        return models

    def with_deployed(
        self, calibration: Calibration, networks: Sequence[Network], quiet_ms: Sequence[float]
    ) -> Calibration:
        """The calibration with how much slower networks run when nobody picks quiet moments."""
        settings = MeasureSettings(
            threads=self.threads,
            warmup_seconds=self.visits.settings.warmup_seconds,
            min_runs=20,
            max_seconds=0.1,
            confidence=None,
        )
        networks = networks[:_QUIET_DEPLOYED] if self.visits.is_quiet else networks
        models = {str(index): write_tflite(network.graph, self.precision) for index, network in enumerate(networks)}
        outcomes = self.device.measure_many(models, settings) if models else {}
        ratios = np.array(
            [
                (outcome.median / quiet, outcome.p95 / quiet)
                for outcome, quiet in zip(outcomes.values(), quiet_ms, strict=False)
                if isinstance(outcome, Measurement)
            ]
        )
        if not len(ratios):
            return calibration
        return calibration.with_deployed(ratios[:, 0], ratios[:, 1])


def network_key(network: Network, precision: str) -> str:
    """A name under which the journal finds the network again."""
    return "network: " + " > ".join(network.signatures(precision).values())


def digest(networks: Sequence[Network], precision: str) -> str:
    """A short name of the networks that a calibration was fitted on."""
    keys = sorted(network_key(network, precision) for network in networks)
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:12]


def by_key(networks: Iterable[Network], precision: str) -> dict[str, Network]:
    """Networks under the names that they are visited by."""
    return {network_key(network, precision): network for network in networks}
