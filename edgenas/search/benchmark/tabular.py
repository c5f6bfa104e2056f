"""A table of architectures with known accuracy and cost, as a problem to search: a whole search replays in seconds.

The csv has one architecture per row. Its text is one character per decision (``2101``) or labels separated by ``:``
(``8:16:8``); the labels that occur in a column, in numeric order where they are numbers, are the options of that
decision. The table need not hold every combination: those it lacks cost NaN, which no budget admits.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgenas.search.algorithm import Observation
from edgenas.search.problem import Population, Problem
from edgenas.spaces.errors import InputError

MUTATION_TRIES = 8
"""How often a mutation that leaves the table is drawn anew before it is returned (and is then not feasible)."""


@dataclass(frozen=True)
class TabularDecision:
    """A decision as the table shows it: the labels that occur, in order."""

    name: str
    options: tuple[str, ...]


class TabularSpace:
    """The rows of a table as a search space.

    Args:
        decisions: one per column of ``rows``.
        rows: (N, decisions) option indices, no row twice.

    Raises InputError when a row occurs twice.
    """

    def __init__(self, decisions: tuple[TabularDecision, ...], rows: Population) -> None:
        self.decisions = decisions
        self.rows = np.ascontiguousarray(rows, dtype=np.int16)
        # Products wrap around: for large grids this is a hash, which is why the keys are checked for collisions.
        multipliers = np.random.default_rng(0).integers(1, 2**63, len(decisions), dtype=np.int64).astype(np.uint64)
        self._multipliers = multipliers | np.uint64(1)
        keys = self._keys(self.rows)
        self._order = np.argsort(keys)
        self._sorted = keys[self._order]
        if len(np.unique(keys)) != len(keys):
            raise InputError("the table holds an architecture twice")

    @property
    def size(self) -> int:
        """How many architectures the table holds."""
        return len(self.rows)

    @property
    def option_counts(self) -> tuple[int, ...]:
        """Number of options of every decision."""
        return tuple(len(decision.options) for decision in self.decisions)

    def indices(self, population: Population) -> npt.NDArray[np.intp]:
        """(N,) row of each architecture in the table, -1 where it has none."""
        keys = self._keys(population)
        places = np.minimum(np.searchsorted(self._sorted, keys), len(self._sorted) - 1)
        return np.where(self._sorted[places] == keys, self._order[places], -1)

    def sample(self, rng: np.random.Generator, count: int) -> Population:
        """``count`` rows, uniformly, with replacement."""
        return self.rows[rng.integers(len(self.rows), size=count)]

    def mutate(self, rng: np.random.Generator, population: Population) -> Population:
        """Changes one decision of every row to another option, so that it stays in the table where that succeeds."""
        mutated = population.copy()
        free = np.flatnonzero(self._counts > 1)
        todo = np.arange(len(population) if len(free) else 0)
        for _ in range(MUTATION_TRIES):
            columns = free[rng.integers(len(free), size=len(todo))] if len(free) else free
            shift = (rng.random(len(todo)) * (self._counts[columns] - 1)).astype(np.int16) + 1
            mutated[todo] = population[todo]
            mutated[todo, columns] = (population[todo, columns] + shift) % self._counts[columns]
            todo = todo[self.indices(mutated[todo]) < 0]
            if not len(todo):
                break
        return mutated

    def crossover(self, rng: np.random.Generator, first: Population, second: Population) -> Population:
        """Each decision from either parent; the first parent where the table lacks the child."""
        child = np.where(rng.random(first.shape) < 0.5, first, second)
        return np.where((self.indices(child) >= 0)[:, None], child, first)

    def one_hot(self, population: Population) -> npt.NDArray[np.float32]:
        """(N, sum of option counts) zeros and ones."""
        starts = np.cumsum(self._counts) - self._counts
        encoded = np.zeros((len(population), int(self._counts.sum())), np.float32)
        encoded[np.arange(len(population))[:, None], starts + population] = 1
        return encoded

    def enumerate(self) -> Population:
        """All architectures, as the table orders them."""
        return self.rows

    @cached_property
    def _counts(self) -> npt.NDArray[np.intp]:
        return np.array(self.option_counts, np.intp)

    def _keys(self, population: Population) -> npt.NDArray[np.uint64]:
        return (population.astype(np.uint64) * self._multipliers).sum(axis=1)


@dataclass(frozen=True)
class TabularBenchmark:
    """A space with the accuracy and the costs of every architecture.

    Attributes:
        space: the rows of the table.
        accuracy: (N,) in the table's own unit; NaN where the table has none, which replays as a failed trial.
        costs: by name, (N,).
        train_seconds: (N,) what a trial takes, where the table says so.
    """

    space: TabularSpace
    accuracy: npt.NDArray[np.float64]
    costs: Mapping[str, npt.NDArray[np.float64]]
    train_seconds: npt.NDArray[np.float64] | None = None

    def problem(self, trials: int, limits: Mapping[str, float]) -> Problem:
        """The table as algorithms see it. Raises InputError when no architecture keeps the limits."""
        bounded = {name: float(limits.get(name, math.inf)) for name in self.costs}
        mask = self.feasible(bounded)
        if not mask.any():
            raise InputError(f"no architecture of the table is within {dict(limits)}")
        first = next(iter(self.costs))
        cheapest = np.flatnonzero(mask)[np.argmin(self.costs[first][mask])]
        return Problem(self.space, trials, self.costs_of, bounded, self.space.rows[cheapest])

    def costs_of(self, population: Population) -> dict[str, npt.NDArray[np.float64]]:
        """Costs of a population; NaN for architectures that the table lacks."""
        index = self.space.indices(population)
        return {name: np.where(index >= 0, values[index], np.nan) for name, values in self.costs.items()}

    def feasible(self, limits: Mapping[str, float]) -> npt.NDArray[np.bool_]:
        """(N,) which rows of the table keep the limits."""
        mask = np.ones(self.space.size, bool)
        for name, limit in limits.items():
            mask &= self.costs[name] <= limit
        return mask

    def best(self, limits: Mapping[str, float]) -> float:
        """The best accuracy within the limits."""
        return float(np.nanmax(self.accuracy[self.feasible(limits)]))

    def observe(self, number: int, choices: tuple[int, ...]) -> Observation:
        """The trial of this architecture, finished."""
        accuracy = self.accuracy[self.space.indices(np.array([choices], np.int16))[0]]
        if not math.isfinite(accuracy):
            return Observation(number, choices, "failed")
        return Observation(number, choices, "complete", float(accuracy))


def load_table(
    path: Path | str, architecture: str, accuracy: str, costs: tuple[str, ...], train_seconds: str | None = None
) -> TabularBenchmark:
    """Reads a benchmark from a csv file; the arguments name its columns.

    An architecture that occurs in several rows (several training seeds) gets their mean accuracy.

    Raises InputError naming file, row and column for anything that cannot be read, and for rows of the same
    architecture that differ in a cost.
    """
    columns = (accuracy, *costs, *((train_seconds,) if train_seconds else ()))
    texts, values = _read_columns(Path(path), architecture, columns)
    labels = _split(texts, str(path))
    decisions = tuple(
        TabularDecision(f"d{index}", _ordered(set(column))) for index, column in enumerate(zip(*labels, strict=True))
    )
    lookups = [{label: place for place, label in enumerate(decision.options)} for decision in decisions]
    rows = np.array([[lookup[label] for lookup, label in zip(lookups, row, strict=True)] for row in labels], np.int16)
    unique, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    merged = {name: _mean(values[name], inverse, len(unique)) for name in columns}
    for name in costs:
        different = np.flatnonzero(~np.isclose(values[name], merged[name][inverse], rtol=1e-6, atol=0))
        if len(different):
            row = int(different[0])
            raise InputError(
                f"{path}: architecture {texts[row]!r} occurs with different {name!r}: "
                f"{values[name][first[inverse[row]]]} and {values[name][row]}; a cost belongs to the architecture"
            )
    space = TabularSpace(decisions, unique)
    seconds = merged[train_seconds] if train_seconds else None
    return TabularBenchmark(space, merged[accuracy], {name: merged[name] for name in costs}, seconds)


def _read_columns(
    path: Path, architecture: str, columns: tuple[str, ...]
) -> tuple[list[str], dict[str, npt.NDArray[np.float64]]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or []
            for name in (architecture, *columns):
                if name not in header:
                    raise InputError(f"{path}: has no column {name!r}; its columns are {', '.join(header)}")
            records = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table ({error})") from None
    if not records:
        raise InputError(f"{path}: holds no rows")
    values: dict[str, npt.NDArray[np.float64]] = {}
    for name in columns:
        cells = [(record[name] or "").strip() for record in records]
        try:
            values[name] = np.array([float(cell) if cell else math.nan for cell in cells])
        except ValueError:
            row = next(index for index, cell in enumerate(cells) if cell and not _is_number(cell))
            raise InputError(
                f"{path}: row {row + 2}, column {name!r}: expected a number, found {cells[row]!r}"
            ) from None
        if not np.isfinite(values[name]).any():
            raise InputError(f"{path}: column {name!r} holds no number")
    return [(record[architecture] or "").strip() for record in records], values


def _split(texts: list[str], source: str) -> list[list[str]]:
    separator = ":" if any(":" in text for text in texts) else ""
    labels = [text.split(separator) if separator else list(text) for text in texts]
    for index, row in enumerate(labels):
        if len(row) != len(labels[0]) or not row or "" in row:
            raise InputError(
                f"{source}: row {index + 2}: architecture {texts[index]!r} has {len(row)} decisions, "
                f"expected {len(labels[0])} as in the first row"
            )
    return labels


def _ordered(labels: set[str]) -> tuple[str, ...]:
    """Numbers in numeric order, anything else alphabetically."""
    return tuple(sorted(labels, key=float)) if all(map(_is_number, labels)) else tuple(sorted(labels))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _mean(values: npt.NDArray[np.float64], groups: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.float64]:
    """Mean by group of the finite values; NaN where a group has none."""
    finite = np.isfinite(values)
    total = np.bincount(groups[finite], values[finite], count)
    number = np.bincount(groups[finite], minlength=count)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)
