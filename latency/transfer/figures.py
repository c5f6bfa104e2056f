"""Figures that somebody gives of networks on a device: a file with a line for each network."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgenas.spaces.errors import InputError
from edgenas.spaces.space.decision import Architecture
from edgenas.spaces.space.search_space import SearchSpace

Array = NDArray[np.float64]
ARCHITECTURE = "architecture"
FIGURES = ("latency_ms", "energy_mj")


@dataclass(frozen=True)
class GivenFigures:
    """``latency_ms`` and ``energy_mj`` are (architectures,) arrays, NaN where the file says nothing."""

    source: str
    architectures: tuple[Architecture, ...]
    latency_ms: Array
    energy_mj: Array

    @property
    def has_energy(self) -> bool:
        """Whether any energy was given."""
        return not bool(np.isnan(self.energy_mj).all())


def read_figures(path: Path, space: SearchSpace) -> GivenFigures:
    """Reads a CSV file with the columns ``architecture`` and ``latency_ms`` and/or ``energy_mj``; others are ignored.

    Raises InputError naming the file, the line and what was expected: an architecture that the space does not have or
    that comes twice, a figure that is no positive number, a line without any figure.
    """
    lines = read_text(path).splitlines()
    reader = csv.reader(lines)
    try:
        header = [name.strip() for name in next(reader, [])]
        rows = [(reader.line_num, [value.strip() for value in row]) for row in reader]
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: is not CSV: {error}") from None
    known = [name for name in FIGURES if name in header]
    if ARCHITECTURE not in header or not known or len(set(header)) < len(header):
        raise InputError(
            f"{path}: expected a first line with the columns {ARCHITECTURE} and {' and/or '.join(FIGURES)}, found "
            f"{lines[0] if lines else 'nothing'!r}"
        )
    places: dict[Architecture, int] = {}
    found: dict[str, list[float]] = {name: [] for name in FIGURES}
    for line, row in rows:
        if not any(row):
            continue
        where = f"{path}: line {line}"
        if len(row) != len(header):
            raise InputError(f"{where}: expected {len(header)} values ({','.join(header)}), found {len(row)}")
        values = dict(zip(header, row, strict=True))
        architecture = parse_architecture_of(space, values[ARCHITECTURE], where)
        if architecture in places:
            raise InputError(
                f"{where}: the architecture {values[ARCHITECTURE]} was on line {places[architecture]} already: keep "
                f"one of them"
            )
        if not any(values[name] for name in known):
            raise InputError(f"{where}: expected a number for {' or '.join(known)}, found none")
        places[architecture] = line
        for name in FIGURES:
            found[name].append(_number(values.get(name, ""), name, where))
    return GivenFigures(str(path), tuple(places), *(np.array(found[name], np.float64) for name in FIGURES))


def read_architectures(path: Path, space: SearchSpace) -> list[tuple[str, Architecture]]:
    """The architectures of a text file, one a line, as they are written there; empty lines are skipped.

    Raises InputError naming the file and the line, also when there is none.
    """
    found = []
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        if text.strip():
            found.append((text.strip(), parse_architecture_of(space, text.strip(), f"{path}: line {line}")))
    if not found:
        raise InputError(f"{path}: expected one architecture of space {space.name!r} a line, found none")
    return found


def read_text(path: Path) -> str:
    """A text file. Raises InputError naming it."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: cannot be read as text ({reason}); expected a text file") from None


def parse_architecture_of(space: SearchSpace, text: str, where: str) -> Architecture:
    """An architecture's string, with or without the space's name before it. Raises InputError."""
    try:
        return space.parse(text.removeprefix(f"{space.name}:"))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _number(text: str, name: str, where: str) -> float:
    """A positive number; NaN for nothing. Raises InputError."""
    if not text:
        return math.nan
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise InputError(f"{where}: {name} must be a positive number, not {text!r}")
    return number
