"""Columns whose rows are read when they are needed: for data sets that are larger than the memory they may take.

Rows come with the same values as if everything had been loaded, so a training sees the same batches either way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

#: Rows of a column that are made at the same time.
_READERS = 4


class StreamedColumn(ABC):
    """Base: ``read(indices)`` makes the rows; everything else follows.

    Args:
        shape: with the number of rows first.
        dtype: of the elements.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape = tuple(int(side) for side in shape)
        self.dtype = np.dtype(dtype)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Rows by index, slice, array of indices, or mask."""
        if isinstance(rows, (int, np.integer)):
            return self.read(np.array([range(len(self))[rows]]))[0]
        return self.read(row_indices(rows, len(self)))

    @abstractmethod
    def read(self, indices: np.ndarray) -> np.ndarray:
        """The rows of these indices, each from 0 to the number of rows - 1, in their order."""


class Rows(StreamedColumn):
    """Some rows of another column, in any order. Nothing is read before it is indexed."""

    def __init__(self, column: Any, rows: np.ndarray) -> None:
        indices = row_indices(rows, len(column))
        source: Any = column
        if isinstance(column, Rows):
            source, indices = column.column, column.indices[indices]
        super().__init__((len(indices), *column.shape[1:]), column.dtype)
        self.column: Any = source
        self.indices: np.ndarray = indices

    def read(self, indices: np.ndarray) -> np.ndarray:
        return np.asarray(self.column[self.indices[indices]])


class Read(StreamedColumn):
    """Rows that a function makes of items, such as pictures of their paths; several at the same time."""

    def __init__(self, items: Sequence[Any], shape: tuple[int, ...], dtype: Any, make: Callable[[Any], Any]) -> None:
        super().__init__((len(items), *shape), dtype)
        self.items, self.make = items, make

    def read(self, indices: np.ndarray) -> np.ndarray:
        rows = np.empty((len(indices), *self.shape[1:]), self.dtype)
        with ThreadPoolExecutor(min(_READERS, max(1, len(indices)))) as pool:
            for place, row in enumerate(pool.map(self.make, [self.items[index] for index in indices])):
                rows[place] = row
        return rows


class Converted(StreamedColumn):
    """Rows of another column, changed by a function of a batch of them."""

    def __init__(self, column: Any, shape: tuple[int, ...], dtype: Any, change: Callable[[np.ndarray], Any]) -> None:
        super().__init__((len(column), *shape), dtype)
        self.column, self.change = column, change

    def read(self, indices: np.ndarray) -> np.ndarray:
        return np.asarray(self.change(np.asarray(self.column[indices])), self.dtype)


class Joined(StreamedColumn):
    """The rows of several columns, one behind the other."""

    def __init__(self, columns: Sequence[Any]) -> None:
        self.columns = tuple(columns)
        self.starts = np.cumsum([0, *(len(column) for column in self.columns)])
        super().__init__((int(self.starts[-1]), *self.columns[0].shape[1:]), self.columns[0].dtype)

    def read(self, indices: np.ndarray) -> np.ndarray:
        rows = np.empty((len(indices), *self.shape[1:]), self.dtype)
        for number, column in enumerate(self.columns):
            mine = (indices >= self.starts[number]) & (indices < self.starts[number + 1])
            rows[mine] = column[indices[mine] - self.starts[number]]
        return rows


def row_indices(rows: Any, count: int) -> np.ndarray:
    """Indices of a slice, a mask or indices; negative ones count from the end."""
    if isinstance(rows, slice):
        return np.arange(*rows.indices(count))
    indices = np.asarray(rows)
    if indices.dtype == bool:
        return np.flatnonzero(indices)
    return np.where(indices < 0, indices + count, indices).astype(np.int64)
