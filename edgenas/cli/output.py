"""What commands print: one JSON document or a table on standard output, remarks on standard error."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer

JSON_OPTION = typer.Option(False, "--json", help="Print one JSON document instead of a table.")


def print_json(data: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(data, indent=2, allow_nan=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """A table on standard output; numbers are aligned to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    rows = [tuple(row) for row in rows]
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], (int, float, type(None))) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", no_wrap=numeric)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    # Piped output is not cut to the width of a terminal that is not there.
    Console(width=None if sys.stdout.isatty() else 200, markup=False).print(table)


def printable_output() -> None:
    """Lets a terminal that lacks a character show a replacement instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace" if stream is sys.stdout else "backslashreplace")


def remark(text: str) -> None:
    """A line for the person at the terminal, not for the data."""
    print(text, file=sys.stderr)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def memory_words(memory: Mapping[str, float]) -> str:
    """Memory by its cost's name, on one line.

    >>> memory_words({"sram_bytes": 31888, "flash_bytes": 243264})
    'sram 31,888 bytes, flash 243,264 bytes'
    """
    names = {name: name.removesuffix("_bytes").replace("_", " ") for name in memory}
    return ", ".join(f"{names[name]} {round(value):,} bytes" for name, value in memory.items())
