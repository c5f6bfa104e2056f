"""Latencies that can be compared: several models visited in the same quiet rounds of one session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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
    words. A device that always gives the same number is asked once; ``"uncounted"`` are operators that are not in it.
    Raises DeviceLostError when the device cannot be used at all.
    """
    from edgenas.devices import MeasurementError
    from edgenas.latency.measure.quiet import measure_quiet

    if device.is_exact:
        outcomes = device.measure_many(models)
        return {
            name: {"error": str(outcome)}
            if isinstance(outcome, MeasurementError)
            else quiet_json(outcome.min, kind=outcome.provenance.kind)
            | ({"uncounted": outcome.uncounted} if outcome.uncounted else {})
            for name, outcome in outcomes.items()
        }
    found = measure_quiet(device, models, settings=settings, seed=seed, threads=threads, anchor_ms=anchor_ms)
    return {
        name: {"error": str(latency)} if isinstance(latency, MeasurementError) else quiet_figures(latency)
        for name, latency in found.items()
    }


def quiet_figures(latency: QuietLatency) -> dict[str, Any]:
    """A measured quiet latency as plain data."""
    return quiet_json(
        latency.latency_ms,
        kind="measured",
        fastest_ms=latency.fastest_ms,
        spread=latency.spread,
        quiet_visits=latency.quiet_visits,
        visits=latency.visits,
    )


def quiet_json(
    quiet_ms: float,
    *,
    kind: str,
    fastest_ms: float | None = None,
    spread: float = 0.0,
    quiet_visits: int = 1,
    visits: int = 1,
) -> dict[str, Any]:
    """The shape in which quiet latencies stand in documents."""
    return {
        "quiet_ms": round(quiet_ms, 6),
        "fastest_ms": round(quiet_ms if fastest_ms is None else fastest_ms, 6),
        "spread": round(spread, 4),
        "quiet_visits": quiet_visits,
        "visits": visits,
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
