"""Local search, arXiv 2005.02960: neighbours of the best, then of the next best once those are used up.

A neighbour differs by one mutation. That this simple method is hard to beat where training noise is small is the
paper's point, which makes it the second baseline after random search.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgenas.search.algorithm import Algorithm, register_algorithm
from edgenas.search.models.encoding import fresh_rows
from edgenas.search.problem import Population
from edgenas.search.sampling import random_feasible
from edgenas.spaces.errors import InputError

NEIGHBOURS = 64
CENTRES = 8


@dataclass(frozen=True)
class LocalSearchOptions:
    """``start``: random trials at the beginning, at least 1."""

    start: int = 4

    def __post_init__(self) -> None:
        if self.start < 1:
            raise InputError(f"start must be at least 1, found {self.start}")


@register_algorithm("local_search")
class LocalSearch(Algorithm):
    """Hill climbing that goes on from the next best trial instead of restarting."""

    Options = LocalSearchOptions

    def propose(self, rng: np.random.Generator) -> Population | None:
        history = self.history
        if len(history.complete) and len(history) - history.failed.sum() >= self.options.start:
            for centre in history.best(CENTRES):
                rows = np.repeat(np.array([centre.choices], np.int16), NEIGHBOURS, axis=0)
                rows = fresh_rows(self.problem.space.mutate(rng, rows), history.keys)
                rows = rows[self.problem.feasible(rows)]
                if len(rows):
                    return rows[0]
        rows = random_feasible(self.problem, rng, self.seen)
        return rows[0] if len(rows) else None
