"""Regularised (ageing) evolution, arXiv 1802.01548.

A population of the newest P finished trials: the oldest leaves, however good it is. Each suggestion takes S random
members, picks the best of them, and changes one decision. Children over the budget or seen before are not children.

The paper uses P = 100 and S = 25 for 20,000 trials. Searches here have tens to hundreds, so by default P is a third
of the trials (between 4 and 100) and S a third of P (at least 2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgenas.search.algorithm import Algorithm, register_algorithm
from edgenas.search.problem import Population
from edgenas.search.sampling import feasible_mutant, random_feasible
from edgenas.spaces.errors import InputError


@dataclass(frozen=True)
class EvolutionOptions:
    """Sizes of the population and of the tournament, in trials; None takes sizes that fit the number of trials."""

    population: int | None = None
    tournament: int | None = None

    def __post_init__(self) -> None:
        if self.population is not None and self.population < 2:
            raise InputError(f"population must be at least 2, found {self.population}")
        if self.tournament is not None and self.tournament < 1:
            raise InputError(f"tournament must be at least 1, found {self.tournament}")
        if self.population is not None and self.tournament is not None and self.tournament > self.population:
            raise InputError(f"a tournament of {self.tournament} is larger than the population of {self.population}")


@register_algorithm("regularized_evolution")
class RegularizedEvolution(Algorithm):
    """Ageing evolution with tournaments; random until the population is full."""

    Options = EvolutionOptions

    @property
    def population_size(self) -> int:
        return self.options.population or min(max(self.problem.trials // 3, 4), 100)

    @property
    def tournament_size(self) -> int:
        return min(self.options.tournament or max(self.population_size // 3, 2), self.population_size)

    def propose(self, rng: np.random.Generator) -> Population | None:
        seen = self.seen
        started = len(self.history) - self.history.failed.sum()
        members = self.complete[-self.population_size :]
        if started >= self.population_size and members:
            entrants = rng.choice(len(members), size=min(self.tournament_size, len(members)), replace=False)
            parent = max((members[index] for index in sorted(entrants)), key=lambda trial: trial.score)
            child = feasible_mutant(self.problem, rng, np.array(parent.choices, dtype=np.int16), seen)
            if child is not None:
                return child
        rows = random_feasible(self.problem, rng, seen)
        return rows[0] if len(rows) else None
