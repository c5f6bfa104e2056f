"""Does a table still hold? A random sample of its blocks is looked at again, as its rows were made, and compared."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.devices import Device
from edgenas.latency.costing.devices import costing_of
from edgenas.latency.measure.visits import QuietSettings
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.latency.table.rebuild import blocks_from
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import InputError, WorkError

THRESHOLD = 0.05
SAMPLE = 30


@dataclass(frozen=True)
class DriftRow:
    """One block: its latency in the table, now, and the ratio now over then."""

    signature: str
    table_ms: float
    now_ms: float
    ratio: float


@dataclass(frozen=True)
class Drift:
    """Whether a table holds: the device is the same, and the typical block is within ``threshold`` of its row.

    Where fewer than half of the blocks had a quiet moment that cannot be told: ``disturbed`` counts those without.
    ``median`` is that of the ratios (now over table) with its 95 % ``interval`` from order statistics; ``typical`` is
    the median distance of a ratio from 1; ``spread`` the distance of the ratios' quartiles; ``sign_test`` the
    probability of so many blocks on one side by chance. ``differences`` are what the device itself tells.
    """

    rows: tuple[DriftRow, ...]
    median: float
    interval: tuple[float, float]
    typical: float
    spread: float
    sign_test: float
    threshold: float
    differences: tuple[str, ...]
    failed: dict[str, str]
    seconds: float
    disturbed: int = 0

    @property
    def holds(self) -> bool | None:
        """None: the machine was too busy to tell."""
        if self.differences:
            return False
        return None if 2 * self.disturbed > len(self.rows) else self.typical <= self.threshold

    def describe(self) -> str:
        """The verdict in words."""
        if self.holds is None:
            return (
                f"nobody can tell whether the table holds: {self.disturbed} of {len(self.rows)} blocks had no quiet "
                f"moment (something else keeps the CPU or its host busy)"
            )
        verdict = "the table still holds" if self.holds else "the table does not hold any more"
        low, high = self.interval
        told = (
            f"{verdict}: {len(self.rows)} blocks now take {self.median:.3f} of their stored latency (95 % interval of "
            f"the median {low:.3f} to {high:.3f}), the typical block is off by {self.typical:.1%} (limit "
            f"{self.threshold:.0%})"
        )
        return "; ".join([told, *self.differences])

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON documents."""
        return {
            "holds": self.holds,
            "blocks": len(self.rows),
            "median_ratio": round(self.median, 4),
            "interval": [round(end, 4) for end in self.interval],
            "typical_error": round(self.typical, 4),
            "spread": round(self.spread, 4),
            "sign_test": round(self.sign_test, 6),
            "threshold": self.threshold,
            "differences": list(self.differences),
            "failed": self.failed,
            "disturbed": self.disturbed,
            "rows": [vars(row) for row in self.rows],
            "seconds": round(self.seconds, 2),
        }


def measure_drift(
    table: LatencyTable,
    device: Device,
    *,
    sample: int = SAMPLE,
    seed: int = 0,
    threshold: float = THRESHOLD,
    settings: QuietSettings | None = None,
) -> Drift:
    """Measures ``sample`` random blocks of a table again.

    Raises InputError when the table is another device's or has no block that can be rebuilt, WorkError when none of
    them can be measured.
    """
    start = time.monotonic()
    if table.device != device.name:
        raise InputError(f"the table is of device {table.device!r}, not of {device.name!r}")
    if table.is_adapted:
        raise InputError(
            f"the rows of this table were adapted from another device's and never measured: `edgenas validate` tells "
            f"how well it predicts {device.name!r}, `edgenas profile --fresh` measures it"
        )
    rng = np.random.default_rng(seed)
    blocks = _sample(table, rng, sample)
    now = costing_of(device).blocks_now(table, blocks, settings or QuietSettings(), seed)
    rows = tuple(
        DriftRow(name, table.rows[name].latency_ms, now_ms, now_ms / table.rows[name].latency_ms)
        for name, now_ms in now.latencies_ms.items()
    )
    if not rows:
        raise WorkError(
            f"none of {len(blocks)} blocks could be measured on {device.name!r}: {next(iter(now.failed.values()))}"
        )
    ratios = np.array([row.ratio for row in rows])
    low, high = np.quantile(ratios, (0.25, 0.75))
    return Drift(
        rows=tuple(sorted(rows, key=lambda row: -abs(math.log(row.ratio)))),
        median=float(np.median(ratios)),
        interval=median_interval(ratios.tolist()),
        typical=float(np.median(np.abs(ratios - 1))),
        spread=float(high - low),
        sign_test=sign_test(ratios.tolist()),
        threshold=threshold,
        differences=tuple(table.differences(device.identity(threads=table.threads))),
        failed=dict(now.failed),
        seconds=time.monotonic() - start,
        disturbed=len(now.disturbed),
    )


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Interval that holds the median with at least 95 % probability, from order statistics; all of few values.

    >>> median_interval([5, 1, 4, 2, 3, 6, 7, 8])
    (1.0, 8.0)
    """
    ordered = sorted(map(float, values))
    count = len(ordered)
    tail, below = 0.0, 0
    while below < count // 2 and tail + math.comb(count, below) / 2**count <= 0.025:
        tail += math.comb(count, below) / 2**count
        below += 1
    place = max(below - 1, 0)
    return ordered[place], ordered[count - 1 - place]


def sign_test(ratios: Sequence[float]) -> float:
    """Two-sided probability of so uneven a split of ratios around 1, were both sides as likely.

    >>> sign_test([1.1, 1.2, 1.1, 1.3, 1.2])
    0.0625
    """
    above = sum(ratio > 1 for ratio in ratios)
    count = sum(ratio != 1 for ratio in ratios)
    fewer = min(above, count - above)
    return min(1.0, 2 * sum(math.comb(count, k) for k in range(fewer + 1)) / 2**count) if count else 1.0


def _sample(table: LatencyTable, rng: np.random.Generator, sample: int) -> dict[str, SlotEntry]:
    names = sorted(table.rows)
    blocks = blocks_from([names[place] for place in rng.permutation(len(names))], sample)
    if not blocks:
        raise InputError("the table has no block that can be rebuilt from its signature, so nothing can be compared")
    return blocks
