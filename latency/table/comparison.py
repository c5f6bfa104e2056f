"""Two latency tables side by side: what differs, and both made into one."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.spaces.errors import InputError

#: Header keys that are compared, in the order in which they are shown.
_SHOWN = (
    *("device", "precision", "runtime", "runtime_version", "threads", "cpu_model", "governor", "frequency_mhz"),
    *("temperature_c", "system", "kind", "statistic", "protocol", "anchor_ms", "created"),
)
#: Tables that differ in one of these hold other quantities and are never merged.
_IDENTITY = (
    *("device", "precision", "runtime", "runtime_version", "threads", "cpu_model", "kind", "statistic", "protocol"),
)
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Change:
    """A row of both tables; ``ratio`` is the second latency over the first, at one clock where that makes sense."""

    signature: str
    first_ms: float
    second_ms: float
    ratio: float


@dataclass(frozen=True)
class TableDifference:
    """What :func:`compare_tables` finds. ``changes`` are in the order of how much changed, largest first."""

    header: dict[str, tuple[str | None, str | None]]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    changes: tuple[Change, ...]
    same_clock: bool

    @property
    def ratio_quantiles(self) -> dict[str, float]:
        """Quantiles of the ratios of the rows that both tables have; empty when there are none."""
        ratios = [change.ratio for change in self.changes]
        if not ratios:
            return {}
        return {f"p{round(100 * share)}": float(np.quantile(ratios, share)) for share in _QUANTILES}

    def to_json(self, most: int = 20) -> dict[str, Any]:
        """Plain data; of the changes, the ``most`` largest."""
        return {
            "header": {key: {"first": first, "second": second} for key, (first, second) in self.header.items()},
            "common": len(self.changes),
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
            "same_clock": self.same_clock,
            "ratio": self.ratio_quantiles,
            "largest_changes": [vars(change) for change in self.changes[:most]],
        }


def compare_tables(first: LatencyTable, second: LatencyTable) -> TableDifference:
    """Header and rows of two tables.

    Ratios of two tables of one device are at one clock: each latency is taken relative to the reference model that was
    timed beside it. Those of different devices are plain.
    """
    same_clock = _identity(first)["device"] == _identity(second)["device"] and first.cpu_model == second.cpu_model
    factor = _clock_factor(second, first) if same_clock else 1.0
    changes = [
        Change(signature, row.latency_ms, other.latency_ms, other.latency_ms * factor / row.latency_ms)
        for signature, row in first.rows.items()
        if (other := second.rows.get(signature)) is not None
    ]
    changes.sort(key=lambda change: -abs(math.log(change.ratio)))
    header = {key: (_text(first, key), _text(second, key)) for key in _SHOWN if _text(first, key) != _text(second, key)}
    calibrations = (_calibrations(first), _calibrations(second))
    if calibrations[0] != calibrations[1]:
        header["calibrations"] = calibrations
    return TableDifference(
        header,
        tuple(signature for signature in first.rows if signature not in second.rows),
        tuple(signature for signature in second.rows if signature not in first.rows),
        tuple(changes),
        same_clock,
    )


def merge_tables(first: LatencyTable, second: LatencyTable) -> LatencyTable:
    """One table with the rows of both; where both have a row, that of the newer table (the second when as new).

    Latencies of the older table are brought to the reference clock of the newer, whose header the result has. It has
    the calibrations of both, and of one space that of the newer (the older's when the newer's is of no network).
    Energies are kept only where both tables' have one origin. Raises InputError naming everything that keeps the two
    from being merged.
    """
    differences = [
        f"{key} is {mine!r} in the first and {theirs!r} in the second"
        for key in _IDENTITY
        if (mine := _identity(first)[key]) != (theirs := _identity(second)[key])
    ]
    if differences:
        raise InputError(f"these tables cannot be merged: {'; '.join(differences)}")
    older, newer = (first, second) if first.created <= second.created else (second, first)
    factor = _clock_factor(older, newer)
    rows = dict(older.rows)
    if factor != 1:
        rows = {
            signature: dataclasses.replace(
                row,
                latency_ms=float(f"{row.latency_ms * factor:.5g}"),
                cache_miss_ms=float(f"{row.cache_miss_ms * factor:.5g}"),
            )
            for signature, row in rows.items()
        }
    energy = newer.energy or older.energy
    if newer.energy is not None and older.energy is not None and not _one_origin(older, newer):
        rows = {signature: dataclasses.replace(row, energy_mj=None) for signature, row in rows.items()}
    merged: dict[str, Row] = {
        **rows,
        **{
            name: dataclasses.replace(row, profiled_for=_both(row, rows[name])) if name in rows else row
            for name, row in newer.rows.items()
        },
    }
    calibrations = dict(newer.calibrations)
    for of, calibration in older.calibrations.items():
        if of not in calibrations or not calibrations[of].networks:
            calibrations[of] = calibration.at_clock(factor)
    energies = {**older.energies, **newer.energies} if _one_origin(older, newer) else newer.energies or older.energies
    empty = dataclasses.replace(newer, rows={}, energy=energy, calibration=None)
    return dataclasses.replace(empty, rows=merged, calibrations=calibrations, energies=energies).as_usual()


def _both(row: Row, other: Row) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*row.profiled_for, *other.profiled_for)))


def _one_origin(first: LatencyTable, second: LatencyTable) -> bool:
    ours, theirs = first.energy, second.energy
    return ours is not None and theirs is not None and (ours.kind, ours.meter) == (theirs.kind, theirs.meter)


def _identity(table: LatencyTable) -> dict[str, object]:
    return {key: getattr(table, key) for key in _IDENTITY}


def _calibrations(table: LatencyTable) -> str:
    """Which networks a table is calibrated with, in the order of their names."""
    return ", ".join(
        f"{of or 'unnamed'} ({table.calibrations[of].networks} networks)" for of in sorted(table.calibrations)
    )


def _text(table: LatencyTable, key: str) -> str | None:
    value = getattr(table, key)
    return None if value is None else str(value)


def _clock_factor(of: LatencyTable, to: LatencyTable) -> float:
    """What latencies of one table are multiplied with to be at the reference clock of another."""
    factor = to.anchor_ms / of.anchor_ms
    return factor if math.isfinite(factor) and factor > 0 else 1.0
