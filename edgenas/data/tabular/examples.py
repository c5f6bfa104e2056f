"""Rows of a table as examples: raw numbers, with what the columns are called and which texts they have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgenas.data.examples import Examples, Tree, tree_map
from edgenas.spaces.errors import InputError


@dataclass(frozen=True)
class TableExamples(Examples):
    """Rows ``(N, columns)`` float32, numeric columns first; NaN is a missing number.

    Attributes:
        rows: of categorical columns the place of the value: 0 for a missing or unknown one, 1 for the first known.
        targets: a class index for each row; or of a regression ``value``, ``mean`` and ``std``, each ``(N, 1)``.
        names: of the columns.
        values: known texts of each column, none for a numeric one.
        target: name of what is predicted.
    """

    rows: np.ndarray
    targets: Tree
    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    target: str = "target"

    def __post_init__(self) -> None:
        if self.rows.ndim != 2 or self.rows.shape[1] != len(self.names) or len(self.names) != len(self.values):
            raise InputError(f"rows of shape {self.rows.shape} do not fit {len(self.names)} columns")

    @property
    def inputs(self) -> Mapping[str, np.ndarray]:
        return {"features": self.rows}

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: np.ndarray) -> TableExamples:
        return replace(self, rows=self.rows[rows], targets=tree_map(lambda column: column[rows], self.targets))
