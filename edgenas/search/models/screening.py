"""Screening: an algorithm suggests many candidates, a model of the finished trials picks the one to train.

Works with any algorithm: the candidates come from a copy of it that knows the same trials, and the model is the
Gaussian process of ``auto``. Until enough trials are finished, the algorithm's own first suggestion is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgenas.search.algorithm import Algorithm, algorithm_options, create_algorithm
from edgenas.search.models.acquisition import log_expected_improvement
from edgenas.search.models.encoding import option_counts
from edgenas.search.models.surrogate import Surrogate
from edgenas.search.problem import Population, Problem
from edgenas.spaces.errors import InputError

TRIALS_FOR_SCREENING = 10


class Screened(Algorithm):
    """Another algorithm with its suggestions screened.

    Args:
        problem: space, costs and limits.
        seed: as for any algorithm.
        name: the algorithm that suggests.
        options: its options, as plain data.
        screen: how many suggestions are compared for each one that is passed on.

    Raises InputError for an unknown algorithm, wrong options, or a ``screen`` below 2.
    """

    def __init__(
        self, problem: Problem, seed: int, name: str, options: Mapping[str, Any] | None = None, *, screen: int
    ) -> None:
        if screen < 2:
            raise InputError(f"screen must be at least 2 (suggestions per trained candidate), found {screen}")
        algorithm_options(name, options or {})
        super().__init__(problem, seed)
        self._inner = name
        self._inner_options = dict(options or {})
        self._screen = screen
        self._surrogate = Surrogate(problem.space, option_counts(problem.space))

    def propose(self, rng: np.random.Generator) -> Population | None:
        enough = len(self.complete) >= TRIALS_FOR_SCREENING
        # While every suggestion is passed on, the algorithm has its own seed, so that it behaves as without us.
        seed = int(rng.integers(2**31)) if enough else self.seed
        inner = create_algorithm(self._inner, self.problem, seed, self._inner_options)
        inner.update(self.trials)
        candidates = np.array(inner.suggest(self._screen if enough else 1), np.int16)
        if len(candidates) <= 1:
            return candidates[0] if len(candidates) else None
        found = self._surrogate.condition(self.history).predict(candidates)
        score = log_expected_improvement(found.mean, found.deviation, found.best) + np.log(found.success)
        return candidates[int(np.argmax(score))]


def create_screened(
    name: str, problem: Problem, seed: int, options: Mapping[str, Any] | None = None, screen: int | None = None
) -> Algorithm:
    """An algorithm by name, screened where ``screen`` is given: so many suggestions for each one that is passed on."""
    if screen is None:
        return create_algorithm(name, problem, seed, options)
    return Screened(problem, seed, name, options, screen=screen)
