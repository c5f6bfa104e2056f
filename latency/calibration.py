"""From blocks measured alone to whole networks: what the sum of blocks misses, fitted on a few measured networks.

A block measured alone pays for entering the interpreter and its delegate once, and so does a whole network, however
many blocks it has. So

    network = scale * sum(blocks) - overhead * (nodes - 1)

with ``overhead`` near the time of an almost empty model (0.5 to 1 microseconds on a server CPU) and ``scale`` near 1.
Both are fitted on relative errors and drawn towards that physical prior, so that few networks do no harm; no block
ever counts as less than a small share of its measured time, so predictions stay positive and monotone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: A block in a network costs at least this share of what it costs alone.
_FLOOR = 0.1
#: Strength of the prior, in units of networks that agree with it at 10 % error.
_PRIOR_NETWORKS = 1.0
_PRIOR_SCALE_ERROR = 0.1
_EXPECTED_ERROR = 0.01


@dataclass(frozen=True)
class Calibration:
    """Two fitted constants, and how well they predict networks that they were not fitted on.

    ``mape``, ``max_error`` are leave-one-out relative errors over ``networks`` whole networks. ``deployed_median`` and
    ``deployed_p95`` are typical ratios of the deployed statistics of a normal run to the quiet latency, as seen while
    the table was made; they depend on who else uses the device. ``base_ms`` is what a network costs whatever its
    blocks: 0 where blocks are measured alone and each pays for it, so that ``overhead_ms`` tells it. ``pairs`` are the
    (predicted while left out, measured) latencies behind the errors, in ms.
    """

    scale: float = 1.0
    overhead_ms: float = 0.0
    networks: int = 0
    mape: float | None = None
    max_error: float | None = None
    deployed_median: float | None = None
    deployed_p95: float | None = None
    base_ms: float = 0.0
    pairs: tuple[tuple[float, float], ...] = ()

    def contributions(self, latencies_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        """What blocks add to a network, from their latencies alone, in ms. NaN stays NaN."""
        return np.maximum(self.scale * latencies_ms - self.overhead_ms, _FLOOR * self.scale * latencies_ms)

    @property
    def fixed_ms(self) -> float:
        """What a network costs beyond its blocks' contributions: one entry into the interpreter."""
        return self.overhead_ms + self.base_ms

    def network_ms(self, latencies_ms: Sequence[float] | NDArray[np.float64]) -> float:
        """Predicted quiet latency of a network from the latencies of its blocks alone, in ms."""
        return self.fixed_ms + float(self.contributions(np.asarray(latencies_ms, np.float64)).sum())

    def with_deployed(self, median: float, p95: float) -> Calibration:
        """A copy with the ratios of deployed to quiet latency."""
        return dataclasses.replace(self, deployed_median=median, deployed_p95=p95)

    def to_json(self) -> dict[str, Any]:
        """Plain data that :meth:`from_json` reads back."""
        plain = {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in dataclasses.asdict(self).items()
        }
        return plain | {"pairs": [[round(value, 6) for value in pair] for pair in self.pairs]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        """Raises TypeError or ValueError on anything else than what :meth:`to_json` made."""
        known = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(data, Mapping) or not {"scale", "overhead_ms", "networks"} <= set(data) <= known:
            raise ValueError(f"calibration must have the keys {', '.join(sorted(known))}")
        optional = {
            name: None if data.get(name) is None else float(data[name])
            for name in ("mape", "max_error", "deployed_median", "deployed_p95")
        }
        return cls(
            float(data["scale"]),
            float(data["overhead_ms"]),
            int(data["networks"]),
            base_ms=float(data.get("base_ms", 0.0)),
            pairs=tuple((float(predicted), float(measured)) for predicted, measured in data.get("pairs", ())),
            **optional,
        )


def calibrate(blocks_ms: Sequence[Sequence[float]], networks_ms: Sequence[float], empty_ms: float) -> Calibration:
    """Fits the constants on networks whose blocks and whole were measured side by side.

    ``blocks_ms`` has the blocks' latencies alone for each network, ``networks_ms`` the whole's; ``empty_ms`` is the
    latency of an almost empty model, where the prior of the overhead lies. With no network, the prior is all there is.
    """
    prior = np.array([1.0, empty_ms / 2])
    if not networks_ms:
        return Calibration(1.0, empty_ms / 2)
    fitted = _fit(blocks_ms, networks_ms, prior)
    held_out_ms = []
    for left_out in range(len(networks_ms)):
        rest = [index for index in range(len(networks_ms)) if index != left_out]
        held_out = _fit([blocks_ms[i] for i in rest], [networks_ms[i] for i in rest], prior)
        held_out_ms.append(held_out.network_ms(blocks_ms[left_out]))
    errors = np.array(held_out_ms) / np.array(networks_ms) - 1
    return dataclasses.replace(
        fitted,
        networks=len(networks_ms),
        mape=float(np.mean(np.abs(errors))),
        max_error=float(np.max(np.abs(errors))),
        pairs=tuple(zip(held_out_ms, map(float, networks_ms), strict=True)),
    )


def _fit(blocks_ms: Sequence[Sequence[float]], networks_ms: Sequence[float], prior: NDArray[np.float64]) -> Calibration:
    """Least squares on relative errors around the prior; the overhead is never negative."""
    if not networks_ms:
        return Calibration(float(prior[0]), float(prior[1]))
    whole = np.asarray(networks_ms, np.float64)
    sums = np.array([sum(blocks) for blocks in blocks_ms])
    borders = np.array([len(blocks) - 1 for blocks in blocks_ms])
    design = np.stack([sums, -borders], axis=1) / whole[:, None]
    # One row per constant pulls it to its prior: weak, and in units of the expected relative error.
    pull = _EXPECTED_ERROR * np.sqrt(_PRIOR_NETWORKS) / np.array([_PRIOR_SCALE_ERROR, max(prior[1], 1e-6)])
    system = np.vstack([design, np.diag(pull)])
    target = np.concatenate([np.ones(len(whole)), pull * prior])
    scale, overhead = np.linalg.lstsq(system, target, rcond=None)[0]
    if overhead < 0:
        overhead = 0.0
        scale = float(system[:, 0] @ target / (system[:, 0] @ system[:, 0]))
    return Calibration(float(scale), float(overhead))
