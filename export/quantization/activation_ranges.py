"""Estimated statistics of activations, where there are no data to calibrate on.

A randomly initialised network is described by the mean and the power of each tensor; its 8-bit scale follows from
them. Coarse, and enough: random weights scaled by these estimates keep every activation inside its range and away
from a constant, so that a model written without any data still computes something.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np

#: Standard deviations on either side of the mean that a range covers.
_COVERED = 4.0
#: A mean over many pixels never varies less than this share of the variance: channels differ, pixels agree.
_SHARED_VARIANCE = 1 / 16


@dataclass(frozen=True)
class Quantization:
    """Affine 8-bit quantization, ``real = scale * (stored - zero_point)``; per channel along ``dimension``."""

    scale: np.ndarray
    zero_point: int = 0
    dimension: int = 0


@dataclass(frozen=True)
class ActivationRange:
    """Bounds, mean and power (mean of squares) of a tensor's values."""

    low: float
    high: float
    mean: float
    power: float

    @property
    def variance(self) -> float:
        return max(self.power - self.mean**2, 1e-12)

    def quantization(self) -> Quantization:
        """Asymmetric int8: the bounds, widened to contain 0, are spread over -128 to 127; of nothing but 0, 0 to 1."""
        low, high = min(self.low, 0.0), max(self.high, 0.0)
        scale = (max(high - low, 1e-6) if high > low else 1.0) / 255
        return Quantization(np.array([scale], np.float32), int(np.clip(round(-128 - low / scale), -128, 127)))


#: Values as they come out of a normalisation: what networks are fed.
STANDARD_NORMAL = ActivationRange(-_COVERED, _COVERED, 0.0, 1.0)
#: The runtime fixes the scale of a sigmoid's output to 1/256 and its zero point to -128.
SIGMOID_OUTPUT = Quantization(np.array([1 / 256], np.float32), -128)

#: Likewise of a hyperbolic tangent's: 1/128 around 0.
TANH_OUTPUT = Quantization(np.array([1 / 128], np.float32), 0)


def normal(mean: float, variance: float) -> ActivationRange:
    """A normal distribution."""
    reach = _COVERED * math.sqrt(variance)
    return ActivationRange(mean - reach, mean + reach, mean, mean**2 + variance)


_NORMAL_SHARE = np.vectorize(NormalDist().cdf)
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "gelu": lambda x: x * _NORMAL_SHARE(x),
}
_QUANTILES = np.array([NormalDist().inv_cdf((i + 0.5) / 255) for i in range(255)])


@lru_cache(maxsize=4096)
def after_activation(kind: str, before: ActivationRange) -> ActivationRange:
    """The values of ``before``, taken as normal, through an activation."""
    if kind == "linear":
        return before
    function = _FUNCTIONS[kind]
    values = function(before.mean + math.sqrt(before.variance) * _QUANTILES)
    reached = function(np.linspace(before.low, before.high, 255))
    return ActivationRange(float(reached.min()), float(reached.max()), float(values.mean()), float((values**2).mean()))


def after_sum(first: ActivationRange, second: ActivationRange) -> ActivationRange:
    """The sum of two independent tensors."""
    return normal(first.mean + second.mean, first.variance + second.variance)


def after_product(first: ActivationRange, second: ActivationRange) -> ActivationRange:
    """The product of two independent tensors."""
    corners = [a * b for a in (first.low, first.high) for b in (second.low, second.high)]
    return ActivationRange(min(corners), max(corners), first.mean * second.mean, first.power * second.power)


def after_square(before: ActivationRange) -> ActivationRange:
    """Every value times itself."""
    high = max(before.low**2, before.high**2)
    return ActivationRange(0.0, high, before.power, 3 * before.power**2)


def after_scaling(before: ActivationRange, factor: float) -> ActivationRange:
    """Every value times a positive factor."""
    return ActivationRange(before.low * factor, before.high * factor, before.mean * factor, before.power * factor**2)


def after_global_mean(before: ActivationRange, pixels: int) -> ActivationRange:
    """Means over ``pixels`` values each."""
    mean = normal(before.mean, before.variance * max(1 / pixels, min(1.0, _SHARED_VARIANCE)))
    return ActivationRange(max(mean.low, before.low), min(mean.high, before.high), mean.mean, mean.power)
