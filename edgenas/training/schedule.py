"""What changes in the course of a training: the learning rate by step, the augmentation by epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from edgenas.data.augmentation import Augmentation
from edgenas.training.settings import TrainingSettings


class Schedule(Protocol):
    """How a training goes. A task's augmentation may change the size of images too: each size is traced once."""

    def learning_rate(self, step: int, steps: int) -> float:
        """Of step 0, 1, ..., ``steps - 1``."""
        ...

    def augmentation(self, epoch: int, epochs: int) -> Augmentation:
        """Of epoch 0, 1, ..., ``epochs - 1``."""
        ...

    def dropout_share(self, epoch: int, epochs: int) -> float:
        """What the network's rates of dropout are multiplied by in an epoch."""
        ...


@dataclass(frozen=True)
class CosineSchedule:
    """The rate of :func:`learning_rate`, and the same augmentation all along."""

    settings: TrainingSettings

    def learning_rate(self, step: int, steps: int) -> float:
        return learning_rate(self.settings, step, steps)

    def augmentation(self, epoch: int, epochs: int) -> Augmentation:
        return self.settings.augmentation

    def dropout_share(self, epoch: int, epochs: int) -> float:
        return 1.0


def learning_rate(settings: TrainingSettings, step: int, steps: int) -> float:
    """The rate of step 0, 1, ..., ``steps - 1``: a linear warm-up, then half a cosine (arXiv 1608.03983).

    >>> settings = TrainingSettings(learning_rate=1.0, warmup=0.2)
    >>> [round(learning_rate(settings, step, 10), 3) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.038]
    """
    warmup_steps = round(settings.warmup * steps)
    if step < warmup_steps:
        return settings.learning_rate * (step + 1) / warmup_steps
    share = (step - warmup_steps) / max(1, steps - warmup_steps)
    low = settings.final_learning_rate
    return low + (settings.learning_rate - low) * 0.5 * (1 + math.cos(math.pi * share))


def average_decay(limit: float, step: int) -> float:
    """Decay of a moving average at a step: ``limit``, but less at first, so that the start is soon forgotten.

    >>> [round(average_decay(0.99, step), 3) for step in (0, 10, 10_000)]
    [0.1, 0.55, 0.99]
    """
    return min(limit, (1 + step) / (10 + step))
