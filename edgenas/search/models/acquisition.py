"""Finding the feasible architecture that promises most: expected improvement, climbed by a population."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from edgenas.search.models.encoding import fresh_rows, row_keys
from edgenas.search.problem import Population, Problem

Floats = npt.NDArray[np.float64]
Score = Callable[[Population], Floats]

_SQRT_2 = math.sqrt(2)
_ASYMPTOTIC = 6.0


def log_expected_improvement(mean: Floats, deviation: Floats, best: float) -> Floats:
    """Logarithm of E[max(value - best, 0)] for normal values; accurate far below the best, where it underflows.

    Beyond six deviations the first two terms of the asymptotic series of Mills' ratio stand in (arXiv 2310.20708).
    """
    standard = (mean - best) / deviation
    near = standard > -_ASYMPTOTIC
    clipped = np.where(near, standard, 0.0)
    density = np.exp(-0.5 * clipped**2) / math.sqrt(2 * math.pi)
    improvement = density + clipped * _normal_cdf(clipped)
    far = np.where(near, 1.0, -standard)
    tail = -0.5 * far**2 - 0.5 * math.log(2 * math.pi) - 2 * np.log(far)
    return np.where(near, np.log(np.maximum(improvement, 1e-300)), tail) + np.log(deviation)


def _normal_cdf(values: Floats) -> Floats:
    return 0.5 * _erfc(-values / _SQRT_2)


def _erfc(values: Floats) -> Floats:
    """Complementary error function with a relative error below 1.2e-7 (Numerical Recipes, erfcc)."""
    size = np.abs(values)
    t = 1 / (1 + 0.5 * size)
    coefficients = (
        0.17087277,
        -0.82215223,
        1.48851587,
        -1.13520398,
        0.27886807,
        -0.18628806,
        0.09678418,
        0.37409196,
        1.00002368,
        -1.26551223,
    )
    polynomial = np.polyval(coefficients, t)
    result = t * np.exp(-size * size + polynomial)
    return np.where(values >= 0, result, 2 - result)


def climb(
    problem: Problem,
    rng: np.random.Generator,
    score: Score,
    starts: Population,
    known: npt.NDArray[np.uint64],
    *,
    samples: int = 512,
    parents: int = 16,
    children: int = 384,
) -> Population | None:
    """The best feasible row by ``score`` that is not ``known``, shape (decisions,); None when none was met.

    Scores ``samples`` random rows, ``starts`` and mutants of them; then mutants of the best ``parents`` met so far;
    then crossovers of the best, and mutants of those.

    Args:
        starts: rows to look around, best first, such as the best trials; may be empty.
        known: keys (``row_keys``) of rows that are out of the question.
    """
    space = problem.space
    pool = space.sample(rng, samples)
    if len(starts):
        around = space.mutate(rng, starts[np.arange(children) % len(starts)])
        pool = np.concatenate([pool, starts, around])
    pool = _admissible(problem, pool, known)
    scores = score(pool) if len(pool) else np.empty(0)
    for crossing in (False, True):
        if not len(pool):
            break
        best = np.argsort(-scores, kind="stable")[:parents]
        pool, scores = pool[best], scores[best]
        offspring = pool[np.arange(children) % len(pool)]
        if crossing:
            crossed = space.crossover(rng, offspring, pool[rng.integers(len(pool), size=children)])
            offspring = np.concatenate([space.mutate(rng, crossed), crossed])
        else:
            offspring = space.mutate(rng, offspring)
        offspring = _admissible(problem, offspring, np.concatenate([known, row_keys(pool)]))
        if len(offspring):
            pool, scores = np.concatenate([pool, offspring]), np.concatenate([scores, score(offspring)])
    return pool[int(np.argmax(scores))] if len(pool) else None


def _admissible(problem: Problem, population: Population, known: npt.NDArray[np.uint64]) -> Population:
    rows = fresh_rows(population, known)
    return rows[problem.feasible(rows)]
