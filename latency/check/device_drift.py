"""How a device differs from what it was, as networks tell that were measured then and are measured now."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: A shared machine differs by so much from one hour to another; a table that is further off does not hold any more.
LARGEST_DRIFT = 0.1


@dataclass(frozen=True)
class DeviceDrift:
    """``ratio`` is how long the typical network takes now as a share of what it took then."""

    ratio: float

    @property
    def is_small(self) -> bool:
        """Whether it is the time of day that differs, not the device."""
        return abs(self.ratio - 1) <= LARGEST_DRIFT


def tell_drift(then_ms: NDArray[np.float64], now_ms: NDArray[np.float64]) -> DeviceDrift:
    """The median ratio of (networks,) latencies, of at least one network."""
    return DeviceDrift(float(np.median(now_ms / then_ms)))
