"""Proximal policy optimisation (arXiv 1707.06347) as a multi-trial controller.

Each batch is used for several steps, as long as the probability of an architecture stays within a factor of what it
was when the batch began.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgenas.search.algorithm import register_algorithm
from edgenas.search.algorithms.policy import Adam, Batch, Floats, PolicyGradient, PolicyOptions
from edgenas.spaces.errors import InputError


@dataclass(frozen=True)
class PPOOptions(PolicyOptions):
    """Settings of a controller, and: ``epochs`` steps per batch; ``clip``, by how much the ratio may change."""

    epochs: int = 4
    clip: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs < 1:
            raise InputError(f"epochs must be at least 1, found {self.epochs}")
        if not 0 < self.clip < 1:
            raise InputError(f"clip must be between 0 and 1, found {self.clip}")


@register_algorithm("ppo")
class PPO(PolicyGradient):
    """The clipped surrogate objective with an entropy bonus."""

    Options = PPOOptions

    def learn(self, logits: Floats, batch: Batch, adam: Adam) -> Floats:
        before = batch.log_probability(self.probabilities(logits))
        for _ in range(self.options.epochs):
            probabilities = self.probabilities(logits)
            ratio = np.exp(batch.log_probability(probabilities) - before)
            clipped = np.where(batch.advantages > 0, ratio > 1 + self.options.clip, ratio < 1 - self.options.clip)
            weights = np.where(clipped, 0.0, ratio * batch.advantages)
            gradient = batch.score(weights, probabilities)
            logits = logits + adam.step(gradient + self.options.entropy * self.entropy_gradient(probabilities))
        return logits
