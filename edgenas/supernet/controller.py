"""TuNAS' controller (arXiv 2008.06120): one categorical per decision, moved by REINFORCE towards higher rewards.

Decisions are hierarchical: only those that are asked in an architecture count in its probability. Pure NumPy.

Costs are known of every architecture, and a regression says roughly how good one is. So the expected reward of many
architectures is moved along, and the few that were tried correct only what the regression got wrong: a control variate
as in Q-Prop (arXiv 1611.02247). The gradient's expectation stays that of REINFORCE, its noise is far smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgenas.search.models.encoding import marked_options, option_counts
from edgenas.spaces.errors import InputError, WorkError
from edgenas.supernet.quality_model import Floats, Population, QualityModel

#: Qualities in [0, 1] and architectures to rewards.
RewardFunction = Callable[[Floats, Population], Floats]

_BETA2 = 0.999
_EPSILON = 1e-8
_DRAWS = 2000


@dataclass(frozen=True)
class ControllerSettings:
    """Settings of a controller. The published ones, but for the learning rate, which was for 90 ImageNet epochs.

    Attributes:
        learning_rate: of Adam without momentum, after the delay.
        delay: share of the steps before it learns; warm-ups of the shared weights take as long.
        growth: the rate grows exponentially so many times between delay and end.
        baseline_momentum: of the moving average of rewards that a reward is compared with; zero-debiased.
        entropy: weight of the policy's entropy in what is maximised.
        samples: architectures that are compared in a step.
        expected: architectures of a step that count with the reward that is expected of them; 0: plain REINFORCE.
    """

    learning_rate: float = 0.02
    delay: float = 0.25
    growth: float = 10.0
    baseline_momentum: float = 0.95
    entropy: float = 0.0
    samples: int = 1
    expected: int = 256

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate must be above 0, found {self.learning_rate}")
        if not 0 <= self.delay < 1:
            raise InputError(f"delay must be at least 0 and below 1, found {self.delay}")
        if not self.growth >= 1:
            raise InputError(f"growth must be at least 1, found {self.growth}")
        if not 0 <= self.baseline_momentum < 1:
            raise InputError(f"baseline_momentum must be at least 0 and below 1, found {self.baseline_momentum}")
        if self.samples < 1:
            raise InputError(f"samples must be at least 1, found {self.samples}")
        if self.expected < 0:
            raise InputError(f"expected must be at least 0, found {self.expected}")

    def rate(self, progress: float) -> float:
        """The learning rate at a share of the steps: 0, then growing.

        >>> settings = ControllerSettings(learning_rate=1.0, delay=0.5, growth=100.0)
        >>> [round(settings.rate(progress), 1) for progress in (0.0, 0.49, 0.5, 0.75, 1.0)]
        [0.0, 0.0, 1.0, 10.0, 100.0]
        """
        if progress < self.delay:
            return 0.0
        return float(self.learning_rate * self.growth ** ((progress - self.delay) / (1.0 - self.delay)))


class Controller:
    """The policy and its optimizer.

    Attributes:
        steps: updates so far, those during the delay included.
        logits: (decisions, options), 0 at first.
    """

    def __init__(self, space: Any, settings: ControllerSettings) -> None:
        self.space = space
        self.settings = settings
        self.counts = np.array(option_counts(space))
        self._exists = np.arange(self.counts.max())[None, :] < self.counts[:, None]
        self.steps = 0
        self.logits: Floats = np.zeros(self._exists.shape)
        self._square: Floats = np.zeros(self._exists.shape)
        self._updates = 0
        self._total = self._weight = 0.0
        self.model = QualityModel(space)

    @property
    def probabilities(self) -> Floats:
        """(decisions, options); 0 for options that do not exist."""
        weights = np.where(self._exists, np.exp(self.logits - self.logits.max(axis=1, keepdims=True)), 0.0)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    @property
    def entropy(self) -> float:
        """Of all decisions together, in nats, as if each were asked."""
        found = self.probabilities
        return float(-(found * np.log(np.maximum(found, 1e-12))).sum())

    @property
    def baseline(self) -> float:
        """The moving average of rewards, less what was expected of them; NaN before the first."""
        return self._total / self._weight if self._weight else float("nan")

    def sample(self, rng: np.random.Generator, count: int) -> Population:
        """(count, decisions) architectures drawn from the policy."""
        draws = rng.random((count, len(self.counts), 1))
        rows = np.minimum((draws > np.cumsum(self.probabilities, axis=1)).sum(axis=2), self.counts - 1)
        return self._canonical(rows.astype(np.int16))

    def best(self) -> Population:
        """(decisions,) the most probable option of every decision."""
        return self._canonical(self.probabilities.argmax(axis=1).astype(np.int16)[None])[0]

    def best_within(
        self, allowed: Callable[[Population], npt.NDArray[np.bool_]], rng: np.random.Generator
    ) -> Population:
        """(decisions,) the architecture that is expected to be best among those near the policy's that are allowed.

        Tried are the most probable one, all that differ from it in one decision, and many drawn from the policy; random
        ones if none of these is allowed.
        ``allowed`` tells of (N, decisions) which are. Raises WorkError when none is.
        """
        best = self.best()
        near = np.concatenate([best[None], self._neighbours(best)])
        rows = np.unique(np.concatenate([near, self.sample(rng, _DRAWS)]), axis=0)
        found = rows[allowed(rows)]
        if not len(found):
            rows = self.space.sample(rng, _DRAWS)
            found = rows[allowed(rows)]
        if not len(found):
            raise WorkError(f"none of {_DRAWS} random architectures is within the budget")
        if self.model.knows_anything:
            worth = self.model.predict(found)
        else:
            worth = np.log(self.probabilities[np.arange(len(best)), found] + 1e-12).sum(axis=1)
        return np.asarray(found[worth.argmax()])

    def most_rewarding(
        self,
        reward: RewardFunction,
        rng: np.random.Generator,
        allowed: Callable[[Population], npt.NDArray[np.bool_]] = lambda rows: np.ones(len(rows), bool),
    ) -> Population:
        """(decisions,) the architecture with the highest reward that is expected, near those that the policy draws.

        Options that are most probable one by one need not fit together: after few steps, their cost may be far from
        what the policy costs on average. Costs are known of every architecture, so the end of a search is decided on
        whole ones: the best of many drawn ones, then changed decision by decision as long as that is expected to help.

        Args:
            reward: what qualities come to with the costs of architectures.
            rng: draws architectures.
            allowed: of (N, decisions), which may be taken; all by default.

        Raises WorkError when none of those drawn, nor of as many random ones, is allowed.
        """

        def worth(rows: Population) -> Floats:
            known = self.model.knows_anything
            return reward(self.model.predict(rows) if known else np.full(len(rows), 0.5), rows)

        drawn = np.concatenate([self.best()[None], self.sample(rng, _DRAWS)])
        rows = drawn[allowed(drawn)]
        if not len(rows):
            rows = self.space.sample(rng, _DRAWS)
            rows = rows[allowed(rows)]
        if not len(rows):
            raise WorkError(f"none of {_DRAWS} random architectures is within the budget")
        found = worth(rows)
        best, highest = rows[int(found.argmax())], float(found.max())
        while True:
            near = self._neighbours(best)
            near = near[allowed(near)]
            found = worth(near) if len(near) else np.array([-np.inf])
            if not found.max() > highest:
                return np.asarray(best)
            best, highest = near[int(found.argmax())], float(found.max())

    def _neighbours(self, row: Population) -> Population:
        """(N, decisions) all that differ from a row in one decision."""
        changed = [np.where(np.arange(len(row)) == place, option, row)
                   for place, count in enumerate(self.counts) for option in range(count)]  # fmt: skip
        return self._canonical(np.array(changed, np.int16))

    def learn(
        self, rows: Population, qualities: Floats, reward: RewardFunction, progress: float, rng: np.random.Generator
    ) -> Floats:
        """One step on the qualities of some architectures, whose rewards are returned.

        Args:
            rows: (N, decisions) drawn from the policy.
            qualities: (N,) what was found of them.
            reward: what qualities come to with the costs of architectures.
            progress: share of all steps that are done.
            rng: draws the architectures that count with expected rewards.
        """
        rewards = reward(qualities, rows)
        rate, gradient = self.settings.rate(progress), np.zeros(self.logits.shape)
        surprise = rewards
        if self.settings.expected and self.model.knows_anything:
            drawn = self.sample(rng, self.settings.expected)
            expected = reward(self.model.predict(drawn), drawn)
            gradient += self._gradient(drawn, expected - expected.mean())
            surprise = rewards - reward(self.model.predict(rows), rows)
        elif self.settings.expected:
            surprise = rewards - rewards.mean()
        baseline = self.baseline if self._weight else float(surprise.mean())
        gradient += self._gradient(rows, surprise - baseline)
        self._move(gradient, rate, float(surprise.mean()))
        self.model.learn(rows, qualities)
        return rewards

    def _gradient(self, rows: Population, advantages: Floats) -> Floats:
        """Mean of advantages times the gradients of log-probabilities."""
        marked = marked_options(self.space, self.counts.tolist(), rows)
        chosen = ((marked[:, :, None] == np.arange(self._exists.shape[1])) & self._exists).astype(np.float64)
        asked = chosen.sum(axis=2)
        found = np.tensordot(advantages, chosen, 1) - (advantages @ asked)[:, None] * self.probabilities
        return np.asarray(found / len(rows))

    def _move(self, gradient: Floats, rate: float, surprise: float) -> None:
        """Adam without momentum, and the moving average that the next step's rewards are compared with."""
        momentum, entropy = self.settings.baseline_momentum, self.settings.entropy
        logits, square, updates = self.logits, self._square, self._updates
        if rate:
            if entropy:
                probabilities = self.probabilities
                logarithm = np.log(np.maximum(probabilities, 1e-12))
                mean = (probabilities * logarithm).sum(axis=1, keepdims=True)
                gradient = gradient - entropy * probabilities * (logarithm - mean)
            updates += 1
            square = _BETA2 * square + (1 - _BETA2) * gradient**2
            logits = logits + rate * gradient / (np.sqrt(square / (1 - _BETA2**updates)) + _EPSILON)
        total = momentum * self._total + (1 - momentum) * surprise
        weight = momentum * self._weight + (1 - momentum)
        # Together, so that an interruption leaves the state before or after the step.
        self.logits, self._square, self._updates, self._total, self._weight, self.steps = (
            logits,
            square,
            updates,
            total,
            weight,
            self.steps + 1,
        )

    def _canonical(self, rows: Population) -> Population:
        # A row crossed with itself is the row, with what its choices make inactive or forbid put right.
        return np.asarray(self.space.crossover(np.random.default_rng(0), rows, rows))

    # State ---------------------------------------------------------------------------------------------------------

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The whole state, for a checkpoint."""
        numbers = [self.steps, self._updates, self._total, self._weight]
        return {"logits": self.logits, "square": self._square, "numbers": np.array(numbers, np.float64)} | (
            self.model.to_arrays()
        )

    def set_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes over what :meth:`to_arrays` gave. Raises InputError when it is of another space."""
        if arrays["logits"].shape != self.logits.shape:
            raise InputError("the controller's state is of another space")
        self.logits, self._square = arrays["logits"].astype(np.float64), arrays["square"].astype(np.float64)
        self.model.set_arrays(arrays)
        steps, updates, self._total, self._weight = (float(number) for number in arrays["numbers"])
        self.steps, self._updates = int(steps), int(updates)
