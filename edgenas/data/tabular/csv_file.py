"""A CSV file as rows of texts, with every fault told by file, row and column."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_regular_file
from edgenas.spaces.text import printable

#: What separates cells; the one that the header has most of.
DELIMITERS = (",", ";", "\t")
#: Texts that stand for a missing value, in lower case.
MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "none"})
_LONGEST_CELL = 10_000
_MOST_BYTES = 2**30


@dataclass(frozen=True)
class TextTable:
    """A table of texts.

    Attributes:
        source: the file, for messages.
        names: of the columns.
        rows: cells without white space around them.
        lines: the line of the file that each row begins in, from 1.
    """

    source: str
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def place(self, row: int, name: str) -> str:
        """Where a cell stands, for a message."""
        return f"{self.source}: line {self.lines[row]}, column {name!r}"

    def column(self, name: str) -> list[str]:
        """The cells of a column, from top to bottom."""
        place = self.names.index(name)
        return [row[place] for row in self.rows]


def is_missing(text: str) -> bool:
    """Whether a cell holds nothing."""
    return text.lower() in MISSING


def read_csv(path: Path) -> TextTable:
    """Reads a UTF-8 file with a header. Raises InputError naming the file, the line and the column."""
    check_regular_file(path, "a CSV file")
    content = path.read_bytes() if path.stat().st_size <= _MOST_BYTES else None
    if content is None:
        raise InputError(
            f"{path}: {path.stat().st_size:,} bytes; expected at most {_MOST_BYTES:,}. Save an .npz instead"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        before = content[: error.start].rpartition(b"\n")[2]
        column = max(before.count(b","), before.count(b";"), before.count(b"\t")) + 1
        raise InputError(
            f"{path}: line {line}, column {column}: byte {content[error.start]:#04x} is no UTF-8; save it as UTF-8"
        ) from None
    header, _, _ = text.partition("\n")
    delimiter = max(DELIMITERS, key=header.count)
    try:
        return _table(path, text, delimiter)
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV file ({error})") from None


def _table(path: Path, text: str, delimiter: str) -> TextTable:
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise InputError(f"{path}: line {line} holds a zero byte; expected text")
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    names: tuple[str, ...] = ()
    rows, lines = [], []
    line = 1
    for cells in reader:
        stripped = tuple(cell.strip() for cell in cells)
        if any(stripped) and not names:
            names = _names(path, line, stripped)
        elif any(stripped) or (len(names) == 1 and cells):
            if len(stripped) != len(names):
                raise InputError(
                    f"{path}: line {line} has {len(stripped)} cells, the header {len(names)}: expected one for each of "
                    f"{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
                )
            if too_long := next((n for n, cell in zip(names, stripped, strict=True) if len(cell) > _LONGEST_CELL), ""):
                raise InputError(f"{path}: line {line}, column {too_long!r}: more than {_LONGEST_CELL:,} characters")
            rows.append(stripped)
            lines.append(line)
        line = reader.line_num + 1
    if not names:
        raise InputError(
            f"{path}: is empty; expected a header with the names of the columns, and a row for each example"
        )
    if not rows:
        raise InputError(f"{path}: holds a header and no rows; expected a row for each example")
    return TextTable(str(path), names, tuple(rows), tuple(lines))


def _names(path: Path, line: int, cells: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(printable(cell) for cell in cells)
    for place, name in enumerate(names, 1):
        if not name:
            raise InputError(f"{path}: line {line}, column {place} has no name; expected a name for every column")
        if name in names[: place - 1]:
            first = names.index(name) + 1
            raise InputError(
                f"{path}: line {line}: columns {first} and {place} are both named {name!r}; give each its own name"
            )
    return names
