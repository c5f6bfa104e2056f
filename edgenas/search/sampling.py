"""Random feasible architectures, also where the budget leaves one in a million.

First vectorised rejection over growing populations; where that finds nothing new, a walk: mutants of architectures
that are known to fit (first of all the cheapest one), and mutants of those, until an unseen one turns up.
"""

from __future__ import annotations

from collections.abc import Set

import numpy as np

from edgenas.search.problem import Population, Problem

REJECTION_COUNTS = (64, 1024, 10_000)
"""Sizes of the populations drawn one after the other until one holds a new feasible architecture."""
WALK_STEPS = 64
WALK_WIDTH = 256


def random_feasible(
    problem: Problem, rng: np.random.Generator, seen: Set[tuple[int, ...]], count: int = 1
) -> Population:
    """Up to ``count`` distinct feasible architectures that are not in ``seen``, shape (found, decisions).

    Fewer than ``count`` rows come back only when no others could be found; none means that the space is used up.
    """
    found: list[Population] = []
    taken: set[tuple[int, ...]] = set()
    for size in REJECTION_COUNTS:
        found += unseen(problem, problem.space.sample(rng, size), seen, count - len(found), taken)
        if len(found) == count:
            return np.stack(found)
    found += _walk(problem, rng, seen, count - len(found), taken)
    return np.stack(found) if found else np.empty((0, 0), dtype=np.int16)


def feasible_mutant(
    problem: Problem, rng: np.random.Generator, parent: Population, seen: Set[tuple[int, ...]], width: int = 32
) -> Population | None:
    """An unseen feasible mutant of ``parent`` with as few mutations as it takes; None when there is none nearby."""
    candidates = np.repeat(parent[None], width, axis=0)
    for _ in range(4):
        candidates = problem.space.mutate(rng, candidates)
        found = unseen(problem, candidates, seen, 1)
        if found:
            return found[0]
    return None


def unseen(
    problem: Problem,
    population: Population,
    known: Set[tuple[int, ...]],
    count: int,
    taken: set[tuple[int, ...]] | None = None,
) -> list[Population]:
    """The first ``count`` rows that fit the budget and are neither ``known`` nor ``taken``; they become taken."""
    found: list[Population] = []
    taken = set() if taken is None else taken
    for row in population[problem.feasible(population)]:
        if len(found) == count:
            break
        key = tuple(row.tolist())
        if key not in known and key not in taken:
            taken.add(key)
            found.append(row)
    return found


def _walk(
    problem: Problem,
    rng: np.random.Generator,
    seen: Set[tuple[int, ...]],
    count: int,
    taken: set[tuple[int, ...]],
) -> list[Population]:
    """Mutants of mutants of what is known to fit, none of them over the budget."""
    starts = sorted(seen | taken)
    if problem.cheapest is not None:
        starts.append(tuple(int(choice) for choice in problem.cheapest))
    if not starts:
        return []
    members = np.array(starts, dtype=np.int16)
    found: list[Population] = []
    if problem.cheapest is not None:
        found += unseen(problem, members[-1:], seen, count, taken)
    for _ in range(WALK_STEPS):
        if len(found) == count:
            break
        mutants = problem.space.mutate(rng, members[rng.integers(len(members), size=WALK_WIDTH)])
        mutants = mutants[problem.feasible(mutants)]
        found += unseen(problem, mutants, seen, count - len(found), taken)
        members = np.unique(np.concatenate([members, mutants]), axis=0)
    return found
