"""Populations as algorithms' models read them: options with inactive decisions marked, one-hot columns, row keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from edgenas.search.problem import Population, Space

Options = npt.NDArray[np.intp]


def option_counts(space: Space) -> tuple[int, ...]:
    """Number of options of every decision: the space's ``option_counts``, else counted in its ``decisions``."""
    counts: Sequence[int] | None = getattr(space, "option_counts", None)
    if counts is None:
        decisions: Sequence[Any] = space.decisions  # type: ignore[attr-defined]
        counts = [len(decision.options) for decision in decisions]
    return tuple(int(count) for count in counts)


def marked_options(space: Space, counts: Sequence[int], population: Population) -> Options:
    """(N, decisions) option indices, where an inactive decision has the index after its last option.

    The space says what is inactive: by ``active``, if it has that, else by ``one_hot`` (all zeros).
    """
    options = np.asarray(population).astype(np.intp)
    if not len(options):
        return options
    if hasattr(space, "active"):
        return np.where(space.active(population), options, np.asarray(counts))
    starts = np.cumsum([0, *counts[:-1]])
    active = np.logical_or.reduceat(space.one_hot(population) > 0, starts, axis=1)
    return np.where(active, options, np.asarray(counts))


def row_keys(population: Population) -> npt.NDArray[np.uint64]:
    """(N,) 64-bit hashes of rows, so that sets of rows are compared without a loop. Equal rows have equal keys."""
    # Products and sums wrap around.
    return (population.astype(np.uint64) + np.uint64(1)) @ _multipliers(population.shape[1])


@lru_cache
def _multipliers(count: int) -> npt.NDArray[np.uint64]:
    """Fixed odd numbers."""
    numbers = np.random.default_rng(0).integers(1, 2**63, count, dtype=np.int64).astype(np.uint64)
    return numbers | np.uint64(1)


def fresh_rows(population: Population, known: npt.NDArray[np.uint64]) -> Population:
    """The distinct rows whose keys are not ``known``, in the order of their first occurrence."""
    keys = row_keys(population)
    _, first = np.unique(keys, return_index=True)
    first = np.sort(first)
    return population[first[~np.isin(keys[first], known)]]
