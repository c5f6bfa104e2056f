"""From a row of a table to what a network eats, and the unit of what it answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.spaces.errors import InputError


@dataclass(frozen=True)
class TableColumn:
    """One column: numeric, or categorical where it has ``values``.

    Attributes:
        name: in the header.
        mean: of the training rows, of a numeric one.
        std: their standard deviation, above 0.
        missing: what stands in for a missing number: the median of the training rows.
        values: those that were seen in training. A missing or an unknown one is at place 0, the first of these at 1.
    """

    name: str
    mean: float = 0.0
    std: float = 1.0
    missing: float = 0.0
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.missing) and 0 < self.std < math.inf):
            raise InputError(f"preprocessing: column {self.name!r} has the mean {self.mean} and deviation {self.std}")

    @property
    def features(self) -> int:
        """How many features it becomes."""
        return len(self.values) + 1 if self.values else 1

    def to_dict(self) -> dict[str, Any]:
        if self.values:
            return {"name": self.name, "values": list(self.values)}
        return {"name": self.name, "mean": self.mean, "std": self.std, "missing": self.missing}


@dataclass(frozen=True)
class TablePreprocessing:
    """The columns in the order of the file's input: numeric ones, then categorical ones.

    Attributes:
        columns: at least one.
        target: name, mean and standard deviation of what is predicted in its own unit; None of classes.
        inside: whether the shipped file does this itself: it takes raw numbers and answers in the target's unit.
    """

    columns: tuple[TableColumn, ...]
    target: tuple[str, float, float] | None = None
    inside: bool = True

    def __post_init__(self) -> None:
        kinds = [bool(column.values) for column in self.columns]
        if not kinds or kinds != sorted(kinds):
            raise InputError("preprocessing: expected numeric columns, then categorical ones, at least one in all")

    @property
    def numeric(self) -> int:
        """How many of the columns are numeric."""
        return sum(not column.values for column in self.columns)

    @property
    def categories(self) -> tuple[int, ...]:
        """Features of each categorical column."""
        return tuple(column.features for column in self.columns if column.values)

    def filled(self, rows: np.ndarray) -> np.ndarray:
        """float32 ``(N, columns)`` as the shipped file takes them: NaN gives way to what stands for missing numbers."""
        stand_ins = np.array([column.missing for column in self.columns], np.float32)
        return np.where(np.isnan(rows), stand_ins, rows).astype(np.float32)

    def features(self, rows: np.ndarray) -> np.ndarray:
        """float32 ``(N, features)``: numbers standardised, places as one-hot. The beginning of the file does the same.

        >>> both = TablePreprocessing((TableColumn("age", 40, 10, 38), TableColumn("sex", values=("f", "m"))))
        >>> both.features(np.array([[50, 2], [np.nan, 0]], np.float32)).astype(float).round(1).tolist()
        [[1.0, 0.0, 0.0, 1.0], [-0.2, 1.0, 0.0, 0.0]]
        """
        filled = self.filled(rows)
        mean, std = self.constants["columns"]
        numbers = (filled[:, : self.numeric] - mean) * (1 / std)
        places = [
            filled[:, [self.numeric + place]] == np.arange(count, dtype=np.float32)
            for place, count in enumerate(self.categories)
        ]
        return np.concatenate([numbers, *places], axis=1, dtype=np.float32)

    @property
    def constants(self) -> dict[str, tuple[np.ndarray, ...]]:
        """What the parts of a network that are not trained need, by the kind of block."""
        numbers = [column for column in self.columns if not column.values]
        found = {
            "columns": tuple(np.array(v, np.float32) for v in ([c.mean for c in numbers], [c.std for c in numbers]))
        }
        if self.target is not None:
            _, mean, std = self.target
            found["unit"] = np.array([mean], np.float32), np.array([std], np.float32)
        return found

    def to_dict(self) -> dict[str, Any]:
        """``{"columns": [{"name", "mean", "std", "missing"} or {"name", "values"}], "inside", "target": {...}}``."""
        found: dict[str, Any] = {"columns": [column.to_dict() for column in self.columns], "inside": self.inside}
        if self.target is not None:
            found["target"] = dict(zip(("name", "mean", "std"), self.target, strict=True))
        return found

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TablePreprocessing:
        """The inverse of :meth:`to_dict`. Raises InputError when it is something else."""
        try:
            target = data.get("target")
            return cls(
                tuple(_column(one) for one in data["columns"]),
                None if target is None else (str(target["name"]), float(target["mean"]), float(target["std"])),
                bool(data["inside"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"preprocessing of a table needs the key columns (problem: {error!r})") from None


def _column(one: Mapping[str, Any]) -> TableColumn:
    if "values" in one:
        return TableColumn(str(one["name"]), values=tuple(str(value) for value in one["values"]))
    return TableColumn(str(one["name"]), float(one["mean"]), float(one["std"]), float(one["missing"]))


def fitted(names: Sequence[str], values: Sequence[tuple[str, ...]], rows: np.ndarray) -> tuple[TableColumn, ...]:
    """The columns with what these training rows say of them; ``values`` is empty for numeric ones.

    A column without a number, or with one only, has the deviation 1.
    """
    found = []
    for name, known, column in zip(names, values, rows.T.astype(np.float64), strict=True):
        there = column[~np.isnan(column)]
        if known or not there.size:
            found.append(TableColumn(name, values=known))
            continue
        std = float(there.std())
        least = 1e-6 * max(1.0, float(np.abs(there).max()))
        found.append(TableColumn(name, float(there.mean()), std if std > least else 1.0, float(np.median(there))))
    return tuple(found)
