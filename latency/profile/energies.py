"""Energies for the rows of a table: measured beside the device's meter, or made of its watts. The end of profiling.

A meter needs a second or more for each block (its loop, and the pause after it), so what was measured is saved as it
comes and never measured again with the same meter. Whole networks that are metered too give the step from blocks to
networks and its error (:mod:`edgenas.latency.table.energy_header`). Without a meter every energy follows from
latencies and bytes, so
all are made anew.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgenas.devices import Device, DeviceLostError, MeasureSettings
from edgenas.devices.device import MeasurementOutcome
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.profile.progress import ProgressCallback, Reporter
from edgenas.latency.profile.standalone import blocks_of
from edgenas.latency.table.energy_header import TableEnergy
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import WorkError
from edgenas.spaces.graph import OpGraph
from edgenas.spaces.network import Network

_LOG = logging.getLogger("edgenas.latency")
#: Blocks that are measured between two writings of the table.
_BATCH = 25
_SETTINGS = MeasureSettings(
    energy=True, warmup_seconds=0.02, min_runs=5, max_seconds=0.05, confidence=None, keep=2, timeout_seconds=120
)


def complete_energies(
    table: LatencyTable,
    entries: Mapping[str, SlotEntry],
    networks: Sequence[Network],
    device: Device,
    path: Path,
    *,
    progress: ProgressCallback | None = None,
) -> LatencyTable:
    """The table with the energies of these blocks, saved when anything changed.

    A device without a meter keeps energies that were measured before. Blocks that cannot be measured stay without.
    """
    found = device.meter()
    if found.name is not None:
        return _measured(table, _graphs(table, entries, networks), networks, device, found.name, path, progress)
    if table.energy is not None and table.energy.kind == "measured":
        return table
    return _modelled(table, _graphs(table, entries, networks), device, path)


def modelled_energies(
    table: LatencyTable, entries: Mapping[str, SlotEntry], device: Device, path: Path
) -> LatencyTable:
    """The table with energies made of the device's watts, or without any where these are not known; saved.

    For tables whose latencies were not measured block by block: nothing is metered.
    """
    return _modelled(table, _graphs(table, entries, ()), device, path)


def _graphs(table: LatencyTable, entries: Mapping[str, SlotEntry], networks: Sequence[Network]) -> dict[str, OpGraph]:
    blocks = {**entries, **blocks_of(networks, table.precision)}
    return {signature: entry.deployed for signature, entry in blocks.items() if signature in table.rows}


# Measured ------------------------------------------------------------------------------------------------------------


def _measured(
    table: LatencyTable,
    graphs: Mapping[str, OpGraph],
    networks: Sequence[Network],
    device: Device,
    meter: str,
    path: Path,
    progress: ProgressCallback | None,
) -> LatencyTable:
    same = table.energy is not None and table.energy.kind == "measured" and table.energy.meter == meter
    energies = {name: row.energy_mj for name, row in table.rows.items() if row.energy_mj is not None} if same else {}
    lacking = [signature for signature in graphs if signature not in energies]
    fitted = table.calibration is None or table.calibration.of in table.energies
    if not lacking and same and fitted:
        return table
    settings = dataclasses.replace(_SETTINGS, threads=table.threads)
    report = Reporter(progress, f"measuring the energy of {len(lacking)} blocks", len(lacking) + len(networks))
    origin = table.energy if same else None
    problems: list[str] = []
    watts = [(origin.idle_watts, origin.active_watts)] if origin is not None else []
    for first in range(0, len(lacking), _BATCH):
        names = lacking[first : first + _BATCH]
        models = {name: write_tflite(graphs[name], table.precision) for name in names}
        for name, outcome in _outcomes(device, models, settings, path, len(energies)).items():
            energy = getattr(outcome, "energy", None)
            if energy is None:
                problems.append(str(getattr(outcome, "energy_problem", None) or outcome))
                continue
            energies[name] = energy.energy_mj
            watts.append((energy.idle_watts, energy.active_watts))
        report(first + len(names))
        if energies:
            idle_watts, active_watts = np.median(np.array(watts), axis=0)
            origin = TableEnergy("measured", meter, float(f"{idle_watts:.5g}"), float(f"{active_watts:.5g}"))
            table = table.with_energies(energies, origin)
            table.save(path)
    if problems:
        _LOG.warning("the energy of %d blocks could not be measured, such as: %s", len(problems), problems[0])
    if origin is None:
        return table
    wholes = {str(place): write_tflite(network.graph, table.precision) for place, network in enumerate(networks)}
    outcomes = _outcomes(device, wholes, settings, path, len(energies)) if wholes else {}
    report(len(lacking) + len(networks))
    measured_mj = [getattr(outcomes[str(place)], "energy_mj", None) for place in range(len(networks))]
    origin = calibrated(origin, table, networks, measured_mj)
    table = table.with_energies(energies, origin)
    table.save(path)
    return LatencyTable.load(path).for_calibration(table.calibration.of if table.calibration else "")


def _outcomes(
    device: Device, models: Mapping[str, bytes], settings: MeasureSettings, path: Path, known: int
) -> dict[str, MeasurementOutcome]:
    try:
        return device.measure_many(models, settings)
    except DeviceLostError as error:
        raise WorkError(
            f"{error}. All latencies and {known} energies are kept in {path}: give the same command again to go on"
        ) from error


def calibrated(
    origin: TableEnergy, table: LatencyTable, networks: Sequence[Network], measured_mj: Sequence[float | None]
) -> TableEnergy:
    """Fits one scale on whole networks: the median of measured to added-up energy, errors leave one out.

    Blocks are measured in a normal run, and their energies are cut as their quiet latencies are; a scale away from 1 is
    what the device draws otherwise in a whole network.
    """
    calibration = table.calibration or Calibration()
    fixed_mj = origin.active_above_idle_watts * calibration.fixed_ms
    ratios = []
    for network, whole_mj in zip(networks, measured_mj, strict=True):
        rows = [table.rows.get(signature) for signature in network.signatures(table.precision).values()]
        known = [row for row in rows if row is not None and row.energy_mj is not None]
        if not whole_mj or len(known) < len(rows):
            continue
        energies = np.array([row.energy_mj for row in known], np.float64)
        latencies = np.array([row.latency_ms for row in known])
        parts = calibration.parts(known)
        plain = dataclasses.replace(origin, scale=1.0)
        ratios.append(whole_mj / (fixed_mj + float(plain.contributions(energies, latencies, parts).sum())))
    if not ratios:
        return origin.with_calibration(1.0, fixed_mj, np.array([]))
    scale = float(np.median(ratios))
    return origin.with_calibration(scale, scale * fixed_mj, _held_out_errors(np.array(ratios)))


def _held_out_errors(ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relative errors of each network, predicted with the median ratio of the others; none from a single one."""
    if len(ratios) < 2:
        return np.array([])
    others = [np.median(np.delete(ratios, place)) for place in range(len(ratios))]
    return np.array(others) / ratios - 1


# Modelled ------------------------------------------------------------------------------------------------------------


def _modelled(table: LatencyTable, graphs: Mapping[str, OpGraph], device: Device, path: Path) -> LatencyTable:
    power = device.spec.power
    energies: dict[str, float] = {}
    origin = None
    if power.idle_watts is not None and power.active_watts is not None:
        calibration = table.calibration or Calibration()
        origin = TableEnergy("modelled", power.model_name, power.idle_watts, power.active_watts, power.pj_per_byte)
        fixed_mj = origin.active_above_idle_watts * calibration.fixed_ms
        origin = origin.with_calibration(1.0, fixed_mj, np.array([]))
        same = table.energy is not None and dataclasses.replace(table.energy, fixed_mj=origin.fixed_mj) == origin
        for signature, row in table.rows.items():
            moved = 0
            if power.pj_per_byte:
                if signature not in graphs:  # of another space: what was modelled with the same figures holds
                    if same and row.energy_mj is not None:
                        energies[signature] = row.energy_mj
                    continue
                moved = device.bytes_moved(write_tflite(graphs[signature], table.precision))
            energy = power.energy(row.latency_ms, moved)
            assert energy is not None
            energies[signature] = float(f"{energy.energy_mj:.6g}")
    new = table.with_energies(energies, origin)
    if new != table:
        new.save(path)
    return new
