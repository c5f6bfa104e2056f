"""Which columns are numbers and which are texts, and their cells as numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.data.tabular.csv_file import TextTable, is_missing
from edgenas.spaces.errors import InputError
from edgenas.spaces.text import printable

#: A column with this share of numbers is meant to be numeric: a text in it is told, not taken for a category.
MOSTLY_NUMBERS = 0.95
_SHOWN = 40


@dataclass(frozen=True)
class ColumnChoice:
    """What a recipe says of the columns; Raises InputError where it says two things of one.

    Attributes:
        target: what is predicted.
        numeric: columns of numbers, where that is not to be detected.
        categorical: columns of texts, or of numbers that are names.
        ignore: columns that are left out.
        split: the column that says ``train`` or ``test`` of each row; empty: there is none.
        most_values: of a categorical column that are told apart, the most frequent ones.
    """

    target: str
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    split: str = ""
    most_values: int = 64

    def __post_init__(self) -> None:
        used: dict[str, str] = {}
        roles = (("target", (self.target,)), ("numeric", self.numeric), ("categorical", self.categorical))
        for role, names in (*roles, ("ignore", self.ignore), ("split", (self.split,) if self.split else ())):
            for name in names:
                if name in used:
                    raise InputError(f"task_options: column {name!r} is named under {used[name]} and under {role}")
                used[name] = role

    def check(self, names: Sequence[str], source: str) -> None:
        """Raises InputError when a column that is named is not there."""
        for role, wanted in (
            ("target", (self.target,)),
            ("numeric", self.numeric),
            ("categorical", self.categorical),
            ("ignore", self.ignore),
            ("split", (self.split,) if self.split else ()),
        ):
            for name in wanted:
                if name not in names:
                    raise InputError(
                        f"{source}: no column {name!r}, which task_options.{role} names; there are {listed(names)}"
                    )

    def inputs(self, names: Sequence[str]) -> list[str]:
        """The columns that the network is given, in the order of the file."""
        out = {self.target, self.split, *self.ignore}
        return [name for name in names if name not in out]


def listed(names: Sequence[str]) -> str:
    """Names of columns in a message."""
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def is_numeric(table: TextTable, name: str, choice: ColumnChoice) -> bool:
    """Whether a column holds numbers. Raises InputError for one that nearly does, or does not and was said to."""
    if name in choice.categorical:
        return False
    cells = [(row, text) for row, text in enumerate(table.column(name)) if not is_missing(text)]
    wrong = [(row, text) for row, text in cells if number(text) is None]
    said = name in choice.numeric
    if not wrong:
        return bool(cells) or said
    if said or len(wrong) <= (1 - MOSTLY_NUMBERS) * len(cells):
        row, text = wrong[0]
        others = f" ({len(cells) - len(wrong):,} of {len(cells):,} cells are numbers)" if not said else ""
        raise InputError(
            f"{table.place(row, name)}: {printable(text)[:_SHOWN]!r} is no number{others}; mend it, leave it empty, or "
            f"name the column under task_options.categorical"
        )
    return False


def number(text: str) -> float | None:
    """A finite number, None for any other text. Digits may not be grouped.

    >>> number("1e3"), number("1_000"), number("inf")
    (1000.0, None, None)
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < 1e30 and "_" not in text else None


def numbers(table: TextTable, name: str) -> np.ndarray:
    """(N,) float32 of a numeric column, NaN where a cell is missing."""
    found = [math.nan if is_missing(text) else number(text) for text in table.column(name)]
    return np.array(found, np.float32)


def known_values(cells: Sequence[str], most: int) -> tuple[str, ...]:
    """The most frequent texts of a categorical column, sorted; one at least, so that the column stays categorical."""
    counts = Counter(text for text in cells if not is_missing(text))
    frequent = sorted(counts, key=lambda text: (-counts[text], text))[:most]
    return tuple(sorted(frequent)) or ("(missing)",)


def places(cells: Sequence[str], values: Sequence[str]) -> np.ndarray:
    """(N,) float32: the place of each cell among the values from 1 on, 0 for a missing or unknown one.

    >>> places(["b", "?", "c", "a"], ["a", "b"]).tolist()
    [2.0, 0.0, 0.0, 1.0]
    """
    known = {text: place for place, text in enumerate(values, 1)}
    return np.array([0 if is_missing(text) else known.get(text, 0) for text in cells], np.float32)
