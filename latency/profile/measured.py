"""Tables of devices that are measured.

Fast blocks are measured standalone (:mod:`edgenas.latency.profile.standalone`), slow ones in whole networks
(:mod:`edgenas.latency.profile.in_networks`); a few random networks go along, and calibrate the step from blocks to
networks (:mod:`edgenas.latency.predict.calibration`). Only what the table lacks is measured. A killed profile goes on
where it stopped (:mod:`edgenas.latency.measure.journal`).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.devices import DeviceLostError, MeasurementError, Provenance
from edgenas.latency.measure.journal import Journal
from edgenas.latency.measure.session import Session, digest
from edgenas.latency.measure.visits import QuietSettings, Visits
from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.profile.energies import complete_energies
from edgenas.latency.profile.in_networks import measure_in_networks
from edgenas.latency.profile.job import ProfileJob, ProfileResult
from edgenas.latency.profile.operator_counts import count_operators
from edgenas.latency.profile.standalone import blocks_of, measure_standalone
from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.spaces.errors import InputError, WorkError


def profile_measured(job: ProfileJob) -> ProfileResult:
    """Measures what the table lacks on a device that is ours alone meanwhile."""
    with job.device.exclusive():
        return _profile(job)


def _profile(job: ProfileJob) -> ProfileResult:
    """What another process has measured before we had the device is in the table."""
    start = time.monotonic()
    device, precision, path, networks = job.device, job.precision, job.path, job.networks
    identity = device.identity(threads=job.threads)
    table = None if job.fresh else _existing_table(path, precision, identity, job.settings)
    if table is None:
        table = _empty_table(precision, identity, job.settings)
    missing = [signature for signature in job.entries if signature not in table.rows]
    of = digest(networks, precision)
    known = table.calibrations.get(of)
    calibrated = table.calibration is not None and (not networks or (known is not None and known.networks > 0))
    if not missing and calibrated:
        table = complete_energies(table.for_calibration(of), job.entries, networks, device, path, progress=job.progress)
        return ProfileResult(table, path, len(job.entries), 0, len(job.entries), time.monotonic() - start)
    table, found, errors = _measured_table(job, table, identity, of)
    table = complete_energies(table, job.entries, networks, device, path, progress=job.progress)
    failed = {signature: errors[signature] for signature in job.entries if signature in errors}
    measured = sum(signature in found.rows for signature in found.asked)
    reused = len(job.entries) - len(found.asked)
    return ProfileResult(table, path, len(job.entries), measured, reused, time.monotonic() - start, failed)


def _measured_table(
    job: ProfileJob, table: LatencyTable, identity: Provenance, of: str
) -> tuple[LatencyTable, _Measured, Mapping[str, MeasurementError]]:
    """The saved table with what it lacked, what was measured for it, and the device's words about the rest."""
    path = job.path
    visits = Visits(job.settings, table.anchor_ms if np.isfinite(table.anchor_ms) else None)
    journal_path = path.with_name(f"{path.name}.journal")
    with Journal(journal_path, _journal_identity(identity, job.precision, job.settings)) as journal:
        journal.restore(visits)
        visits.look_whether_quiet()
        session = Session(job.device, job.precision, job.threads, visits, journal, job.seed, job.progress)
        try:
            found = _measured(session, job, table, of)
        except DeviceLostError as error:
            raise WorkError(
                f"{error}. What was measured before is kept in {journal.path}: give the same command again to go on"
            ) from error
        table = _joined(table, found, of, visits.reference_ms).marked(job.entries, of)
        # What is returned is what is stored, to the last digit.
        table = LatencyTable.load(table.save(path)).for_calibration(of)
        journal.remove()
    return table, found, session.errors


@dataclass(frozen=True)
class _Measured:
    """Rows of the signatures that were asked for, where the device could run them, and the calibration with them."""

    asked: Sequence[str]
    rows: Mapping[str, Row]
    calibration: Calibration
    in_networks: bool


def _measured(session: Session, job: ProfileJob, table: LatencyTable, of: str) -> _Measured:
    """Measures what the table lacks, standalone or in networks. Raises WorkError when nothing can be measured."""
    entries, networks, neighbourhoods = job.entries, job.networks, job.neighbourhoods
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
