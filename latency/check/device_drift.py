"""How a device differs from what it was, as networks tell that were measured then and are measured now.

Either all of them take so many times as long, or it is their weights that take longer to come: on a shared machine
neighbours leave more or less of a cache and of the memory's bandwidth, by the minute, and a fast network with many
weights feels that most (seen: 4 % at 6 ms beside 10 % at 2.5 ms, both with 11 MB). What explains the networks better is
taken for the cause.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Minutes of a shared machine differ by so much; a table that is further off does not hold any more.
LARGEST_DRIFT = 0.1


@dataclass(frozen=True)
class DeviceDrift:
    """``ratio`` is how long the typical network takes now as a share of what it took then.

    ``ms_per_mb`` is what each MB of weights takes more (or less, below 0) where that is the cause, else None.
    """

    ratio: float
    ms_per_mb: float | None = None

    @property
    def is_small(self) -> bool:
        """Whether it is the minutes that differ, not the device."""
        return abs(self.ratio - 1) <= LARGEST_DRIFT

    def taken_out(self, now_ms: NDArray[np.float64], weights_mb: NDArray[np.float64]) -> NDArray[np.float64]:
        """What networks would have taken then, in ms; arrays of one shape."""
        return now_ms / self.ratio if self.ms_per_mb is None else now_ms - self.ms_per_mb * weights_mb


def tell_drift(
    then_ms: NDArray[np.float64], now_ms: NDArray[np.float64], weights_mb: NDArray[np.float64]
) -> DeviceDrift:
    """The drift that leaves least of the differences, as shares of ``then_ms``: a median, plain or weighted.

    Arrays are (networks,), of at least one network.
    """
    ratios, share = now_ms / then_ms, weights_mb / then_ms
    ratio = float(np.median(ratios))
    if not weights_mb.min() > 0:
        return DeviceDrift(ratio)
    rates = (now_ms - then_ms) / weights_mb
    rate = float(np.quantile(rates, 0.5, weights=share, method="inverted_cdf"))
    by_weights = float(np.abs(ratios - 1 - rate * share).sum())
    return DeviceDrift(ratio, rate if by_weights < float(np.abs(ratios - ratio).sum()) else None)
