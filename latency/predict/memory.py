"""Memory of whole networks on a device, from what its blocks need.

Constants add up. What the SRAM holds is decided where it holds the most: by one block, with its tensors and the weights
that are fetched meanwhile. A few whole networks tell the step from there to what the compiler reports for a network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Costs of memory that a table can tell, and how those of blocks become a network's.
MEMORY_COSTS: Mapping[str, str] = {"sram_bytes": "max", "flash_bytes": "sum"}


@dataclass(frozen=True)
class MemoryFit:
    """``factor * blocks + constant``, in bytes, and its relative errors on whole networks left out (None: unknown)."""

    factor: float = 1.0
    constant: float = 0.0
    mape: float | None = None
    max_error: float | None = None

    def network_bytes(self, blocks: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """What networks need whose blocks need so much together."""
        return np.asarray(self.factor * np.asarray(blocks, np.float64) + self.constant, np.float64)

    def to_json(self) -> dict[str, Any]:
        """Plain data that :meth:`from_json` reads back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MemoryFit:
        """Raises TypeError or ValueError on anything else than what :meth:`to_json` made."""
        errors = {key: None if data.get(key) is None else float(data[key]) for key in ("mape", "max_error")}
        return cls(float(data["factor"]), float(data["constant"]), **errors)


def together(cost: str, blocks: Sequence[float]) -> float:
    """What these blocks of one network need together."""
    return float(max(blocks) if MEMORY_COSTS[cost] == "max" else sum(blocks))


def fit_memory(cost: str, blocks: Sequence[float], networks: Sequence[float]) -> MemoryFit:
    """The step from blocks (together) to whole networks: a factor for a maximum, a constant for a sum."""
    own, whole = np.array(blocks, np.float64), np.array(networks, np.float64)
    if not len(own) or not own.all():
        return MemoryFit()

    def fitted(keep: NDArray[np.bool_]) -> MemoryFit:
        if MEMORY_COSTS[cost] == "max":
            return MemoryFit(factor=round(float(np.median(whole[keep] / own[keep])), 6))
        return MemoryFit(constant=round(float(np.median(whole[keep] - own[keep])), 1))

    everything = np.ones(len(own), bool)
    if len(own) < 2:
        return fitted(everything)
    left_out = [float(fitted(np.arange(len(own)) != place).network_bytes(own[place])) for place in range(len(own))]
    errors = np.abs(np.array(left_out) / whole - 1)
    return dataclasses.replace(
        fitted(everything), mape=round(float(errors.mean()), 6), max_error=round(float(errors.max()), 6)
    )
