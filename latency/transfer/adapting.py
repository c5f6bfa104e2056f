"""``edgenas profile --adapt-from``: a few networks measured on a new device, and its table made from another's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.devices import Device, Measurement, MeasurementError
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.measure.quiet import visit_in_rounds
from edgenas.latency.measure.visits import THOROUGH, QuietSettings, Visit, Visits
from edgenas.latency.profile.energies import modelled_energies
from edgenas.latency.profile.progress import ProgressCallback, Reporter
from edgenas.latency.table.latency_table import LatencyTable, default_table_path
from edgenas.latency.transfer.adaptation import (
    LEAST_NETWORKS,
    Adaptation,
    Splitter,
    adapted_table,
    choose_networks,
    fit_adaptation,
)
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.network import Network
from edgenas.spaces.space.search_space import SearchSpace


@dataclass(frozen=True)
class AdaptedProfile:
    """A saved table, how it was fitted, and the networks that were measured for it."""

    table: LatencyTable
    path: Path
    adaptation: Adaptation
    architectures: tuple[str, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The JSON of ``edgenas profile --adapt-from``."""
        return {
            "table": str(self.path),
            "signatures": len(self.table.rows),
            "measured": 0,
            "reused": len(self.table.rows),
            "seconds": round(self.seconds, 3),
            "provenance": self.table.provenance.to_json(),
            "adaptation": self.adaptation.to_json(),
            "architectures": list(self.architectures),
        }


def adapt_profile(
    space: SearchSpace,
    device: Device,
    source: LatencyTable,
    *,
    networks: int = 10,
    table_path: Path | None = None,
    threads: int = 1,
    settings: QuietSettings | None = None,
    seed: int = 0,
    fresh: bool = False,
    progress: ProgressCallback | None = None,
) -> AdaptedProfile:
    """Measures ``networks`` well-chosen networks of a space and writes a ``modelled`` table for the device.

    Raises InputError when the source lacks blocks of the space, the device does not run its precision, or a measured
    table would be overwritten (``fresh`` allows it); WorkError when too few networks can be measured.
    """
    start = time.monotonic()
    if source.precision not in device.precisions:
        raise InputError(f"device {device.name!r} runs {', '.join(device.precisions)}, not {source.precision}")
    if source.is_adapted:
        raise InputError("a table that was adapted from another's cannot be adapted again: give a measured one")
    if networks < LEAST_NETWORKS:
        raise InputError(f"--networks: {networks} are too few to adapt a table, give at least {LEAST_NETWORKS}")
    path = table_path or default_table_path(device.name, source.precision)
    refuse_overwriting(path, fresh)
    settings = settings or QuietSettings()
    splitter = Splitter(source)
    chosen, architectures = choose_networks(space, splitter, networks, seed=seed)
    latencies, anchor_ms, failed = _measure(device, chosen, source.precision, threads, settings, seed, progress)
    known = [place for place, latency in enumerate(latencies) if latency is not None]
    if len(known) < LEAST_NETWORKS:
        raise WorkError(
            f"only {len(known)} of {networks} networks could be measured on {device.name!r}: "
            f"{next(iter(failed), 'no reason given')}; nothing was written"
        )
    parts = np.array([splitter.network(chosen[place]) for place in known])
    adaptation = fit_adaptation(parts, np.array([latencies[place] for place in known], np.float64))
    identity = device.identity(threads=threads)
    table = adapted_table(
        adaptation,
        splitter,
        identity,
        anchor_ms=float(f"{anchor_ms:.5g}"),
        protocol=identity.kind if device.is_exact else settings.protocol,
        statistic=identity.kind if device.is_exact else source.statistic,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )
    table = LatencyTable.load(table.save(path))
    table = modelled_energies(table, space.signatures(source.precision), device, path)
    return AdaptedProfile(
        table, path, adaptation, tuple(architectures[place] for place in known), time.monotonic() - start
    )


def refuse_overwriting(path: Path, fresh: bool) -> None:
    if path.exists() and not fresh and not LatencyTable.load(path).is_adapted:
        raise InputError(
            f"{path}: is a measured table, which an adapted one must not replace: name another file with --table, or "
            f"give --fresh"
        )


def _measure(
    device: Device,
    networks: Sequence[Network],
    precision: str,
    threads: int,
    settings: QuietSettings,
    seed: int,
    progress: ProgressCallback | None,
) -> tuple[list[float | None], float, list[MeasurementError]]:
    """Quiet latencies in ms (None where it failed), the anchor's time at their clock, and the errors."""
    models = {str(place): write_tflite(network.graph, precision) for place, network in enumerate(networks)}
    if device.is_exact:
        outcomes = device.measure_many(models)
        errors = [outcome for outcome in outcomes.values() if isinstance(outcome, MeasurementError)]
        simulated = [outcome.min if isinstance(outcome, Measurement) else None for outcome in outcomes.values()]
        return simulated, 1.0, errors
    visits = Visits(settings, effort=dict.fromkeys(models, THOROUGH))
    report = Reporter(progress, f"measuring {len(models)} networks", len(models) * settings.visits)
    done = dict.fromkeys(models, 0)

    def on_visit(name: str, visit: Visit) -> None:
        done[name] = min(done[name] + 1, settings.visits)
        report(sum(done.values()))

    failed = visit_in_rounds(
        device, models, visits, rng=np.random.default_rng(seed), threads=threads, on_visit=on_visit
    )
    found = visits.latencies(name for name in models if name not in failed)
    latencies = [found[name].latency_ms if name in found else None for name in models]
    return latencies, visits.reference_ms, list(failed.values())
