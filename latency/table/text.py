"""The file of a latency table: header lines, a CSV of rows in the order of their signatures, and a checksum."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Mapping

from edgenas.latency.table.row import Row
from edgenas.spaces.errors import InputError

SCHEMA = 4
_READ_SCHEMAS = ("2", "3", "4")
_MAGIC = "edgenas-latency-table"
#: There where the device tells memory.
_MEMORY = ("sram_bytes", "flash_bytes")
_FIGURES = (
    "latency_ms",
    "spread",
    "quiet_visits",
    "visits",
    "energy_mj",
    "weight_bytes",
    "wide_bytes",
    "networks",
    "cache_miss_ms",
    "profiled_for",
    *_MEMORY,
)
_COLUMNS = ("signature", *_FIGURES)
# Older tables lack the last columns, and call one otherwise.
_FEWEST_COLUMNS = 5
_OLDER_COLUMNS = {"cold_ms": "cache_miss_ms"}


def write_text(header: Mapping[str, str], rows: Mapping[str, Row]) -> str:
    """The content of the file."""
    text = io.StringIO()
    for key, value in {_MAGIC: str(SCHEMA), **header}.items():
        text.write(f"# {key}: {' '.join(value.split())}\n")
    writer = csv.writer(text, lineterminator="\n")
    told = len(_MEMORY) if any(row.sram_bytes or row.flash_bytes for row in rows.values()) else 0
    writer.writerow(_COLUMNS[: len(_COLUMNS) - len(_MEMORY) + told])
    for signature, row in rows.items():
        energy = "" if row.energy_mj is None else repr(row.energy_mj)
        latency = "" if math.isnan(row.latency_ms) else repr(row.latency_ms)
        figures = (latency, repr(row.spread), row.quiet_visits, row.visits, energy)
        rest = (row.weight_bytes, row.wide_bytes, row.networks, repr(row.cache_miss_ms), " ".join(row.profiled_for))
        writer.writerow([signature, *figures, *rest, *(row.sram_bytes, row.flash_bytes)[:told]])
    body = text.getvalue()
    return f"{body}# sha256: {hashlib.sha256(body.encode()).hexdigest()}\n"


def read_text(text: str, source: str) -> tuple[dict[str, str], dict[str, Row]]:
    """Header and rows of :func:`write_text`. Raises InputError naming the source, the line or key, and the fix."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    header: dict[str, str] = {}
    while len(header) < len(lines) and lines[len(header)].startswith("# "):
        key, separator, value = lines[len(header)][2:].partition(": ")
        if not separator or key in header:
            raise InputError(f"{source}: line {len(header) + 1} is not '# key: value': {lines[len(header)]!r}")
        header[key] = value
    _check_schema(header, source)
    _check_sum(text, lines, source)
    body = lines[len(header) : -1]
    columns = tuple(_OLDER_COLUMNS.get(name, name) for name in body[0].split(",")) if body else ()
    if columns != _COLUMNS[: max(len(columns), _FEWEST_COLUMNS)]:
        raise InputError(f"{source}: expected the columns {','.join(_COLUMNS)}, found {body[0] if body else 'none'!r}")
    return header, _read_rows(body[1:], columns, len(header) + 2, source)


def schema_of(header: Mapping[str, str]) -> str:
    """The schema that a header names."""
    return header[_MAGIC]


def _check_schema(header: Mapping[str, str], source: str) -> None:
    if _MAGIC not in header:
        raise InputError(f"{source}: is not a latency table: its first line should be '# {_MAGIC}: {SCHEMA}'")
    if header[_MAGIC] not in _READ_SCHEMAS:
        raise InputError(
            f"{source}: has schema {header[_MAGIC]!r}, this version reads {' and '.join(_READ_SCHEMAS)}: run "
            "`edgenas profile` again"
        )


def _check_sum(text: str, lines: list[str], source: str) -> None:
    key, _, value = lines[-1].partition(": ")
    if key != "# sha256":
        raise InputError(f"{source}: is cut off: its last line should be '# sha256: ...'; run `edgenas profile` again")
    body = text[: text.rstrip("\n").rfind("\n") + 1]
    if hashlib.sha256(body.encode()).hexdigest() != value.strip():
        raise InputError(f"{source}: was changed or damaged: its checksum does not match; run `edgenas profile` again")


def _read_rows(lines: list[str], columns: tuple[str, ...], first_line: int, source: str) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for number, line in enumerate(lines, start=first_line):
        try:
            fields = next(csv.reader([line]), [])
            values = dict(zip(columns, fields, strict=True))
            row = Row(
                float(values["latency_ms"] or "nan"),
                float(values["spread"]),
                int(values["quiet_visits"]),
                int(values["visits"]),
                float(energy) if (energy := values.get("energy_mj")) else None,
                int(values.get("weight_bytes", 0)),
                int(values.get("wide_bytes", 0)),
                int(values.get("networks", 0)),
                float(values.get("cache_miss_ms", 0.0)),
                tuple(values.get("profiled_for", "").split()),
                int(values.get("sram_bytes", 0)),
                int(values.get("flash_bytes", 0)),
            )
        except (ValueError, csv.Error):
            raise InputError(f"{source}: line {number}: expected {','.join(columns)}, found {line!r}") from None
        signature = values["signature"]
        if signature in rows:
            raise InputError(f"{source}: line {number}: signature {signature!r} comes twice")
        rows[signature] = row
    return rows
