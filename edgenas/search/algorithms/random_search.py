"""Random search: the baseline that every other algorithm has to beat."""

from __future__ import annotations

import numpy as np

from edgenas.search.algorithm import Algorithm, register_algorithm
from edgenas.search.problem import Population
from edgenas.search.sampling import random_feasible


@register_algorithm("random")
class RandomSearch(Algorithm):
    """Independent random architectures within the budget, none twice."""

    def propose(self, rng: np.random.Generator) -> Population | None:
        rows = random_feasible(self.problem, rng, self.seen)
        return rows[0] if len(rows) else None
