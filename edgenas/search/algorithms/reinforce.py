"""REINFORCE (Williams 1992) as a multi-trial controller, set up as TuNAS' (arXiv 2008.06120, section 2).

Logits start at 0; the baseline is a zero-debiased moving average of the rewards; Adam has no momentum. Rewards are
divided by their standard deviation so far, so that one learning rate fits any unit.
"""

from __future__ import annotations

from edgenas.search.algorithm import register_algorithm
from edgenas.search.algorithms.policy import Adam, Batch, Floats, PolicyGradient


@register_algorithm("reinforce")
class Reinforce(PolicyGradient):
    """One gradient step on the mean of advantage * log probability for every batch."""

    def learn(self, logits: Floats, batch: Batch, adam: Adam) -> Floats:
        probabilities = self.probabilities(logits)
        gradient = batch.score(batch.advantages, probabilities)
        return logits + adam.step(gradient + self.options.entropy * self.entropy_gradient(probabilities))
