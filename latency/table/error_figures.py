"""How wrong predictions of networks were, in the figures that a table keeps and that are printed with each prediction.

The mean of a few networks' errors is itself uncertain: its interval tells what the mean of many others may be.
"""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike

_RESAMPLES, _SEED = 2_000, 0
_PROBABILITY = 0.95


class ErrorFigures(TypedDict):
    """Mean and largest absolute relative error, and an interval that holds the mean with 95 %; None: unknown."""

    mape: float | None
    max_error: float | None
    mape_interval: tuple[float, float] | None


def error_figures(errors: ArrayLike) -> ErrorFigures:
    """Figures of relative errors (networks,); the interval is from resampling (Efron, Bootstrap Methods, 1979).

    One network tells no interval, none tells nothing.

    >>> error_figures([0.01, -0.01, 0.03])
    {'mape': 0.016667, 'max_error': 0.03, 'mape_interval': (0.01, 0.03)}
    """
    sizes = np.abs(np.asarray(errors, np.float64))
    if not len(sizes):
        return {"mape": None, "max_error": None, "mape_interval": None}
    figures: ErrorFigures = {
        "mape": round(float(sizes.mean()), 6),
        "max_error": round(float(sizes.max()), 6),
        "mape_interval": None,
    }
    if len(sizes) > 1:
        means = np.random.default_rng(_SEED).choice(sizes, (_RESAMPLES, len(sizes))).mean(axis=1)
        low, high = np.quantile(means, ((1 - _PROBABILITY) / 2, (1 + _PROBABILITY) / 2))
        figures["mape_interval"] = (round(float(low), 6), round(float(high), 6))
    return figures


def interval_from(plain: Any) -> tuple[float, float] | None:
    """An interval as JSON keeps it, or None for None. Raises TypeError or ValueError on anything else."""
    if plain is None:
        return None
    low, high = plain
    return float(low), float(high)


def in_words(mape: float, max_error: float | None, interval: tuple[float, float] | None) -> str:
    """``mean error 2.1% (95 % interval: 1.4% to 2.9%), largest 11.1%``."""
    about = "" if interval is None else f" (95 % interval: {interval[0]:.1%} to {interval[1]:.1%})"
    largest = "" if max_error is None else f", largest {max_error:.1%}"
    return f"mean error {mape:.1%}{about}{largest}"
