"""Profiling: every signature of a space, measured on a device into a latency table.

Fast blocks are measured standalone (:mod:`edgenas.latency.profile.standalone`), slow ones in whole networks
(:mod:`edgenas.latency.profile.in_networks`); a few
random networks go along, and calibrate the step from blocks to networks (:mod:`edgenas.latency.predict.calibration`).
Only what the
table lacks is measured. A killed profile goes on where it stopped (:mod:`edgenas.latency.measure.journal`).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgenas.devices import Device, DeviceLostError, MeasurementError, Provenance
from edgenas.latency.measure.journal import Journal
from edgenas.latency.measure.session import Session, digest
from edgenas.latency.measure.visits import QuietSettings, Visits
from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.profile.computed import profile_computed
from edgenas.latency.profile.energies import complete_energies
from edgenas.latency.profile.in_networks import measure_in_networks
from edgenas.latency.profile.neighbourhoods import Neighbourhoods
from edgenas.latency.profile.operator_counts import count_operators
from edgenas.latency.profile.progress import ProgressCallback
from edgenas.latency.profile.reference_networks import CALIBRATION_SEED, calibration_networks
from edgenas.latency.profile.standalone import blocks_of, measure_standalone
from edgenas.latency.table.latency_table import LatencyTable, Row, default_table_path
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.network import Network
from edgenas.spaces.space.search_space import SearchSpace


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
) -> ProfileResult:
    """Profiles all signatures of a space, calibrated with random networks of it. See :func:`profile`."""
    return profile(
        space.signatures(precision),
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
    start = time.monotonic()
    if device.is_exact:
        computed = profile_computed(
            entries,
            device,
            precision=precision,
            table_path=table_path,
            networks=networks,
            fresh=fresh,
            neighbourhoods=neighbourhoods,
            progress=progress,
        )
        done, count = len(computed.simulated), len(entries)
        reused = count - done - len(computed.failed)
        return ProfileResult(
            computed.table, computed.path, count, done, reused, time.monotonic() - start, dict(computed.failed)
        )
    with device.exclusive():
        return _measure(
            entries,
            device,
            precision,
            table_path or default_table_path(device.name, precision),
            networks,
            threads,
            settings or QuietSettings(),
            seed,
            fresh,
            neighbourhoods,
            progress,
        )


def _measure(
    entries: Mapping[str, SlotEntry],
    device: Device,
    precision: str,
    path: Path,
    networks: Sequence[Network],
    threads: int,
    settings: QuietSettings,
    seed: int,
    fresh: bool,
    neighbourhoods: Neighbourhoods | None,
    progress: ProgressCallback | None,
) -> ProfileResult:
    """:func:`profile` on a device that is ours alone: what another process has measured meanwhile is in the table."""
    start = time.monotonic()
    if precision not in device.precisions:
        raise InputError(f"device {device.name!r} runs {', '.join(device.precisions)}, not {precision}")
    identity = device.identity(threads=threads)
    table = _existing_table(path, precision, identity, settings) if not fresh else None
    if table is None:
        table = _empty_table(precision, identity, settings)
    missing = [signature for signature in entries if signature not in table.rows]
    of = digest(networks, precision)
    known = table.calibrations.get(of)
    calibrated = table.calibration is not None and (not networks or (known is not None and known.networks > 0))
    if not missing and calibrated:
        table = complete_energies(table.for_calibration(of), entries, networks, device, path, progress=progress)
        return ProfileResult(table, path, len(entries), 0, len(entries), time.monotonic() - start)

    visits = Visits(settings, table.anchor_ms if np.isfinite(table.anchor_ms) else None)
    with Journal(path.with_name(f"{path.name}.journal"), _journal_identity(identity, precision, settings)) as journal:
        journal.restore(visits)
        session = Session(device, precision, threads, visits, journal, seed, progress)
        try:
            found = _measured(session, entries, table, networks, neighbourhoods, of)
        except DeviceLostError as error:
            raise WorkError(
                f"{error}. What was measured before is kept in {journal.path}: give the same command again to go on"
            ) from error
        table = _joined(table, found, of, visits.reference_ms).marked(entries, of)
        # What is returned is what is stored, to the last digit.
        table = LatencyTable.load(table.save(path)).for_calibration(of)
        journal.remove()
    table = complete_energies(table, entries, networks, device, path, progress=progress)
    failed = {signature: session.errors[signature] for signature in entries if signature in session.errors}
    measured = sum(signature in found.rows for signature in found.asked)
    return ProfileResult(
        table, path, len(entries), measured, len(entries) - len(found.asked), time.monotonic() - start, failed
    )


@dataclass(frozen=True)
class _Measured:
    """Rows of the signatures that were asked for, where the device could run them, and the calibration with them."""

    asked: Sequence[str]
    rows: Mapping[str, Row]
    calibration: Calibration
    in_networks: bool


def _measured(
    session: Session,
    entries: Mapping[str, SlotEntry],
    table: LatencyTable,
    networks: Sequence[Network],
    neighbourhoods: Neighbourhoods | None,
    of: str,
) -> _Measured:
    """Measures what the table lacks, standalone or in networks. Raises WorkError when nothing can be measured."""
    counts = None
    if neighbourhoods is not None:
        counts = count_operators(
            session.device,
            networks,
            {**entries, **blocks_of(networks, session.precision)}.values(),
            precision=session.precision,
            threads=session.threads,
            settings=session.visits.settings,
        )
    if counts is None or neighbourhoods is None:
        asked = [name for name in entries if name not in table.rows]
        rows, calibration = measure_standalone(session, {name: entries[name] for name in asked}, networks)
    else:
        own = {name for name, row in table.rows.items() if not row.networks and set(row.profiled_for) <= {of}}
        asked = [name for name in entries if name not in table.rows or name in own]
        wanted = {name: entries[name] for name in asked}
        rows, calibration = measure_in_networks(session, wanted, table, networks, neighbourhoods, counts)
    if asked and not rows:
        raise WorkError(f"nothing could be measured on {session.device.name!r}: {next(iter(session.errors.values()))}")
    return _Measured(asked, rows, calibration, counts is not None)


def _joined(table: LatencyTable, found: _Measured, of: str, anchor_ms: float) -> LatencyTable:
    """The table with what was measured. Rows of other spaces stay: what is predicted from them does not change."""
    others = {name for name, row in table.rows.items() if set(row.profiled_for) - {of}}
    calibration = found.calibration
    joined = table.with_rows({name: row for name, row in found.rows.items() if name not in others})
    if len({row.networks > 0 for row in joined.rows.values()}) > 1:
        calibration = calibration.keeping(table.calibration, in_networks=found.in_networks)
    return joined.with_session(
        anchor_ms=float(f"{anchor_ms:.5g}"),
        calibration=dataclasses.replace(calibration, of=of),
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def _journal_identity(identity: Provenance, precision: str, settings: QuietSettings) -> dict[str, str]:
    return {
        "device": identity.device,
        "precision": precision,
        "runtime": f"{identity.runtime} {identity.runtime_version}",
        "threads": str(identity.threads),
        "cpu_model": str(identity.cpu_model),
        "protocol": settings.protocol,
    }


def _existing_table(path: Path, precision: str, identity: Provenance, settings: QuietSettings) -> LatencyTable | None:
    if not path.exists():
        return None
    table = LatencyTable.load(path, device=identity.device, precision=precision)
    differences = table.differences(identity)
    if table.protocol != settings.protocol:
        differences.append(f"protocol was {table.protocol!r}, is now {settings.protocol!r}")
    if differences:
        raise InputError(
            f"{path}: its numbers do not hold any more: {'; '.join(differences)}. Measure all of it again with "
            f"`edgenas profile --fresh`, or name another file"
        )
    return table


def _empty_table(precision: str, identity: Provenance, settings: QuietSettings) -> LatencyTable:
    return LatencyTable(
        device=identity.device,
        precision=precision,
        runtime=identity.runtime,
        runtime_version=identity.runtime_version,
        threads=identity.threads,
        protocol=settings.protocol,
        anchor_ms=float("inf"),
        created=identity.time_utc or "",
        cpu_model=identity.cpu_model,
        governor=identity.governor,
        frequency_mhz=None if identity.frequency_mhz is None else str(identity.frequency_mhz),
        temperature_c=None if identity.temperature_c is None else str(identity.temperature_c),
        system=identity.system,
    )
