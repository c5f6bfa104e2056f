"""Which pixel of a mask is of which class: the file ``legend.csv`` beside the masks.

A row for each colour, or for each index of masks that hold indices::

    name,red,green,blue          name,index
    sky,128,128,128              background,0
    building,128,0,0             cat,1
    void,0,0,0                   void,255

Rows of one name are one class. Pixels of the class ``void`` are neither learned nor counted.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.data.labels import check_class_names
from edgenas.spaces.errors import InputError

#: The label of pixels that are of no class, in every data set once it is read.
VOID = 255
#: Labels are bytes, of which the last is void.
MOST_CLASSES = 254
VOID_NAME = "void"
LEGEND_FILE = "legend.csv"
_COLOUR, _INDEX = ("name", "red", "green", "blue"), ("name", "index")


@dataclass(frozen=True)
class Legend:
    """``codes`` gives the label of each index, or of each colour as ``red << 16 | green << 8 | blue``."""

    names: tuple[str, ...]
    codes: Mapping[int, int]
    is_colour: bool

    @property
    def has_void(self) -> bool:
        return VOID in self.codes.values()

    def labels(self, codes: np.ndarray) -> np.ndarray:
        """uint8 labels of codes. Raises UnknownCodeError for the first one that is in no row."""
        known = np.array(sorted(self.codes), np.int64)
        places = np.searchsorted(known, codes).clip(max=len(known) - 1)
        wrong = known[places] != codes
        if wrong.any():
            row, column = (int(place[0]) for place in np.nonzero(wrong))
            raise UnknownCodeError(int(codes[row, column]), row, column, int(wrong.sum()))
        return np.array([self.codes[int(code)] for code in known], np.uint8)[places]


class UnknownCodeError(Exception):
    """A pixel of a mask that the legend does not know; ``count`` says how many there are."""

    def __init__(self, code: int, row: int, column: int, count: int) -> None:
        super().__init__(code)
        self.code, self.row, self.column, self.count = code, row, column, count

    @property
    def place(self) -> str:
        many = f", and {self.count - 1} more pixels" if self.count > 1 else ""
        return f"(row {self.row}, column {self.column}{many})"


def numbered_legend(names: Sequence[str], void: int | None) -> Legend:
    """The legend of masks whose indices are the classes' places among the names."""
    codes = {index: index for index in range(len(names))}
    return Legend(tuple(names), codes if void is None else codes | {void: VOID}, is_colour=False)


def colour_words(code: int) -> str:
    """A colour's code as people write it.

    >>> colour_words(0x800102)
    '(128, 1, 2)'
    """
    return f"({code >> 16}, {code >> 8 & 255}, {code & 255})"


def read_legend(path: Path) -> Legend:
    """Raises InputError naming file, line, what was found and what is expected."""
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: not a readable table ({error})") from None
    header = tuple(cell.strip().lower() for cell in rows[0]) if rows else ()
    if header not in (_COLOUR, _INDEX):
        raise InputError(
            f"{path}: line 1 is {','.join(header)[:80]!r}; expected {','.join(_COLOUR)} for masks in colours, or "
            f"{','.join(_INDEX)} for masks that hold indices"
        )
    names: list[str] = []
    codes: dict[int, int] = {}
    for line, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        name, code = _row(path, line, row, len(header))
        if code in codes:
            raise InputError(f"{path}: line {line} has the same pixels as a line before; each may be of one class only")
        if name == VOID_NAME:
            codes[code] = VOID
            continue
        if name not in names:
            names.append(name)
        codes[code] = names.index(name)
    check_classes(names, str(path))
    return Legend(tuple(names), codes, header == _COLOUR)


def check_classes(names: Sequence[str], place: str) -> None:
    """Raises InputError for names that cannot be, none, or too many."""
    if not names:
        raise InputError(f"{place}: no classes; expected a row for each")
    if len(names) > MOST_CLASSES:
        raise InputError(f"{place}: {len(names)} classes, at most {MOST_CLASSES} can be told apart")
    check_class_names(names, place)


def _row(path: Path, line: int, row: Sequence[str], width: int) -> tuple[str, int]:
    try:
        name, *values = (cell.strip() for cell in row)
        numbers = [int(value) for value in values]
        if len(row) != width or not all(0 <= number <= 255 for number in numbers):
            raise ValueError
    except ValueError:
        raise InputError(
            f"{path}: line {line} is {','.join(row)[:80]!r}; expected a name and {width - 1} whole "
            f"number{'s' * (width > 2)} from 0 to 255"
        ) from None
    code = 0
    for number in numbers:
        code = code << 8 | number
    return name, code
