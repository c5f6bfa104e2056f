"""Small dense tables of whole numbers over a few decisions: what a position puts out, and how it gets it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Options of decisions, one array over rows for each.
Columns = Mapping[int, NDArray[np.intp]]
#: A table says nothing of a combination, or no architecture has it.
UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class ValueTable:
    """``numbers`` has one axis for each decision; ``guard`` holds the options that some decisions must have."""

    decisions: tuple[int, ...]
    numbers: NDArray[np.int32]
    guard: Mapping[int, int] = field(default_factory=dict)

    def contradicts(self, fixed: Mapping[int, int]) -> bool:
        """Whether it says nothing where these decisions have these options."""
        return any(fixed.get(decision, option) != option for decision, option in self.guard.items())

    def lookup(self, columns: Columns, count: int) -> NDArray[np.int32]:
        """(count,) the numbers of rows of options."""
        if not self.decisions:
            return np.full(count, self.numbers.item(), np.int32)
        return np.asarray(self.numbers[tuple(columns[decision] for decision in self.decisions)])


def constant(number: int) -> ValueTable:
    """A table that depends on nothing."""
    return ValueTable((), np.array(number, np.int32))


def lookup(tables: Iterable[ValueTable], columns: Columns, count: int) -> NDArray[np.int32]:
    """What the tables say of each row; those whose decisions are not among the columns say nothing."""
    found = np.full(count, UNKNOWN, np.int32)
    for table in tables:
        if all(decision in columns for decision in table.decisions):
            found = np.maximum(found, table.lookup(columns, count))
    return found


def reduced(table: ValueTable) -> ValueTable:
    """The table without the decisions that make no difference."""
    decisions, numbers = list(table.decisions), table.numbers
    for decision in table.decisions:
        if decision in table.guard:
            continue
        axis = decisions.index(decision)
        most = numbers.max(axis=axis, keepdims=True)
        if ((numbers == most) | (numbers == UNKNOWN)).all():
            numbers = most.squeeze(axis)
            decisions.remove(decision)
    return ValueTable(tuple(decisions), np.asarray(numbers), table.guard)


def merged(tables: Sequence[ValueTable], sizes: Sequence[int], most: int) -> tuple[ValueTable, ...]:
    """One table instead of several where that has at most ``most`` numbers; ``sizes`` are the decisions' options."""
    tables = [reduced(table) for table in tables]
    decisions = tuple(sorted({decision for table in tables for decision in table.decisions}))
    shape = tuple(sizes[decision] for decision in decisions)
    count = int(np.prod(shape, dtype=np.float64))
    if count > most:
        return tuple(tables)
    columns = dict(zip(decisions, np.indices(shape).reshape(len(shape), count), strict=True))
    return (reduced(ValueTable(decisions, lookup(tables, columns, count).reshape(shape))),)


def distinct_rows(columns: Sequence[NDArray[Any]]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """The different rows of columns of whole numbers, and which of them each row is.

    As ``np.unique`` of the rows, by one number for each row where that fits, which is many times quicker.
    """
    rows = np.column_stack(columns).astype(np.int64)
    low, high = rows.min(axis=0), rows.max(axis=0)
    sizes = (high - low + 1).tolist()
    if math.prod(sizes) >= 2**62:
        different, which = np.unique(rows, axis=0, return_inverse=True)
        return different, which.reshape(-1)
    strides = np.array([math.prod(sizes[place + 1 :]) for place in range(len(sizes))], np.int64)
    _, first, which = np.unique((rows - low) @ strides, return_index=True, return_inverse=True)
    return rows[first], which.reshape(-1)
