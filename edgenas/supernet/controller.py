"""TuNAS' controller (arXiv 2008.06120): one categorical per decision, moved by REINFORCE towards higher rewards.

Decisions are hierarchical: only those that are asked in an architecture count in its probability. Pure NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgenas.search.models.encoding import marked_options, option_counts
from edgenas.spaces.errors import InputError

Floats = npt.NDArray[np.float64]
Population = npt.NDArray[np.int16]

_BETA2 = 0.999
_EPSILON = 1e-8


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
    """

    learning_rate: float = 0.02
    delay: float = 0.25
    growth: float = 10.0
    baseline_momentum: float = 0.95
    entropy: float = 0.0
    samples: int = 1

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

    def rate(self, progress: float) -> float:
        """The learning rate at a share of the steps: 0, then growing.

        >>> settings = ControllerSettings(learning_rate=1.0, delay=0.5, growth=100.0)
        >>> [round(settings.rate(progress), 1) for progress in (0.0, 0.49, 0.5, 0.75, 1.0)]
        [0.0, 0.0, 1.0, 10.0, 100.0]
        """
        if progress < self.delay:
            return 0.0
        return float(self.learning_rate * self.growth ** ((progress - self.delay) / (1.0 - self.delay)))


class ControlledSpace(Protocol):
    """What a controller needs of a space."""

    def crossover(self, rng: np.random.Generator, first: Population, second: Population) -> Population: ...

    def one_hot(self, population: Population) -> npt.NDArray[np.float32]: ...


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
        """The moving average of rewards; NaN before the first."""
        return self._total / self._weight if self._weight else float("nan")

    def sample(self, rng: np.random.Generator, count: int) -> Population:
        """(count, decisions) architectures drawn from the policy."""
        draws = rng.random((count, len(self.counts), 1))
        rows = np.minimum((draws > np.cumsum(self.probabilities, axis=1)).sum(axis=2), self.counts - 1)
        return self._canonical(rows.astype(np.int16))

    def best(self) -> Population:
        """(decisions,) the most probable option of every decision."""
        return self._canonical(self.probabilities.argmax(axis=1).astype(np.int16)[None])[0]

    def learn(self, rows: Population, rewards: Floats, progress: float) -> None:
        """One step on the rewards of some architectures; ``progress`` is the share of all steps that are done."""
        settings = self.settings
        momentum = settings.baseline_momentum
        total, weight = self._total, self._weight
        advantages = rewards - (total / weight if weight else rewards.mean())
        total = momentum * total + (1 - momentum) * float(rewards.mean())
        weight = momentum * weight + (1 - momentum)
        rate = settings.rate(progress)
        logits, square, updates = self.logits, self._square, self._updates
        if rate:
            probabilities = self.probabilities
            marked = marked_options(self.space, self.counts.tolist(), rows)
            chosen = ((marked[:, :, None] == np.arange(self._exists.shape[1])) & self._exists).astype(np.float64)
            gradient = np.tensordot(advantages, chosen - chosen.sum(axis=2, keepdims=True) * probabilities, 1)
            gradient /= len(rows)
            if settings.entropy:
                logarithm = np.log(np.maximum(probabilities, 1e-12))
                expected = (probabilities * logarithm).sum(axis=1, keepdims=True)
                gradient -= settings.entropy * probabilities * (logarithm - expected)
            updates += 1
            square = _BETA2 * square + (1 - _BETA2) * gradient**2
            logits = logits + rate * gradient / (np.sqrt(square / (1 - _BETA2**updates)) + _EPSILON)
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
        return {"logits": self.logits, "square": self._square, "numbers": np.array(numbers, np.float64)}

    def set_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes over what :meth:`to_arrays` gave. Raises InputError when it is of another space."""
        if arrays["logits"].shape != self.logits.shape:
            raise InputError("the controller's state is of another space")
        self.logits, self._square = arrays["logits"].astype(np.float64), arrays["square"].astype(np.float64)
        steps, updates, self._total, self._weight = (float(number) for number in arrays["numbers"])
        self.steps, self._updates = int(steps), int(updates)
