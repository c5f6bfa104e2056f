"""Transformations of rewards towards a normal distribution, so that a Gaussian model fits them.

Accuracies have a long tail of bad candidates. Yeo and Johnson's power transformation (Biometrika 87:4, 2000) of the
rewards, centred at their median and scaled by their standard deviation, draws it in for powers above 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

POWERS = (1.0, 2.0, 3.5)
"""Powers to choose from: 1 leaves rewards as they are."""


@dataclass(frozen=True)
class Warping:
    """Rewards made standard.

    Attributes:
        values: (N,) with mean 0 and standard deviation 1, in the order of the rewards; zeros when all are equal.
        log_jacobian: logarithm of the density's change, by which likelihoods of different powers compare.
    """

    values: Floats
    log_jacobian: float


def warp(rewards: Floats, power: float) -> Warping:
    """Transforms finite rewards; monotone."""
    spread = float(rewards.std())
    if len(rewards) < 2 or spread <= 1e-12 * max(float(np.abs(rewards).max()), 1e-300):
        return Warping(np.zeros(len(rewards)), 0.0)
    centred = (rewards - np.median(rewards)) / spread
    size = np.log1p(np.abs(centred))
    above = np.expm1(power * size) / power
    below = size if power == 2 else np.expm1((2 - power) * size) / (2 - power)
    transformed = np.where(centred >= 0, above, -below)
    jacobian = float(((power - 1) * np.sign(centred) * size).sum())
    deviation = float(transformed.std())
    values = (transformed - transformed.mean()) / deviation
    return Warping(values, jacobian - len(rewards) * np.log(deviation))
