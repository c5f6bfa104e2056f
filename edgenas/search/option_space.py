"""A space of a user's own: named settings with a list of values each, all combinations allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edgenas.search.problem import Population
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.decision import Decision


class OptionSpace:
    """Every combination of the values.

    >>> space = OptionSpace({"filters": [8, 16, 32], "activation": ["relu", "swish"]})
    >>> space.size, space.values((2, 0))
    (6, {'filters': 32, 'activation': 'relu'})

    Raises InputError unless every setting has at least two values that print differently.
    """

    def __init__(self, options: Mapping[str, Sequence[Any]]) -> None:
        if not options or not all(isinstance(name, str) and name for name in options):
            raise InputError(f"a space is a mapping of names to lists of values, found {str(options)[:80]}")
        self.options = {name: _values(name, values) for name, values in options.items()}
        self.decisions = tuple(
            Decision(name, tuple(str(value) for value in values)) for name, values in self.options.items()
        )

    @property
    def option_counts(self) -> tuple[int, ...]:
        """Number of values of every setting."""
        return tuple(len(decision.options) for decision in self.decisions)

    @property
    def size(self) -> int:
        """How many combinations there are."""
        return math.prod(self.option_counts)

    @cached_property
    def _counts(self) -> npt.NDArray[np.int64]:
        return np.array(self.option_counts, np.int64)

    def values(self, choices: Sequence[int]) -> dict[str, Any]:
        """The values that option indices stand for, by name."""
        return {name: values[choice] for (name, values), choice in zip(self.options.items(), choices, strict=True)}

    def sample(self, rng: np.random.Generator, count: int) -> Population:
        """``count`` combinations, uniformly, with replacement."""
        return (rng.random((count, len(self._counts))) * self._counts).astype(np.int16)

    def mutate(self, rng: np.random.Generator, population: Population) -> Population:
        """Changes one setting of every row to another value."""
        mutated = population.copy()
        rows = np.arange(len(population))
        columns = rng.integers(len(self._counts), size=len(population))
        shift = (rng.random(len(population)) * (self._counts[columns] - 1)).astype(np.int16) + 1
        mutated[rows, columns] = (population[rows, columns] + shift) % self._counts[columns]
        return mutated

    def crossover(self, rng: np.random.Generator, first: Population, second: Population) -> Population:
        """Each setting from either parent."""
        return np.where(rng.random(first.shape) < 0.5, first, second)

    def one_hot(self, population: Population) -> npt.NDArray[np.float32]:
        """(N, sum of option counts) zeros and ones."""
        starts = np.cumsum(self._counts) - self._counts
        encoded = np.zeros((len(population), int(self._counts.sum())), np.float32)
        encoded[np.arange(len(population))[:, None], starts + population] = 1
        return encoded


def _values(name: str, values: Any) -> tuple[Any, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) < 2:
        raise InputError(f"setting {name!r}: expected a list of at least two values, found {str(values)[:80]}")
    if len({str(value) for value in values}) < len(values):
        raise InputError(f"setting {name!r}: two of its values print as the same: {str(list(values))[:80]}")
    return tuple(values)
