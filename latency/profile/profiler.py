"""Profiling: what every signature of a space costs on a device, in a latency table.

How depends on the device: costs are measured (:mod:`edgenas.latency.profile.measured`) or computed
(:mod:`edgenas.latency.profile.computed`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from edgenas.devices import Device
from edgenas.latency.costing.devices import costing_of
from edgenas.latency.measure.visits import QuietSettings
from edgenas.latency.profile.job import ProfileJob, ProfileResult
from edgenas.latency.profile.neighbourhoods import Neighbourhoods
from edgenas.latency.profile.progress import ProgressCallback
from edgenas.latency.profile.reference_networks import CALIBRATION_SEED, calibration_networks
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.network import Network
from edgenas.spaces.space.search_space import SearchSpace

__all__ = ["ProfileResult", "profile", "profile_space"]


def profile_space(
    space: SearchSpace,
    device: Device,
    *,
    precision: str,
    table_path: Path | None = None,
    threads: int = 1,
    settings: QuietSettings | None = None,
    fresh: bool = False,
    progress: ProgressCallback | None = None,
    further: Mapping[str, SlotEntry] = MappingProxyType({}),
) -> ProfileResult:
    """Profiles all signatures of a space, calibrated with random networks of it. See :func:`profile`.

    ``further`` are blocks that no network of the space holds, by signature.
    """
    return profile(
        {**space.signatures(precision), **further},
        device,
        precision=precision,
        table_path=table_path,
        networks=calibration_networks(space),
        threads=threads,
        settings=settings,
        fresh=fresh,
        neighbourhoods=Neighbourhoods(space, precision, seed=CALIBRATION_SEED + 1),
        progress=progress,
    )


def profile(
    entries: Mapping[str, SlotEntry],
    device: Device,
    *,
    precision: str,
    table_path: Path | None = None,
    networks: Sequence[Network] = (),
    threads: int = 1,
    settings: QuietSettings | None = None,
    seed: int = 0,
    fresh: bool = False,
    neighbourhoods: Neighbourhoods | None = None,
    progress: ProgressCallback | None = None,
) -> ProfileResult:
    """Measures the signatures that the table lacks, and calibrates it with whole networks.

    ``neighbourhoods`` finds networks to see blocks in; without it all are measured standalone.

    Resumable at any point: give the same call again. ``fresh`` measures everything again. Raises InputError when the
    table on disk is of another device, runtime or protocol (and ``fresh`` is not given) or the precision is not one of
    the device's; WorkError when nothing can be measured.
    """
    job = ProfileJob(
        entries,
        device,
        precision,
        table_path,
        networks,
        threads,
        settings or QuietSettings(),
        seed,
        fresh,
        neighbourhoods,
        progress,
    )
    return costing_of(device).profile(job)
