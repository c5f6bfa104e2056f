"""Search algorithms: the conformance suite for each, and what is particular to one."""

from dataclasses import dataclass

import numpy as np
import pytest

from edgenas.search import algorithm_class, algorithm_names, algorithm_options, create_algorithm
from edgenas.search.algorithm import Algorithm, Observation, register_algorithm
from edgenas.search.conformance import AlgorithmConformance, finish, grid_problem, grid_quality, replay
from edgenas.search.sampling import random_feasible
from edgenas.spaces.errors import InputError


class TestRandom(AlgorithmConformance):
    algorithm = "random"


class TestRegularizedEvolution(AlgorithmConformance):
    algorithm = "regularized_evolution"


class TestSmallEvolution(AlgorithmConformance):
    algorithm = "regularized_evolution"
    options = {"population": 5, "tournament": 5}  # noqa: RUF012


def test_evolution_beats_random_on_average() -> None:
    problem = grid_problem(60)
    best = {
        name: np.mean([max(t.score for t in replay(create_algorithm(name, problem, seed), 60)) for seed in range(20)])
        for name in ("random", "regularized_evolution")
    }
    assert best["regularized_evolution"] > best["random"] + 0.01


def test_children_differ_from_a_tournament_winner_by_one_decision() -> None:
    algorithm = create_algorithm("regularized_evolution", grid_problem(40), 0, {"population": 4, "tournament": 4})
    trials = replay(algorithm, 12)
    window = trials[-4:]
    best = max(window, key=lambda trial: trial.score)
    (child,) = algorithm.suggest(1)
    assert sum(a != b for a, b in zip(child, best.choices, strict=True)) == 1


@pytest.mark.parametrize("name", ["random", "regularized_evolution"])
def test_a_small_space_is_searched_completely(name: str) -> None:
    trials = replay(create_algorithm(name, grid_problem(50, limit=None, decisions=2, options=3), 0), 50)
    assert len({trial.choices for trial in trials}) == 9


def test_the_oldest_dies_however_good_it_is() -> None:
    problem = grid_problem(40, limit=None)
    algorithm = create_algorithm("regularized_evolution", problem, 0, {"population": 3, "tournament": 3})
    algorithm.update([Observation(0, (3,) * 6, "complete", 1.0)])
    algorithm.update(Observation(number, (0, 0, 0, 0, 0, number), "complete", 0.1) for number in range(1, 4))
    (child,) = algorithm.suggest(1)
    assert sum(choice == 3 for choice in child) <= 2


def test_evolution_sizes_follow_the_number_of_trials() -> None:
    sizes = {}
    for trials in (6, 30, 3000):
        algorithm = create_algorithm("regularized_evolution", grid_problem(trials), 0)
        sizes[trials] = (algorithm.population_size, algorithm.tournament_size)  # type: ignore[attr-defined]
    assert sizes == {6: (4, 2), 30: (10, 3), 3000: (100, 33)}


def test_random_feasible_walks_where_rejection_fails() -> None:
    problem = grid_problem(5, limit=3.0, decisions=20)
    rows = random_feasible(problem, np.random.default_rng(0), set(), count=6)
    assert len(rows) == 6
    assert problem.feasible(rows).all()
    assert len({tuple(row) for row in rows}) == 6


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("evolution", {}, "unknown algorithm 'evolution'"),
        ("random", {"population": 3}, "it has none"),
        ("regularized_evolution", {"populaton": 3}, "did you mean 'population'"),
        ("regularized_evolution", {"population": "many"}, "'many'"),
        ("regularized_evolution", {"population": True}, "True"),
        ("regularized_evolution", {"population": 1}, "at least 2"),
        ("regularized_evolution", {"population": 4, "tournament": 5}, "larger than the population"),
    ],
)
def test_wrong_options_are_named(name: str, options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        algorithm_options(name, options)


def test_a_third_party_registers_its_own() -> None:
    @register_algorithm("test_only_smallest")
    class Smallest(Algorithm):
        @dataclass(frozen=True)
        class Options:
            start: int = 0

        def propose(self, rng: np.random.Generator) -> np.ndarray | None:
            return np.full(6, self.options.start, dtype=np.int16)

    assert "test_only_smallest" in algorithm_names()
    assert algorithm_class("test_only_smallest") is Smallest
    assert create_algorithm("test_only_smallest", grid_problem(3), 0, {"start": 1}).suggest(1) == [(1,) * 6]
    with pytest.raises(InputError, match="already registered"):

        @register_algorithm("random")
        class Other(Algorithm):
            def propose(self, rng: np.random.Generator) -> np.ndarray | None:
                return None


def test_grid_quality_is_a_probability() -> None:
    assert 0 <= grid_quality((0,) * 6) < grid_quality((3,) * 6) <= 1
    assert finish(0, (0,) * 6, fail_every=1).state == "failed"
