"""Fits the factor of :mod:`edgenas.devices.calibration` from networks that a user measured on a board."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.devices.calibration import BoardFactor
from edgenas.devices.device import CATALOG, Device, DeviceSpec
from edgenas.devices.home import edgenas_home
from edgenas.devices.measurement import Measurement
from edgenas.devices.own import write_description
from edgenas.spaces.errors import InputError

COLUMNS = ("model", "latency_ms")


@dataclass(frozen=True)
class Compared:
    """One network: what the device estimates without a factor, what the board took, in ms."""

    model: str
    estimated_ms: float
    measured_ms: float

    @property
    def ratio(self) -> float:
        return self.measured_ms / self.estimated_ms


@dataclass(frozen=True)
class Calibrated:
    """A factor, the networks behind it, and how wrong it is on each when it is left out."""

    factor: BoardFactor
    networks: tuple[Compared, ...]
    errors: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON of ``edgenas devices calibrate``, without device and file."""
        sizes = [abs(error) for error in self.errors]
        return {
            "factor": self.factor.factor,
            "spread": self.factor.spread,
            "networks": [vars(one) | {"ratio": round(one.ratio, 4)} for one in self.networks],
            "error": {
                "mape": round(float(np.mean(sizes)), 4) if sizes else None,
                "max": round(max(sizes), 4) if sizes else None,
                "networks": len(sizes),
            },
        }


def read_measured(path: Path) -> dict[str, float]:
    """Latencies in ms by model file, as the CSV names it. Raises InputError naming the file and the line."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if not set(COLUMNS) <= set(reader.fieldnames or ()):
                raise InputError(f"{path}: expected the columns {', '.join(COLUMNS)}, found {reader.fieldnames}")
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    found: dict[str, float] = {}
    for line, row in enumerate(rows, start=2):
        name = (row["model"] or "").strip()
        try:
            latency_ms = float(row["latency_ms"] or "")
        except ValueError:
            latency_ms = math.nan
        if not name or not 0 < latency_ms < math.inf:
            raise InputError(f"{path}: line {line}: expected a model's file and its latency in ms, found {dict(row)}")
        if name in found:
            raise InputError(f"{path}: line {line}: {name!r} comes twice")
        found[name] = latency_ms
    if not found:
        raise InputError(f"{path}: holds no measurement: give at least one network, better four or more")
    return found


def calibrate(device: Device, measured: Mapping[str, float], folder: Path, source: str) -> Calibrated:
    """The factor between a device's estimates and a board's latencies of the same files (paths from ``folder``).

    Raises InputError for a device that is measured, a file that is not there, or one that the device refuses.
    """
    models = {name: folder / name for name in measured}
    outcomes = device.without_factor().measure_many(models)
    compared = []
    for name, outcome in outcomes.items():
        if not isinstance(outcome, Measurement):
            raise InputError(f"{source}: {outcome}")
        compared.append(Compared(name, outcome.median, measured[name]))
    ratios = np.log([one.ratio for one in compared])
    factor = BoardFactor(
        float(f"{np.exp(ratios.mean()):.5g}"),
        float(f"{np.exp(ratios.max() - ratios.min()):.4g}"),
        len(compared),
        source,
    )
    return Calibrated(factor, tuple(compared), tuple(_left_out(ratios)))


def _left_out(ratios: np.ndarray) -> Sequence[float]:
    if len(ratios) < 2:
        return []
    others = [np.delete(ratios, place).mean() for place in range(len(ratios))]
    return [float(np.exp(other - own) - 1) for other, own in zip(others, ratios, strict=True)]


def save_calibrated(spec: DeviceSpec, factor: BoardFactor) -> Path:
    """Writes the device with its factor into the EdgeNAS home, where it hides the catalog's of the same name."""
    path = (
        Path(spec.source) if Path(spec.source).parent != CATALOG else edgenas_home() / "devices" / f"{spec.name}.yaml"
    )
    write_description(path, spec, calibration=factor.to_yaml())
    return path
