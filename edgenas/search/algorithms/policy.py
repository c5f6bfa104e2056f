"""A policy over architectures: one independent categorical per decision, learnt from finished trials in batches.

The base of the policy-gradient algorithms. Its state is a fold over the finished trials by number, so it is computed
from them at every suggestion. Only decisions that are active in an architecture count in its probability.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edgenas.search.algorithm import Algorithm
from edgenas.search.models.encoding import marked_options, option_counts
from edgenas.search.problem import Population, Problem
from edgenas.search.sampling import random_feasible, unseen
from edgenas.spaces.errors import InputError

Floats = npt.NDArray[np.float64]

DRAWS = (64, 1024)
"""Sizes of the populations drawn from the policy, one after the other, until one holds a new feasible architecture."""


@dataclass(frozen=True)
class PolicyOptions:
    """Settings of a controller.

    ``batch``: finished trials per update; None: a fiftieth of all trials, between 4 and 64.
    ``learning_rate``: of Adam (no momentum) on the logits.
    ``entropy``: weight of the entropy bonus. ``baseline_momentum``: of the mean reward that rewards are compared with.
    """

    batch: int | None = None
    learning_rate: float = 0.1
    entropy: float = 0.01
    baseline_momentum: float = 0.9

    def __post_init__(self) -> None:
        if self.batch is not None and self.batch < 1:
            raise InputError(f"batch must be at least 1, found {self.batch}")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate must be above 0, found {self.learning_rate}")
        if not 0 <= self.baseline_momentum < 1:
            raise InputError(f"baseline_momentum must be at least 0 and below 1, found {self.baseline_momentum}")


@dataclass(frozen=True)
class Batch:
    """Finished trials for one update.

    Attributes:
        chosen: (N, decisions, options) one-hot choices; all zeros for inactive decisions.
        advantages: (N,) standardised.
    """

    chosen: Floats
    advantages: Floats

    def log_probability(self, probabilities: Floats) -> Floats:
        """(N,) of the trials, under (decisions, options) probabilities."""
        logarithm = np.log(np.maximum(probabilities, 1e-12))
        return np.asarray(self.chosen.reshape(len(self.chosen), -1) @ logarithm.ravel())

    def score(self, weights: Floats, probabilities: Floats) -> Floats:
        """(decisions, options) mean over the trials of a weight times the gradient of the log probability."""
        chosen = (weights @ self.chosen.reshape(len(self.chosen), -1)).reshape(probabilities.shape)
        return np.asarray((chosen - chosen.sum(axis=1, keepdims=True) * probabilities) / len(self.chosen))


class PolicyGradient(Algorithm):
    """Base of controllers; subclasses say how a batch changes the logits."""

    Options = PolicyOptions

    def __init__(self, problem: Problem, seed: int, options: PolicyOptions | None = None) -> None:
        super().__init__(problem, seed, options)
        self._counts = np.array(option_counts(problem.space))
        self._exists = np.arange(self._counts.max())[None, :] < self._counts[:, None]
        self._learnt = self._nothing_learnt()

    @property
    def batch_size(self) -> int:
        """Finished trials per update."""
        return self.options.batch or min(max(self.problem.trials // 50, 4), 64)

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
        finished = np.flatnonzero(~self.history.pending)
        rewards = self.history.rewards[finished]
        if not self._learnt.is_prefix_of(finished, rewards):
            self._learnt = self._nothing_learnt()
        size = self.batch_size
        for start in range(len(self._learnt.finished), len(finished) - size + 1, size):
            self._learn_batch(finished[: start + size], rewards[: start + size])
        return self._learnt.logits

    def _nothing_learnt(self) -> _Learnt:
        return _Learnt(np.zeros(self._exists.shape), Adam(self.options.learning_rate))

    def _learn_batch(self, finished: npt.NDArray[np.intp], rewards: Floats) -> None:
        """Learns from the newest of these trials. Failed trials count as the worst reward so far."""
        learnt, size = self._learnt, self.batch_size
        learnt.finished, learnt.rewards = finished, rewards
        known = rewards[np.isfinite(rewards)]
        if not len(known):
            return
        scores = np.where(np.isfinite(rewards[-size:]), rewards[-size:], known.min())
        momentum = self.options.baseline_momentum
        learnt.total = momentum * learnt.total + (1 - momentum) * float(scores.mean())
        learnt.weight = momentum * learnt.weight + (1 - momentum)
        advantages = (scores - learnt.total / learnt.weight) / max(float(known.std()), 1e-12)
        marked = marked_options(self.problem.space, self._counts.tolist(), self.history.population[finished[-size:]])
        chosen = (marked[:, :, None] == np.arange(self._exists.shape[1])) & self._exists
        learnt.logits = self.learn(learnt.logits, Batch(chosen.astype(np.float64), advantages), learnt.adam)

    def entropy_gradient(self, probabilities: Floats) -> Floats:
        """Gradient of the policy's entropy by its logits."""
        logarithm = np.log(np.maximum(probabilities, 1e-12))
        expected = (probabilities * logarithm).sum(axis=1, keepdims=True)
        return -probabilities * (logarithm - expected)


class Adam:
    """Adam without momentum (beta1 = 0, beta2 = 0.999), ascending."""

    def __init__(self, learning_rate: float) -> None:
        self._square: Floats = np.zeros(1)
        self._steps = 0
        self._learning_rate = learning_rate

    def step(self, gradient: Floats) -> Floats:
        """What to add to the parameters."""
        self._steps += 1
        self._square = 0.999 * self._square + 0.001 * gradient**2
        corrected = self._square / (1 - 0.999**self._steps)
        return np.asarray(self._learning_rate * gradient / (np.sqrt(corrected) + 1e-8))


@dataclass
class _Learnt:
    """The policy after the trials at these places of the history, which finished with these rewards (NaN: failed).

    A memo: from the same trials the same follows. ``total`` and ``weight`` are the moving average of the rewards.
    """

    logits: Floats
    adam: Adam
    finished: npt.NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))
    rewards: Floats = field(default_factory=lambda: np.zeros(0))
    total: float = 0.0
    weight: float = 0.0

    def is_prefix_of(self, finished: npt.NDArray[np.intp], rewards: Floats) -> bool:
        """Whether these trials begin with those that were learnt from."""
        count = len(self.finished)
        return np.array_equal(self.finished, finished[:count]) and np.array_equal(
            self.rewards, rewards[:count], equal_nan=True
        )
