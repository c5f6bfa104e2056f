"""``edgenas profile --adapt-from``: a few networks measured on a new device, and its table made from another's."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.devices import Device
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.costing.devices import costing_of
from edgenas.latency.measure.visits import QuietSettings
from edgenas.latency.profile.energies import modelled_energies
from edgenas.latency.profile.progress import ProgressCallback
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
    costing = costing_of(device)
    models = {str(place): write_tflite(network.graph, source.precision) for place, network in enumerate(chosen)}
    seen = costing.latencies(models, settings, rng=np.random.default_rng(seed), threads=threads, progress=progress)
    known = [place for place in range(len(chosen)) if str(place) in seen.found]
    if len(known) < LEAST_NETWORKS:
        raise WorkError(
            f"only {len(known)} of {networks} networks could be measured on {device.name!r}: "
            f"{next(iter(seen.errors.values()), 'no reason given')}; nothing was written"
        )
    parts = np.array([splitter.network(chosen[place]) for place in known])
    adaptation = fit_adaptation(parts, np.array([seen.found[str(place)].latency_ms for place in known]))
    identity = device.identity(threads=threads)
    table = adapted_table(
        adaptation,
        splitter,
        identity,
        anchor_ms=float(f"{seen.reference_ms:.5g}"),
        protocol=costing.protocol(settings),
        statistic=costing.statistic,
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
