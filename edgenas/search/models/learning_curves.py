"""Extrapolation of learning curves: what accuracy a training that has not ended would reach.

A curve is fitted by a power law, value(t) = limit - gap * t ** -rate (Domhan et al. 2015 call it pow3), over a grid of
rates; for each rate the other two follow by least squares with a weak prior. The predictions of all rates are averaged
by how well they fit, and their spread, with what the fit leaves over, is the uncertainty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.spaces.errors import InputError

RATES = np.geomspace(0.1, 3.0, 12)
NOISE = 0.005
"""Standard deviation of an accuracy from one epoch to the next that is taken for granted, in [0, 1]."""
PRIOR_GAP = 0.5


@dataclass(frozen=True)
class Extrapolation:
    """The accuracy expected at the end, in [0, 1], and its standard deviation."""

    mean: float
    deviation: float


def extrapolate(values: Sequence[float], end: int) -> Extrapolation:
    """The value at step ``end`` of a curve whose values at steps 1, 2, ... are known.

    >>> curve = [0.9 - 0.5 * step ** -0.7 for step in range(1, 7)]
    >>> found = extrapolate(curve, 30)
    >>> abs(found.mean - (0.9 - 0.5 * 30 ** -0.7)) < 0.02
    True

    Raises InputError for an empty curve, one with values outside [0, 1], and an ``end`` before its last step.
    """
    curve = np.asarray(values, np.float64)
    if not len(curve) or not ((curve >= 0) & (curve <= 1)).all():
        raise InputError(f"a learning curve holds accuracies in [0, 1], found {list(values)}")
    if end < len(curve):
        raise InputError(f"cannot extrapolate to step {end}: {len(curve)} steps are known")
    if end == len(curve):
        return Extrapolation(float(curve[-1]), 0.0)
    steps = np.arange(1, len(curve) + 1, dtype=np.float64)
    means, variances, scores = [], [], []
    for rate in RATES:
        design = np.stack([np.ones(len(curve)), -(steps**-rate)], axis=1)
        prior_mean = np.array([curve.max(), PRIOR_GAP * curve.max()])
        prior_precision = np.array([1.0, 1.0]) / 0.5**2
        precision = design.T @ design / NOISE**2 + np.diag(prior_precision)
        covariance = np.linalg.inv(precision)
        weights = covariance @ (design.T @ curve / NOISE**2 + prior_precision * prior_mean)
        final = np.array([1.0, -(float(end) ** -rate)])
        residual = curve - design @ weights
        fit = (residual**2).sum() / NOISE**2 + (prior_precision * (weights - prior_mean) ** 2).sum()
        _, determinant = np.linalg.slogdet(precision)
        means.append(float(final @ weights))
        variances.append(float(final @ covariance @ final) + NOISE**2)
        scores.append(-0.5 * (fit + determinant))
    likelihood = np.exp(np.array(scores) - max(scores))
    likelihood /= likelihood.sum()
    clipped = np.clip(means, 0.0, 1.0)
    mean = float(likelihood @ clipped)
    variance = float(likelihood @ (np.array(variances) + (clipped - mean) ** 2))
    return Extrapolation(mean, float(np.sqrt(variance)))
