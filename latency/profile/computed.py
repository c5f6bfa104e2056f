"""Tables of devices that compute their costs: every block is asked once, and for what it adds to a network.

A computation has no noise and no drift, so there is nothing to visit twice, and it can tell what a block costs in the
middle of a network, without the transfers and the fixed part that the block by itself would pay. Those come once a
network, as a constant that is fitted on a few whole networks; what is left of them (parameters beyond a cache, tensors
that cross the border to the CPU) is the error that the table states.

A device that tells every operator's share of a whole network (a vendor's compiler) is asked about whole networks
instead (:mod:`edgenas.latency.profile.computed_in_networks`), and only blocks that none of them held are
asked about one by one.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgenas.devices import Device, Measurement, MeasurementError, MeasureSettings, Provenance
from edgenas.devices.measurement import Kind
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.measure.session import by_key, digest
from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.predict.memory import MEMORY_COSTS, MemoryFit, fit_memory, together
from edgenas.latency.profile.computed_in_networks import compute_in_networks
from edgenas.latency.profile.job import ProfileJob, ProfileResult
from edgenas.latency.profile.progress import ProgressCallback, Reporter
from edgenas.latency.profile.standalone import blocks_of
from edgenas.latency.table.energy_header import TableEnergy
from edgenas.latency.table.error_figures import error_figures
from edgenas.latency.table.latency_table import COMPUTED_PROTOCOL, LatencyTable, Row
from edgenas.spaces.errors import WorkError
from edgenas.spaces.graph import OpGraph
from edgenas.spaces.network import Network

#: Blocks that are written and simulated at a time.
_BATCH = 200
#: Whole networks at a time; many megabytes each.
_WHOLES = 4


def profile_computed(job: ProfileJob) -> ProfileResult:
    """Computes the signatures that the table lacks, and fits its constant on whole networks.

    A table that another version of the computation made is made anew. Raises WorkError when the device can run no
    block at all.
    """
    start = time.monotonic()
    entries, device, precision, networks, path = job.entries, job.device, job.precision, job.networks, job.path
    identity = device.identity()
    table = None if job.fresh else _existing(path, precision, identity, device)
    table = table or _empty(precision, identity)
    blocks = {**entries, **blocks_of(networks, precision)}
    graphs = {signature: entry.deployed for signature, entry in blocks.items() if signature not in table.rows}
    seen: dict[str, Row] = {}
    if device.tells_shares and job.neighbourhoods is not None:
        lacking = {signature: entry for signature, entry in entries.items() if signature in graphs}
        seen = compute_in_networks(lacking, entries, device, precision, job.neighbourhoods, job.progress).rows
        graphs = {signature: graph for signature, graph in graphs.items() if signature not in seen}
    rows, failed = _simulate(graphs, device, precision, job.progress)
    rows |= seen
    if failed and not rows and not table.rows:
        raise WorkError(f"{device.name!r} can run none of these blocks: {next(iter(failed.values()))}")
    table, of = table.with_rows(rows), digest(networks, precision)
    if networks or table.calibration is None:
        wholes = _simulate_wholes(table, networks, device)
        calibration = dataclasses.replace(_calibrate(table, wholes), of=of)
        table = table.with_session(anchor_ms=1.0, calibration=calibration, created=identity.time_utc or "")
        table = dataclasses.replace(table, energy=_energy(table, wholes, device)).marked(entries, of)
    table = LatencyTable.load(table.save(path)).for_calibration(of)
    missing = {signature: error for signature, error in failed.items() if signature in entries}
    computed = len(rows.keys() & entries.keys())
    reused = len(entries) - computed - len(missing)
    return ProfileResult(table, path, len(entries), computed, reused, time.monotonic() - start, missing)


def _simulate(
    graphs: Mapping[str, OpGraph], device: Device, precision: str, progress: ProgressCallback | None
) -> tuple[dict[str, Row], dict[str, MeasurementError]]:
    names = list(graphs)
    report = Reporter(progress, f"simulating {len(names)} blocks", len(names))
    rows: dict[str, Row] = {}
    failed: dict[str, MeasurementError] = {}
    settings = MeasureSettings(in_network=True)
    for first in range(0, len(names), _BATCH):
        models = {name: write_tflite(graphs[name], precision) for name in names[first : first + _BATCH]}
        for name, outcome in device.measure_many(models, settings).items():
            if isinstance(outcome, MeasurementError):
                failed[name] = outcome
            else:
                rows[name] = _row(outcome)
        report(len(rows) + len(failed))
    return rows, failed


def _row(outcome: Measurement) -> Row:
    row = Row(outcome.min, 0.0, 1, 1, outcome.energy_mj)
    told = outcome.memory
    return dataclasses.replace(row, sram_bytes=told.get("sram_bytes", 0), flash_bytes=told.get("flash_bytes", 0))


def _simulate_wholes(
    table: LatencyTable, networks: Sequence[Network], device: Device
) -> list[tuple[Measurement, list[Row]]]:
    """Whole networks, and the rows of their blocks; without those that the device cannot run."""
    wholes = []
    different = by_key(networks, table.precision)  # a small space gives some of them twice
    keys = list(different)
    for first in range(0, len(keys), _WHOLES):
        models = {key: write_tflite(different[key].graph, table.precision) for key in keys[first : first + _WHOLES]}
        for key, outcome in device.measure_many(models).items():
            signatures = different[key].signatures(table.precision).values()
            if isinstance(outcome, Measurement) and all(signature in table.rows for signature in signatures):
                wholes.append((outcome, [table.rows[signature] for signature in signatures]))
    return wholes


def _calibrate(table: LatencyTable, wholes: Sequence[tuple[Measurement, list[Row]]]) -> Calibration:
    """The constant is the median of what whole networks cost beyond their blocks; errors leave one out."""
    if not wholes:
        return Calibration()
    base_ms, errors = _constant(
        [whole.min for whole, _ in wholes], [sum(row.latency_ms for row in rows) for _, rows in wholes]
    )
    return Calibration(
        networks=len(wholes),
        **error_figures(errors),
        deployed_median=1.0,
        deployed_p95=1.0,
        base_ms=base_ms,
        memory=_memory(wholes),
    )


def _memory(wholes: Sequence[tuple[Measurement, list[Row]]]) -> dict[str, MemoryFit]:
    """The same step for memory, of what the device tells."""
    told = [name for name in MEMORY_COSTS if all(name in whole.memory for whole, _ in wholes)]
    return {
        name: fit_memory(
            name,
            [together(name, [getattr(row, name) for row in rows]) for _, rows in wholes],
            [whole.memory[name] for whole, _ in wholes],
        )
        for name in told
    }


def _energy(table: LatencyTable, wholes: Sequence[tuple[Measurement, list[Row]]], device: Device) -> TableEnergy | None:
    """The same constant in mJ, with the watts that the simulation counted with."""
    power = device.spec.power
    if power.idle_watts is None or power.active_watts is None:
        return None
    energy = TableEnergy(
        _energy_kind(table, wholes), power.model_name, power.idle_watts, power.active_watts, power.pj_per_byte
    )
    if not wholes:
        return energy
    fixed_mj, errors = _constant(
        [whole.energy_mj or 0.0 for whole, _ in wholes],
        [sum(row.energy_mj or 0.0 for row in rows) for _, rows in wholes],
    )
    return energy.with_calibration(1.0, fixed_mj, errors)


def _energy_kind(table: LatencyTable, wholes: Sequence[tuple[Measurement, list[Row]]]) -> Kind:
    """What the device says of its energies; where it gave none, what it says of its latencies."""
    kinds = [whole.energy.kind for whole, _ in wholes if whole.energy is not None]
    return kinds[0] if kinds else table.provenance.kind


def _protocol(identity: Provenance) -> str:
    return f"{identity.kind}: {COMPUTED_PROTOCOL}"


def _constant(wholes: Sequence[float], sums: Sequence[float]) -> tuple[float, NDArray[np.float64]]:
    """The median of what wholes have beyond their blocks, and relative errors when each is left out (one: none)."""
    whole, added = np.array(wholes), np.array(sums)
    beyond = whole - added
    constant = max(float(np.median(beyond)), 0.0)
    if len(whole) < 2:
        return constant, np.array([])
    others = np.array([max(np.median(np.delete(beyond, place)), 0.0) for place in range(len(whole))])
    return constant, (added + others) / whole - 1


def _existing(path: Path, precision: str, identity: Provenance, device: Device) -> LatencyTable | None:
    if not path.exists():
        return None
    table = LatencyTable.load(path, device=identity.device, precision=precision)
    now, then = device.spec.power, table.energy
    counted = None if then is None else (then.idle_watts, then.active_watts, then.pj_per_byte)
    same_power = counted == ((now.idle_watts, now.active_watts, now.pj_per_byte) if now.has_watts else None)
    return table if not table.differences(identity) and table.protocol == _protocol(identity) and same_power else None


def _empty(precision: str, identity: Provenance) -> LatencyTable:
    return LatencyTable(
        device=identity.device,
        precision=precision,
        runtime=identity.runtime,
        runtime_version=identity.runtime_version,
        threads=identity.threads,
        protocol=_protocol(identity),
        anchor_ms=1.0,
        created=identity.time_utc or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        statistic=identity.kind,
        kind=identity.kind,
    )
