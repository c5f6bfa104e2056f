"""A policy over architectures: one independent categorical per decision, learnt from finished trials in batches.

The base of the policy-gradient algorithms. Its state is a fold over the finished trials by number, so it is computed
from them at every suggestion. Only decisions that are active in an architecture count in its probability.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgenas.search.algorithm import Algorithm
from edgenas.search.encoding import marked_options, option_counts
from edgenas.search.problem import Population, Problem
from edgenas.search.sampling import random_feasible, unseen
from spaces.errors import InputError

Floats = npt.NDArray[np.float64]

DRAWS = (64, 1024)
"""Sizes of the populations drawn from the policy, one after the other, until one holds a new feasible architecture."""


@dataclass(frozen=True)
class PolicyOptions:
    """Settings of a controller.

    ``batch``: finished trials per update. ``learning_rate``: of Adam (no momentum) on the logits.
    ``entropy``: weight of the entropy bonus. ``baseline_momentum``: of the mean reward that rewards are compared with.
    """

    batch: int = 4
    learning_rate: float = 0.1
    entropy: float = 0.01
    baseline_momentum: float = 0.9

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise InputError(f"batch must be at least 1, found {self.batch}")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate must be above 0, found {self.learning_rate}")
        if not 0 <= self.baseline_momentum < 1:
            raise InputError(f"baseline_momentum must be at least 0 and below 1, found {self.baseline_momentum}")


@dataclass(frozen=True)
class Batch:
    """Finished trials for one update: (N, decisions, options) one-hot choices and (N,) standardised advantages."""

    chosen: Floats
    advantages: Floats


class PolicyGradient(Algorithm):
    """Base of controllers; subclasses say how a batch changes the logits."""

    Options = PolicyOptions

    def __init__(self, problem: Problem, seed: int, options: PolicyOptions | None = None) -> None:
        super().__init__(problem, seed, options)
        self._counts = np.array(option_counts(problem.space))
        self._exists = np.arange(self._counts.max())[None, :] < self._counts[:, None]

    @abstractmethod
    def learn(self, logits: Floats, batch: Batch, adam: Adam) -> Floats:
        """The (decisions, options) logits after a batch."""

    def propose(self, rng: np.random.Generator) -> Population | None:
        probabilities = self.probabilities(self.logits())
        cumulative = np.cumsum(probabilities, axis=1)
        for count in DRAWS:
            draws = rng.random((count, len(self._counts), 1))
            rows = np.minimum((draws > cumulative).sum(axis=2), self._counts - 1).astype(np.int16)
            # A row crossed with itself is the row, with what its choices make inactive or forbid put right.
            rows = self.problem.space.crossover(rng, rows, rows)
            found = unseen(self.problem, rows, self.seen, 1)
            if found:
                return found[0]
        rows = random_feasible(self.problem, rng, self.seen)
        return rows[0] if len(rows) else None

    def probabilities(self, logits: Floats) -> Floats:
        """(decisions, options) probabilities; 0 for options that do not exist."""
        weights = np.where(self._exists, np.exp(logits - logits.max(axis=1, keepdims=True)), 0.0)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def logits(self) -> Floats:
        """The logits after all full batches of finished trials, starting at 0."""
        logits = np.zeros(self._exists.shape)
        adam = Adam(logits.shape, self.options.learning_rate)
        for batch in self._batches():
            logits = self.learn(logits, batch, adam)
        return logits

    def entropy_gradient(self, probabilities: Floats) -> Floats:
        """Gradient of the policy's entropy by its logits."""
        logarithm = np.log(np.maximum(probabilities, 1e-12))
        expected = (probabilities * logarithm).sum(axis=1, keepdims=True)
        return -probabilities * (logarithm - expected)

    def _batches(self) -> Iterator[Batch]:
        """Failed trials count as the worst reward so far."""
        size = self.options.batch
        finished = [trial for trial in self.trials if trial.state != "pending"]
        scores = np.array([trial.score for trial in finished], np.float64)
        count = len(finished) // size * size
        if not count or not np.isfinite(scores).any():
            return
        scores = np.where(np.isfinite(scores), scores, scores[np.isfinite(scores)].min())
        population = np.array([trial.choices for trial in finished[:count]], np.int16)
        marked = marked_options(self.problem.space, self._counts.tolist(), population)
        chosen = (marked[:, :, None] == np.arange(self._exists.shape[1])).astype(np.float64)
        chosen *= self._exists
        momentum, total, weight = self.options.baseline_momentum, 0.0, 0.0
        for start in range(0, count, size):
            rewards = scores[start : start + size]
            spread = max(float(scores[: start + size].std()), 1e-12)
            total = momentum * total + (1 - momentum) * float(rewards.mean())
            weight = momentum * weight + (1 - momentum)
            yield Batch(chosen[start : start + size], (rewards - total / weight) / spread)


class Adam:
    """Adam without momentum (beta1 = 0, beta2 = 0.999), ascending."""

    def __init__(self, shape: tuple[int, ...], learning_rate: float) -> None:
        self._square = np.zeros(shape)
        self._steps = 0
        self._learning_rate = learning_rate

    def step(self, gradient: Floats) -> Floats:
        """What to add to the parameters."""
        self._steps += 1
        self._square = 0.999 * self._square + 0.001 * gradient**2
        corrected = self._square / (1 - 0.999**self._steps)
        return np.asarray(self._learning_rate * gradient / (np.sqrt(corrected) + 1e-8))
