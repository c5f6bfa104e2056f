"""Examples of any task: named inputs and targets of any structure, by row, in memory or read when they are needed.

A *column* is anything that is indexed like an array by its first axis: a NumPy array, or one of
:mod:`edgenas.data.columns` that reads rows from a disk. A *tree* is a column, or a mapping, tuple or list of trees.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.spaces.errors import InputError

#: A column, or a mapping, tuple or list of trees.
Tree = Any
#: Rows that are read at once where a whole column is looked at.
CHUNK_ROWS = 1024


def leaves(tree: Tree) -> list[Any]:
    """The columns of a tree, in the order of its keys and places.

    >>> leaves({"boxes": 1, "kinds": (2, 3)})
    [1, 2, 3]
    """
    if isinstance(tree, Mapping):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    if isinstance(tree, (tuple, list)):
        return [leaf for value in tree for leaf in leaves(value)]
    return [tree]


def tree_map(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """The same structure with ``function`` applied to every column.

    >>> tree_map(lambda x: 2 * x, {"a": 1, "b": (2, 3)})
    {'a': 2, 'b': (4, 6)}
    """
    if isinstance(tree, Mapping):
        return {key: tree_map(function, value) for key, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        return tuple(tree_map(function, value) for value in tree)
    return function(tree)


def is_streamed(column: Any) -> bool:
    """Whether the rows of a column are read from a disk when they are needed."""
    return not isinstance(column, np.ndarray) or isinstance(column, np.memmap)


def select(column: Any, rows: np.ndarray) -> Any:
    """Some rows of a column (indices, or a mask): a copy of an array, a view of what is read from a disk."""
    from edgenas.data.columns import Rows

    return Rows(column, rows) if is_streamed(column) else column[rows]


def chunks(column: Any, size: int = CHUNK_ROWS) -> Iterator[np.ndarray]:
    """A column in arrays of at most ``size`` rows."""
    for start in range(0, len(column), size):
        yield np.asarray(column[start : start + size])


class Examples(ABC):
    """What is learned from or tested on. Equal seeds give equal subsets.

    Subclasses have ``inputs``, what a network is given before any preprocessing, a column by name; and ``targets``,
    what it should answer, as the task's losses and metrics take it.
    """

    inputs: Any
    targets: Tree

    @abstractmethod
    def take(self, rows: np.ndarray) -> Any:
        """Some of the examples, by index or mask."""

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def streamed(self) -> bool:
        """Whether anything is read from a disk when it is needed."""
        return any(is_streamed(column) for column in leaves((dict(self.inputs), self.targets)))

    def batch(self, rows: Any) -> tuple[dict[str, np.ndarray], Tree]:
        """(inputs, targets) of some rows (indices or a slice), in memory."""
        return (
            {name: np.asarray(column[rows]) for name, column in self.inputs.items()},
            tree_map(lambda column: np.asarray(column[rows]), self.targets),
        )

    def subset(self, count: int, seed: int) -> Any:
        """At most ``count`` examples at random, in their order."""
        if count >= len(self):
            return self
        return self.take(np.sort(np.random.default_rng(seed).choice(len(self), count, replace=False)))

    def checksum(self) -> int:
        """A number that differs when the content does."""
        value = 0
        for column in leaves((dict(self.inputs), self.targets)):
            for part in chunks(column):
                value = zlib.crc32(np.ascontiguousarray(part).tobytes(), value)
        return value


@dataclass(frozen=True)
class ArrayExamples(Examples):
    """Examples out of columns. Raises InputError when they are not of one length, or there is no input.

    >>> examples = ArrayExamples({"x": np.zeros((3, 2))}, {"y": np.arange(3)})
    >>> len(examples), len(examples.take(np.array([0, 2])))
    (3, 2)
    """

    inputs: Mapping[str, Any]
    targets: Tree

    def __post_init__(self) -> None:
        if not self.inputs:
            raise InputError("examples need at least one named input")
        counts = {name: len(column) for name, column in self.inputs.items()}
        counts |= {f"target {index}": len(column) for index, column in enumerate(leaves(self.targets))}
        if len(set(counts.values())) > 1:
            raise InputError(
                f"examples of different numbers: {', '.join(f'{name} {count}' for name, count in counts.items())}; "
                "expected one row of each for every example"
            )

    def take(self, rows: np.ndarray) -> ArrayExamples:
        return ArrayExamples(
            {name: select(column, rows) for name, column in self.inputs.items()},
            tree_map(lambda column: select(column, rows), self.targets),
        )
