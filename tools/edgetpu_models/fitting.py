"""Fits the constants of the analytical model: robust, on relative errors, drawn towards what sources say of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgenas.devices.kinds.edgetpu_model import EdgeTpuConstants, Work
from edgenas.latency.check.validation import spearman

#: Constants that a fit moves; clock, cycles per step and the CPU's rate come from elsewhere.
FITTED = ("compute_scale", "fixed_ms", "operator_ms", "stream_ms_per_mib", "input_ms_per_mb", "output_ms_per_mb")
_EXPECTED_ERROR = 0.15
_ROUNDS = 60


def constants_of(priors: Mapping[str, float]) -> EdgeTpuConstants:
    return EdgeTpuConstants(**priors)


def map_fit(
    design: NDArray[np.float64],
    target: NDArray[np.float64],
    prior: NDArray[np.float64],
    *,
    spread: float,
    expected_error: float = _EXPECTED_ERROR,
) -> NDArray[np.float64]:
    """Least Huber loss of relative errors, plus squared distance from ``prior`` in units of ``spread`` of it."""
    rows = design / target[:, None] / expected_error
    pull = np.diag(1 / (spread * prior))
    weights = np.ones(len(target))
    solution = prior
    for _ in range(_ROUNDS):
        system = np.vstack([rows * weights[:, None], pull])
        wanted = np.concatenate([weights / expected_error, np.full(len(prior), 1 / spread)])
        solution = np.linalg.lstsq(system, wanted, rcond=None)[0]
        residual = np.abs(rows @ solution - 1 / expected_error)
        weights = 1 / np.sqrt(np.maximum(residual, 1.0))
    return np.maximum(solution, 0.0)


def fit_latency(
    works: Sequence[Work], latencies_ms: Sequence[float], prior: EdgeTpuConstants, *, spread: float, free: Sequence[str]
) -> EdgeTpuConstants:
    """Moves the ``free`` constants of ``prior`` towards measured latencies."""
    start = np.array([getattr(prior, name) for name in free])
    zero = dataclasses.replace(prior, **dict.fromkeys(free, 0.0))
    fixed = np.array([zero.latency_ms(work) for work in works])
    columns = [
        np.array([dataclasses.replace(zero, **{name: 1.0}).latency_ms(work) for work in works]) - fixed for name in free
    ]
    # What is not free is moved to the left: the remainder must still be a relative error of the whole.
    measured = np.asarray(latencies_ms, np.float64)
    design = np.stack([*columns, fixed], axis=1)
    solution = map_fit(design, measured, np.array([*start, 1.0]), spread=_spreads(spread, len(free)))
    return dataclasses.replace(prior, **dict(zip(free, map(float, solution), strict=False)))


def _spreads(spread: float, count: int) -> NDArray[np.float64]:
    """The last column is not free."""
    return np.array([*[spread] * count, 1e-6])


def fit_line(costs: NDArray[np.float64], latencies_ms: NDArray[np.float64]) -> tuple[float, float]:
    """A baseline's two constants, fitted in the same robust way without priors."""
    design = np.stack([np.ones_like(costs), costs], axis=1)
    start = np.array([float(latencies_ms.min()), float(latencies_ms.max() / costs.max())])
    intercept, slope = map_fit(design, latencies_ms, start, spread=1e6)
    return float(intercept), float(slope)


@dataclasses.dataclass(frozen=True)
class Score:
    """How predictions compare with published latencies."""

    rows: int
    spearman: float
    median_relative_error: float
    mean_relative_error: float

    @classmethod
    def of(cls, predicted: NDArray[np.float64], published: NDArray[np.float64]) -> Score:
        errors = np.abs(predicted / published - 1)
        return cls(
            len(published),
            round(spearman(predicted, published), 4),
            round(float(np.median(errors)), 4),
            round(float(np.mean(errors)), 4),
        )
