"""A Gaussian process over architectures that learns which decisions matter and whether their order means anything.

The kernel is a product over decisions d of factors (1 + rho_d k_d) / (1 + rho_d). Multiplied out, that holds the main
effect of every decision and every interaction between them, each weighted by the product of its relevances rho: small
ones make an additive model, large ones a local one. The correlation of two options,

    k_d(i, j) = (1 - alpha_d) exp(-(i - j)^2 / (2 l_d^2)) + alpha_d [i = j]        (i, j scaled to [0, 1])

lies between a smooth function of their order (alpha 0) and plain categories (alpha 1). An inactive decision is one
option more, which is like no other. All of it is found from the trials by maximising the posterior density of the
hyper-parameters (log-normal priors), with exact gradients.

What the model does not explain, the nugget, belongs to the architecture: evaluating it is how to learn it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Options = npt.NDArray[np.intp]

CONSTANT = 0.25
"""Prior variance of the mean of standardised rewards."""
PRIOR_MEAN = {"relevance": 0.0, "length": float(np.log(0.7)), "categorical": -1.0, "amplitude": 0.0, "nugget": -2.3}
PRIOR_SCALE = {"relevance": 1.2, "length": 0.7, "categorical": 1.5, "amplitude": 1.0, "nugget": 1.2}
FIRST_STEP, LARGEST_STEP, SMALLEST_STEP = 0.15, 0.6, 1e-3


@dataclass(frozen=True)
class Posterior:
    """Mean and variance at some architectures. ``variance`` is that of the explained part, without the nugget."""

    mean: Floats
    variance: Floats


class CategoricalKernel:
    """The kernel for decisions with these numbers of options; hyper-parameters are one vector of logarithms.

    Its layout: relevance, length and (as a logit) categorical share of every decision, then amplitude and nugget.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self.decisions = len(counts)
        self.width = max(counts, default=1) + 1
        places = np.arange(self.width)
        scale = np.maximum(np.asarray(counts) - 1, 1)[:, None, None]
        distance = np.abs(places[:, None] - places[None, :]) / scale
        inactive = places[None, :] >= np.asarray(counts)[:, None]
        # An inactive decision is infinitely far from every option, and is itself.
        apart = inactive[:, :, None] ^ inactive[:, None, :]
        self._distance = np.where(apart, 1e3, distance)
        self._same = np.broadcast_to(np.eye(self.width), distance.shape)
        self.prior_mean = self._layout(PRIOR_MEAN)
        self.prior_scale = self._layout(PRIOR_SCALE)

    def _layout(self, values: dict[str, float]) -> Floats:
        each = [np.full(self.decisions, values[name]) for name in ("relevance", "length", "categorical")]
        return np.concatenate([*each, [values["amplitude"], values["nugget"]]])

    def one_hot(self, options: Options) -> Floats:
        """(N, decisions * width) columns, padded to the largest number of options."""
        encoded = np.zeros((len(options), self.decisions * self.width))
        columns = np.arange(self.decisions) * self.width + options
        encoded[np.arange(len(options))[:, None], columns] = 1
        return encoded

    def log_factors(self, parameters: Floats) -> Floats:
        """(decisions, width, width) logarithms of the factors of the kernel."""
        relevance, length, categorical = self._unpack(parameters)
        correlation = self._correlation(length, categorical)
        factors: Floats = np.log1p(relevance * correlation) - np.log1p(relevance)
        return factors

    def _unpack(self, parameters: Floats) -> tuple[Floats, Floats, Floats]:
        relevance, length, categorical = parameters[:-2].reshape(3, self.decisions, 1, 1)
        return np.exp(relevance), np.exp(length), 1 / (1 + np.exp(-categorical))

    def _correlation(self, length: Floats, categorical: Floats) -> Floats:
        smooth = np.exp(-0.5 * (self._distance / length) ** 2)
        return (1 - categorical) * smooth + categorical * self._same

    def covariance(
        self, factors: Floats, log_amplitude: float, first: Options, second: npt.NDArray[Any]
    ) -> npt.NDArray[Any]:
        """(N, M) covariance of architectures given as options with others given as one-hot columns."""
        rows = factors.astype(second.dtype)[np.arange(self.decisions), first].reshape(len(first), -1)
        logarithms = rows @ second.T
        logarithms += log_amplitude
        np.exp(logarithms, out=logarithms)
        logarithms += CONSTANT
        return logarithms

    def loss(self, parameters: Floats, options: Options, encoded: Floats, targets: Floats) -> tuple[float, Floats]:
        """Negative log posterior density of the hyper-parameters up to a constant, and its gradient."""
        count, log_amplitude, nugget = len(targets), float(parameters[-2]), float(np.exp(parameters[-1]))
        explained = self.covariance(self.log_factors(parameters), log_amplitude, options, encoded)
        covariance = explained + nugget * np.eye(count)
        try:
            factor = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            return np.inf, np.zeros_like(parameters)
        inverse = np.linalg.inv(covariance)
        weights = inverse @ targets
        standard = (parameters - self.prior_mean) / self.prior_scale
        loss = 0.5 * targets @ weights + np.log(np.diag(factor)).sum() + 0.5 * (standard**2).sum()
        sensitivity = 0.5 * (inverse - np.outer(weights, weights))
        scaled = sensitivity * (explained - CONSTANT)
        gradient = np.empty_like(parameters)
        gradient[:-2] = self._factor_gradient(parameters, encoded, scaled)
        gradient[-2] = scaled.sum()
        gradient[-1] = nugget * np.trace(sensitivity)
        return float(loss), gradient + standard / self.prior_scale

    def _factor_gradient(self, parameters: Floats, encoded: Floats, scaled: Floats) -> Floats:
        """Derivatives by relevance, length and categorical share of every decision."""
        shape = (len(encoded), self.decisions, self.width)
        spread = (scaled @ encoded).reshape(shape).transpose(1, 0, 2)
        # (decisions, width, width): derivative of the loss by each log factor.
        by_factor = encoded.reshape(shape).transpose(1, 2, 0) @ spread
        relevance, length, categorical = self._unpack(parameters)
        ratio = self._distance / length
        smooth = np.exp(-0.5 * ratio**2)
        correlation = (1 - categorical) * smooth + categorical * self._same
        common = by_factor * relevance / (1 + relevance * correlation)
        by_relevance = common * correlation - by_factor * relevance / (1 + relevance)
        by_length = common * (1 - categorical) * smooth * ratio**2
        by_categorical = common * (self._same - smooth) * categorical * (1 - categorical)
        return np.concatenate([part.sum(axis=(1, 2)) for part in (by_relevance, by_length, by_categorical)])


def fit(kernel: CategoricalKernel, options: Options, targets: Floats, start: Floats, iterations: int) -> Floats:
    """Hyper-parameters with the highest posterior density that ``iterations`` steps of Rprop from ``start`` find."""
    encoded = kernel.one_hot(options)
    parameters, best, best_loss = start.copy(), start, np.inf
    step = np.full(len(start), FIRST_STEP)
    before = np.zeros(len(start))
    for _ in range(iterations):
        loss, gradient = kernel.loss(parameters, options, encoded, targets)
        if loss < best_loss:
            best, best_loss = parameters.copy(), loss
        if not np.isfinite(loss):
            parameters, step, before = best.copy(), step / 2, np.zeros(len(start))
            continue
        sign = np.sign(gradient)
        agreement = sign * before
        step = np.where(agreement > 0, step * 1.3, np.where(agreement < 0, step * 0.5, step))
        step = np.clip(step, SMALLEST_STEP, LARGEST_STEP)
        before = np.where(agreement < 0, 0.0, sign)
        parameters = parameters - before * step
    return best


class GaussianProcess:
    """The process with fixed hyper-parameters, conditioned on architectures with known values.

    Args:
        kernel: for the decisions of the space.
        parameters: hyper-parameters of the kernel.
        options: (N, decisions) architectures.
        targets: (M,) values of the first M of them. The others count as evaluated, with the values expected of them:
            they leave the mean as it is and lower the variance around them.
    """

    def __init__(self, kernel: CategoricalKernel, parameters: Floats, options: Options, targets: Floats) -> None:
        self._kernel = kernel
        self.nugget = float(np.exp(parameters[-1]))
        self._log_amplitude = float(parameters[-2])
        self._factors = kernel.log_factors(parameters)
        self._encoded = kernel.one_hot(options)
        self._valued = len(targets)
        covariance = kernel.covariance(self._factors, self._log_amplitude, options, self._encoded)
        factor = np.linalg.cholesky(covariance + (self.nugget + 1e-8) * np.eye(len(options)))
        whiten = np.linalg.inv(factor)
        # A lower triangle: its leading block whitens the first architectures alone.
        leading = whiten[: self._valued, : self._valued]
        self._weights = leading.T @ (leading @ targets)
        self._fast = self._encoded.astype(np.float32), whiten.astype(np.float32)

    def predict(self, options: Options) -> Posterior:
        """The posterior at (M, decisions) architectures; single precision, which is far below the nugget."""
        encoded, whiten = self._fast
        covariance = self._kernel.covariance(self._factors, self._log_amplitude, options, encoded)
        mean = covariance[:, : self._valued].astype(np.float64) @ self._weights
        reduction = np.square(covariance @ whiten.T).sum(axis=1)
        variance = np.exp(self._log_amplitude) + CONSTANT - reduction.astype(np.float64)
        return Posterior(mean, np.maximum(variance, 1e-9))
