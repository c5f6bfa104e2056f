"""The model of a search: a Gaussian process over the finished trials, of a size that keeps suggestions quick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgenas.search.history import History
from edgenas.search.models.encoding import marked_options
from edgenas.search.models.gaussian_process import CategoricalKernel, GaussianProcess, fit
from edgenas.search.models.warping import POWERS, warp
from edgenas.search.problem import Population, Space

Floats = npt.NDArray[np.float64]

FIT_SIZE = 96
"""Trials that hyper-parameters are found from, at most."""
MODEL_SIZE = 200
"""Trials that predictions are conditioned on, at most."""
FIT_GROWTH = 1.1
"""Hyper-parameters are found anew whenever the number of trials has grown by this factor."""
FIT_ITERATIONS = 24
LEAST_SUCCESS = 0.02
"""Probability of success below which the model does not go, as it may be wrong."""


@dataclass(frozen=True)
class RewardPosterior:
    """What the model expects of M architectures, in standardised rewards (the larger the better).

    Attributes:
        mean: (M,) expected value.
        deviation: (M,) standard deviation of what an evaluation would give.
        success: (M,) probability that the evaluation does not fail; 1 while none did.
        best: the best value so far.
    """

    mean: Floats
    deviation: Floats
    success: Floats
    best: float


@dataclass(frozen=True)
class _Fitted:
    key: bytes
    parameters: Floats
    power: float


@dataclass(frozen=True)
class _Success:
    key: bytes
    process: GaussianProcess
    rate: float
    spread: float

    def probability(self, options: npt.NDArray[np.intp]) -> Floats:
        return np.clip(self.rate + self.spread * self.process.predict(options).mean, LEAST_SUCCESS, 1.0)


class Surrogate:
    """Predicts rewards from trials. Keeps nothing but a memo: a new one predicts the same from the same trials."""

    def __init__(self, space: Space, counts: Sequence[int]) -> None:
        self._space = space
        self._counts = counts
        self._kernel = CategoricalKernel(counts)
        self._fitted: _Fitted | None = None
        self._successes: _Success | None = None

    def condition(self, history: History) -> Conditioned:
        """The model given these trials, at least two of which are complete. Pending ones count as if they had
        come out as expected, so that suggestions made at once differ.
        """
        rewards, population = history.rewards[history.has_reward], history.population[history.has_reward]
        fitted = self._fit(population, rewards)
        chosen = _representative(rewards, MODEL_SIZE)
        values = warp(rewards[chosen], fitted.power).values
        options = self._options(population[chosen])
        pending = history.population[history.pending][-MODEL_SIZE:]
        if len(pending):
            options = np.concatenate([options, self._options(pending)])
        process = GaussianProcess(self._kernel, fitted.parameters, options, values)
        return Conditioned(self, process, float(values.max()), self._success(history))

    def _success(self, history: History) -> _Success | None:
        """A model of which evaluations fail; None while none or all did."""
        finished = np.flatnonzero(~history.pending)
        finished = finished[: _scheduled(len(finished))]
        labels = history.has_reward[finished].astype(np.float64)
        if not len(labels) or labels.min() == labels.max():
            return None
        chosen = _representative(-labels, FIT_SIZE)
        population, labels = history.population[finished[chosen]], labels[chosen]
        key = population.tobytes() + labels.tobytes()
        if self._successes is None or self._successes.key != key:
            options = self._options(population)
            rate, spread = float(labels.mean()), float(labels.std())
            values = (labels - rate) / spread
            parameters = fit(self._kernel, options, values, self._kernel.prior_mean, FIT_ITERATIONS)
            process = GaussianProcess(self._kernel, parameters, options, values)
            self._successes = _Success(key, process, rate, spread)
        return self._successes

    def _options(self, population: Population) -> npt.NDArray[np.intp]:
        return marked_options(self._space, self._counts, population)

    def _fit(self, population: Population, rewards: Floats) -> _Fitted:
        """Hyper-parameters from the first trials, as many as the schedule of refitting has reached."""
        count = _scheduled(len(rewards))
        population, rewards = population[:count], rewards[:count]
        chosen = _representative(rewards, FIT_SIZE)
        population, rewards = population[chosen], rewards[chosen]
        key = population.tobytes() + rewards.tobytes()
        if self._fitted is None or self._fitted.key != key:
            self._fitted = self._search_parameters(key, self._options(population), rewards)
        return self._fitted

    def _search_parameters(self, key: bytes, options: npt.NDArray[np.intp], rewards: Floats) -> _Fitted:
        kernel, encoded = self._kernel, self._kernel.one_hot(options)
        middle = warp(rewards, POWERS[1])
        rough = fit(kernel, options, middle.values, kernel.prior_mean, FIT_ITERATIONS // 2)
        losses = []
        for power in POWERS:
            warped = warp(rewards, power)
            losses.append(kernel.loss(rough, options, encoded, warped.values)[0] - warped.log_jacobian)
        power = POWERS[int(np.argmin(losses))]
        parameters = fit(kernel, options, warp(rewards, power).values, rough, FIT_ITERATIONS // 2)
        return _Fitted(key, parameters, power)


class Conditioned:
    """A surrogate given the trials so far; made by :meth:`Surrogate.condition`."""

    def __init__(self, surrogate: Surrogate, process: GaussianProcess, best: float, success: _Success | None) -> None:
        self._surrogate = surrogate
        self._process = process
        self._best = best
        self._success = success

    def predict(self, population: Population) -> RewardPosterior:
        """The prediction for every row of a population."""
        options = self._surrogate._options(population)
        posterior = self._process.predict(options)
        deviation = np.sqrt(posterior.variance + self._process.nugget)
        success = np.ones(len(population)) if self._success is None else self._success.probability(options)
        return RewardPosterior(posterior.mean, deviation, success, self._best)


def _scheduled(count: int) -> int:
    """The largest number of the refitting schedule that is at most ``count``."""
    reached = 1
    while True:
        following = max(reached + 1, int(reached * FIT_GROWTH))
        if following > count:
            return min(reached, count)
        reached = following


def _representative(rewards: Floats, size: int) -> npt.NDArray[np.intp]:
    """Indices of all trials, or of ``size``: the better half of them the best ones, the rest evenly over all others."""
    if len(rewards) <= size:
        return np.arange(len(rewards))
    order = np.argsort(-rewards, kind="stable")
    half = size // 2
    others = order[half:][np.linspace(0, len(order) - half - 1, size - half).astype(np.intp)]
    return np.sort(np.concatenate([order[:half], others]))
