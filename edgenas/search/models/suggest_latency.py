"""How long an algorithm thinks: the time of a suggestion after thousands of finished trials of a real space."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from edgenas.search.algorithm import create_algorithm
from edgenas.search.history import Observation
from edgenas.search.problem import Problem
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.search_space import SearchSpace

BUDGET_QUANTILE = 0.5
"""The budget, in MACs, is kept by this share of random architectures."""


@dataclass(frozen=True)
class SuggestLatency:
    """Milliseconds of one suggestion, with the update that follows it.

    Attributes:
        rebuilt_ms: the first one, of an algorithm that has just heard of all trials.
        median_ms: of those that follow, each after one more finished trial.
        worst_ms: the slowest of them.
        cpu_ms: median of the processor time of those that follow, which other programs on the machine slow less.
    """

    rebuilt_ms: float
    median_ms: float
    worst_ms: float
    cpu_ms: float


def suggest_latency(space: SearchSpace, algorithm: str, finished: int, suggestions: int = 15) -> SuggestLatency:
    """Times an algorithm with default options in a search of ``finished + suggestions`` trials.

    The finished trials are random architectures within the budget, their rewards a random linear function of the
    choices with noise, so nothing is trained. Raises InputError when the space has too few architectures.
    """
    problem = budgeted_problem(space, finished + suggestions)
    rng = np.random.default_rng(0)
    rows = np.unique(space.sample(rng, 4 * finished), axis=0)
    rows = rng.permutation(rows[problem.feasible(rows)])[:finished]
    if len(rows) < finished:
        raise InputError(f"space {space.name!r} has too few architectures within the budget for {finished} trials")
    rewards = rows @ rng.random(rows.shape[1]) / 100 + 0.01 * rng.normal(size=finished)
    searcher = create_algorithm(algorithm, problem, 0)
    wall, cpu = [], []
    news = [
        Observation(number, tuple(row), "complete", float(reward))
        for number, (row, reward) in enumerate(zip(rows.tolist(), rewards, strict=True))
    ]
    for _ in range(suggestions + 1):
        start, start_cpu = time.perf_counter(), time.process_time()
        searcher.update(news)
        (choices,) = searcher.suggest(1)
        wall.append(1e3 * (time.perf_counter() - start))
        cpu.append(1e3 * (time.process_time() - start_cpu))
        news = [Observation(len(searcher.trials) - 1, choices, "complete", float(rng.choice(rewards)))]
    return SuggestLatency(wall[0], float(np.median(wall[1:])), max(wall[1:]), float(np.median(cpu[1:])))


def budgeted_problem(space: SearchSpace, trials: int) -> Problem:
    """A space under a budget of MACs that half of its random architectures keep."""
    arrays = space.cost_arrays(lambda entry: float(entry.graph.macs))
    costs = space.population_cost(space.sample(np.random.default_rng(0), 500), arrays)
    cheapest, _ = space.cheapest(arrays)
    return Problem(
        space,
        trials,
        lambda population: {"macs": space.population_cost(population, arrays)},
        {"macs": float(np.quantile(costs, BUDGET_QUANTILE))},
        np.array(cheapest.choices, np.int16),
    )
