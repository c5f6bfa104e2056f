"""Latencies that can be compared: several models visited in the same quiet rounds of one session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.spaces.errors import EdgeNASError

if TYPE_CHECKING:
    from edgenas.devices import Device
    from edgenas.latency.measure.visits import QuietLatency, QuietSettings


def measure_side_by_side(
    device: Device,
    models: Mapping[str, bytes],
    *,
    threads: int = 1,
    seed: int = 0,
    anchor_ms: float | None = None,
    settings: QuietSettings | None = None,
) -> dict[str, dict[str, Any]]:
    """The quiet latency of each model, all visited in shuffled order, round after round.

    Each is ``{"quiet_ms", "fastest_ms", "spread", "quiet_visits", "visits", "kind"}``, or ``{"error"}`` in the device's
    words; ``"uncounted"`` are operators that are not in it. Raises DeviceLostError when the device cannot be used at
    all.
    """
    from edgenas.latency.costing.devices import costing_of

    rng = np.random.default_rng(seed)
    seen = costing_of(device).latencies(models, settings, rng=rng, threads=threads, anchor_ms=anchor_ms)
    found = {name: {"error": str(error)} for name, error in seen.errors.items()}
    found |= {name: _figures(latency, seen.kind) for name, latency in seen.found.items()}
    return {
        name: found[name] | ({"uncounted": seen.uncounted[name]} if name in seen.uncounted else {}) for name in models
    }


def _figures(latency: QuietLatency, kind: str) -> dict[str, Any]:
    """The shape in which quiet latencies stand in documents."""
    return {
        "quiet_ms": round(latency.latency_ms, 6),
        "fastest_ms": round(latency.fastest_ms, 6),
        "spread": round(latency.spread, 4),
        "quiet_visits": latency.quiet_visits,
        "visits": latency.visits,
        "kind": kind,
    }


def known_anchor_ms(device: str, precision: str = "int8") -> float | None:
    """The reference model's time by the device's own latency table; None when there is no table that can be read.

    With it, a machine that is disturbed all the time does not pass for quiet.
    """
    from edgenas.latency.table.latency_table import LatencyTable, default_table_path

    path = default_table_path(device, precision)
    if not path.is_file():
        return None
    try:
        return LatencyTable.load(path).anchor_ms
    except EdgeNASError:
        return None
