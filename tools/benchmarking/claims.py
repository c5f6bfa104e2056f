"""What a figure is compared with, and how figures of several seeds or rows are told in short."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_SHARES = {"min": 0.0, "p10": 0.1, "q25": 0.25, "median": 0.5, "q75": 0.75, "p90": 0.9, "max": 1.0}


def claim(text: str, value: float | None, goal: float, *, least: bool = False) -> dict[str, Any]:
    """A figure with its goal: the most it may be, or the least; one that could not be found misses it."""
    met = value is not None and (value >= goal if least else value <= goal)
    return {"claim": text, "value": value, "goal": goal, "met": bool(met)}


def claim_line(found: Mapping[str, Any]) -> str:
    """A claim in words.

    >>> claim_line(claim("mean error", 0.0123456, 0.03))
    'met: mean error: 0.01235 (goal 0.03)'
    >>> claim_line(claim("top1 above random", None, 0.0, least=True))
    'NOT MET: top1 above random: none (goal 0)'
    """
    goal = "" if found["goal"] is None else f" (goal {_number(found['goal'])})"
    return f"{'met' if found['met'] else 'NOT MET'}: {found['claim']}: {_number(found['value'])}{goal}"


def _number(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_number(one)}" for key, one in value.items())
    return f"{value:.4g}"


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation (null of one), and the values."""
    found = [float(value) for value in values]
    return {
        "mean": statistics.fmean(found),
        "deviation": statistics.stdev(found) if len(found) > 1 else None,
        "values": found,
    }


def quantiles(values: Sequence[float], *names: str) -> dict[str, float]:
    """Quantiles by name, to four digits: of min, p10, q25, median, q75, p90, max."""
    return {name: round(float(np.quantile(values, _SHARES[name])), 4) for name in names}
