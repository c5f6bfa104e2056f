"""Tables of simulated devices: every block is asked once, and for what it adds inside a network.

A simulation has no noise and no drift, so there is nothing to visit twice, and it can tell what a block costs in the
middle of a network, without the transfers and the fixed part that the block alone would pay. Those come once a
network, as a constant that is fitted on a few whole networks; what is left of them (parameters beyond a cache, tensors
that cross the border to the CPU) is the error that the table states.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from devices import Device, Measurement, MeasurementError, MeasureSettings, Provenance
from export.flatbuffer import write_tflite
from latency.calibration import Calibration
from latency.progress import ProgressCallback, Reporter
from latency.table import LatencyTable, Row, default_table_path
from spaces.errors import InputError, WorkError
from spaces.graph import OpGraph
from spaces.network import Network
from spaces.slots import SlotEntry

#: Blocks that are written and simulated at a time.
_BATCH = 200
PROTOCOL = "simulated: each block inside a network, a constant for what a network costs besides"


@dataclasses.dataclass(frozen=True)
class ExactProfile:
    """A saved table, which signatures were simulated for it, and the device's words about those that it cannot run."""

    table: LatencyTable
    path: Path
    simulated: frozenset[str]
    failed: Mapping[str, MeasurementError]


def profile_exact(
    entries: Mapping[str, SlotEntry],
    device: Device,
    *,
    precision: str,
    table_path: Path | None = None,
    networks: Sequence[Network] = (),
    fresh: bool = False,
    progress: ProgressCallback | None = None,
) -> ExactProfile:
    """Simulates the signatures that the table lacks, and fits its constant on whole networks.

    A table that another version of the simulation made is made anew. Raises InputError for a precision that the
    device does not run, WorkError when it can run no block at all.
    """
    if precision not in device.precisions:
        raise InputError(f"device {device.name!r} runs {', '.join(device.precisions)}, not {precision}")
    path = table_path or default_table_path(device.name, precision)
    identity = device.identity()
    table = None if fresh else _existing(path, precision, identity)
    table = table or _empty(precision, identity)
    graphs = {signature: entry.graph for signature, entry in entries.items() if signature not in table.rows}
    for network in networks:
        signatures = network.signatures(precision)
        graphs |= {
            signature: network.blocks_lowered[name]
            for name, signature in signatures.items()
            if signature not in table.rows
        }
    rows, failed = _simulate(graphs, device, precision, progress)
    if graphs and not rows and not table.rows:
        raise WorkError(f"{device.name!r} can run none of these blocks: {next(iter(failed.values()))}")
    table = table.with_rows(rows)
    calibration = _calibrate(table, networks, device)
    if networks or table.calibration is None:
        table = table.with_session(anchor_ms=1.0, calibration=calibration, created=identity.time_utc or "")
    table.save(path)
    missing = {signature: error for signature, error in failed.items() if signature in entries}
    return ExactProfile(table, path, frozenset(rows) & frozenset(entries), missing)


def _simulate(
    graphs: Mapping[str, OpGraph], device: Device, precision: str, progress: ProgressCallback | None
) -> tuple[dict[str, Row], dict[str, MeasurementError]]:
    names = list(graphs)
    report = Reporter(progress, f"simulating {len(names)} blocks", len(names))
    rows: dict[str, Row] = {}
    failed: dict[str, MeasurementError] = {}
    settings = MeasureSettings(inside_network=True)
    for first in range(0, len(names), _BATCH):
        models = {name: write_tflite(graphs[name], precision) for name in names[first : first + _BATCH]}
        for name, outcome in device.measure_many(models, settings).items():
            if isinstance(outcome, MeasurementError):
                failed[name] = outcome
            else:
                rows[name] = Row(outcome.min, 0.0, 1, 1)
        report(len(rows) + len(failed))
    return rows, failed


def _calibrate(table: LatencyTable, networks: Sequence[Network], device: Device) -> Calibration:
    """The constant is the median of what whole networks cost beyond their blocks; errors leave one out."""
    sums, wholes = [], []
    for network in networks:
        signatures = network.signatures(table.precision).values()
        outcome = device.measure_many({"network": write_tflite(network.graph, table.precision)})["network"]
        if isinstance(outcome, Measurement) and all(signature in table.rows for signature in signatures):
            sums.append(sum(table.rows[signature].latency_ms for signature in signatures))
            wholes.append(outcome.min)
    if not wholes:
        return Calibration()
    whole = np.array(wholes)
    beyond = whole - np.array(sums)
    errors = [
        abs((sums[place] + max(np.median(np.delete(beyond, place)), 0.0)) / whole[place] - 1)
        for place in range(len(wholes))
        if len(wholes) > 1
    ]
    return Calibration(
        networks=len(wholes),
        mape=float(np.mean(errors)) if errors else None,
        max_error=float(np.max(errors)) if errors else None,
        deployed_median=1.0,
        deployed_p95=1.0,
        base_ms=max(float(np.median(beyond)), 0.0),
    )


def _existing(path: Path, precision: str, identity: Provenance) -> LatencyTable | None:
    if not path.exists():
        return None
    table = LatencyTable.load(path, device=identity.device, precision=precision)
    return None if table.differences(identity) or table.protocol != PROTOCOL else table


def _empty(precision: str, identity: Provenance) -> LatencyTable:
    return LatencyTable(
        device=identity.device,
        precision=precision,
        runtime=identity.runtime,
        runtime_version=identity.runtime_version,
        threads=identity.threads,
        protocol=PROTOCOL,
        anchor_ms=1.0,
        created=identity.time_utc or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        statistic="simulated",
        kind=identity.kind,
    )
