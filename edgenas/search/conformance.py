"""What every algorithm must keep: a test class for ours and for anybody's.

Use it with pytest::

    class TestMyAlgorithm(AlgorithmConformance):
        algorithm = "my_algorithm"

The problem is a grid of decisions with a quality and a cost that are known in closed form, so nothing is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgenas.search.algorithm import Algorithm, Observation, create_algorithm
from edgenas.search.problem import Population, Problem


class GridSpace:
    """``decisions`` independent decisions with ``options`` options each."""

    def __init__(self, decisions: int = 6, options: int = 4) -> None:
        self.decisions = decisions
        self.options = options

    @property
    def size(self) -> int:
        return self.options**self.decisions

    @property
    def option_counts(self) -> tuple[int, ...]:
        return (self.options,) * self.decisions

    def one_hot(self, population: Population) -> npt.NDArray[np.float32]:
        return np.eye(self.options, dtype=np.float32)[population].reshape(len(population), -1)

    def sample(self, rng: np.random.Generator, count: int) -> Population:
        return rng.integers(self.options, size=(count, self.decisions), dtype=np.int16)

    def mutate(self, rng: np.random.Generator, population: Population) -> Population:
        """Changes one decision of every row to another option."""
        rows = np.arange(len(population))
        columns = rng.integers(self.decisions, size=len(population))
        mutated = population.copy()
        shift = rng.integers(1, self.options, size=len(population))
        mutated[rows, columns] = (mutated[rows, columns] + shift) % self.options
        return mutated

    def crossover(self, rng: np.random.Generator, first: Population, second: Population) -> Population:
        return np.where(rng.random(first.shape) < 0.5, first, second)


def grid_cost(population: Population) -> Mapping[str, npt.NDArray[np.float64]]:
    """Cost of a grid architecture: later decisions cost more."""
    weights = 1 + np.arange(population.shape[1])
    return {"latency_ms": (population @ weights).astype(np.float64)}


def grid_quality(choices: tuple[int, ...]) -> float:
    """Quality in [0, 1]: more of everything is better, with diminishing returns, and early decisions matter most."""
    gains = [np.sqrt(choice) / (1 + index) for index, choice in enumerate(choices)]
    return float(np.sum(gains) / (2 * np.sum(1 / (1 + np.arange(len(choices))))))


def grid_problem(trials: int, *, limit: float | None = 30.0, decisions: int = 6, options: int = 4) -> Problem:
    """The problem of this suite. ``limit`` bounds ``latency_ms``, which runs from 0 to 63 in the default grid."""
    space = GridSpace(decisions, options)
    if limit is None:
        return Problem(space, trials)
    return Problem(space, trials, grid_cost, {"latency_ms": limit}, np.zeros(decisions, dtype=np.int16))


def finish(number: int, choices: tuple[int, ...], fail_every: int = 0) -> Observation:
    """The trial as it would be told, with every ``fail_every``-th one failed."""
    if fail_every and number % fail_every == 0:
        return Observation(number, choices, "failed")
    return Observation(number, choices, "complete", grid_quality(choices))


def replay(algorithm: Algorithm, trials: int, batch: int = 1, fail_every: int = 0) -> list[Observation]:
    """Runs a search: suggestions of a batch, then all their results."""
    while len(algorithm.trials) < trials:
        first = len(algorithm.trials)
        suggestions = algorithm.suggest(min(batch, trials - first))
        algorithm.update(finish(first + index, choices, fail_every) for index, choices in enumerate(suggestions))
        if not suggestions:
            break
    return algorithm.trials


class AlgorithmConformance:
    """Subclass it, set :attr:`algorithm`, and let pytest collect it."""

    algorithm: str
    options: Mapping[str, Any] = {}
    trials = 40

    def make(self, problem: Problem, seed: int = 0) -> Algorithm:
        return create_algorithm(self.algorithm, problem, seed, self.options)

    def test_same_seed_gives_the_same_sequence(self) -> None:
        problem = grid_problem(self.trials)
        first, second = (replay(self.make(problem, seed=3), self.trials) for _ in range(2))
        assert first == second
        assert first != replay(self.make(problem, seed=4), self.trials)

    def test_rebuilt_from_trials_equals_kept_in_memory(self) -> None:
        problem = grid_problem(self.trials)
        kept = self.make(problem)
        for number in range(self.trials):
            rebuilt = self.make(problem)
            rebuilt.update(reversed(kept.trials))
            suggestion = kept.suggest(1)
            assert rebuilt.suggest(1) == suggestion, f"differs at trial {number}"
            kept.update([finish(number, suggestion[0])])

    def test_two_at_once_equal_one_twice_while_pending(self) -> None:
        problem = grid_problem(self.trials)
        together, apart = self.make(problem), self.make(problem)
        history = replay(self.make(problem), self.trials // 2)
        together.update(history)
        apart.update(history)
        assert together.suggest(3) == [apart.suggest(1)[0] for _ in range(3)]

    def test_no_architecture_twice_even_while_pending(self) -> None:
        problem = grid_problem(self.trials)
        for batch in (1, 4):
            choices = [trial.choices for trial in replay(self.make(problem), self.trials, batch)]
            assert len(choices) == self.trials
            assert len(set(choices)) == len(choices)

    def test_never_over_the_budget(self) -> None:
        for limit in (2.0, 12.0, 40.0):
            problem = grid_problem(self.trials, limit=limit)
            trials = replay(self.make(problem), self.trials, batch=2)
            assert trials, f"nothing suggested under a limit of {limit}"
            assert problem.feasible(np.array([trial.choices for trial in trials])).all()

    def test_failed_trials_are_survived_and_not_repeated(self) -> None:
        problem = grid_problem(self.trials)
        for fail_every in (1, 2, 3):
            trials = replay(self.make(problem), self.trials, fail_every=fail_every)
            assert len(trials) == self.trials
            assert len({trial.choices for trial in trials}) == self.trials

    def test_ends_on_a_space_smaller_than_the_number_of_trials(self) -> None:
        problem = grid_problem(50, limit=None, decisions=2, options=3)
        trials = replay(self.make(problem), 50, batch=4)
        assert len({trial.choices for trial in trials}) == len(trials) <= 9
        assert self.make(problem).suggest(0) == []

    def test_finds_what_little_fits_a_tight_budget(self) -> None:
        problem = grid_problem(5, limit=1.0, decisions=14)
        trials = replay(self.make(problem), 5)
        assert {trial.choices for trial in trials} == {(0,) * 14, (1, *(0,) * 13)}
