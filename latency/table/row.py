"""A row of a latency table: what one block costs, and how well that is known."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """Quiet latency of one signature in ms; ``spread`` is the relative distance of the quartiles over its visits.

    ``energy_mj`` is that of one inference above idle, None where it is not known. ``weight_bytes`` is what a network
    reads of the block's weights and biases on every inference, ``wide_bytes`` those of depthwise convolutions that are
    padded (:mod:`edgenas.latency.predict.wide_depthwise`); 0 where it is not known. ``networks`` is the number of
    networks
    that the block was seen in, 0: it was measured standalone; ``cache_miss_ms`` what slow networks add
    (edgenas.latency.predict.cache_misses).
    ``profiled_for`` names the calibrations of the spaces that the block was profiled for. ``sram_bytes`` is the most
    that the device's SRAM holds while the block runs, ``flash_bytes`` its constants as they are stored; 0 where the
    device does not tell.
    """

    latency_ms: float
    spread: float = 0.0
    quiet_visits: int = 0
    visits: int = 0
    energy_mj: float | None = None
    weight_bytes: int = 0
    wide_bytes: int = 0
    networks: int = 0
    cache_miss_ms: float = 0.0
    profiled_for: tuple[str, ...] = ()
    sram_bytes: int = 0
    flash_bytes: int = 0
