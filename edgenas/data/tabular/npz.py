"""One ``.npz`` file: numbers ``x_train``, texts ``t_train``, targets ``y_train``, and the same of ``test``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgenas.data.archive import array_names, read_arrays
from edgenas.data.tabular.csv_file import TextTable
from edgenas.spaces.errors import InputError
from edgenas.spaces.text import one_line

#: ``x``: numbers (N, columns), NaN where one is missing. ``t``: texts or whole numbers that are names (N, columns).
_LETTERS = ("x", "t", "y")
_KEYS = (*(f"{letter}_{part}" for part in ("train", "test") for letter in _LETTERS), "x_names", "t_names", "licence")
TARGET = "target"


def read_npz(path: Path) -> tuple[dict[str, TextTable], tuple[str, ...], str]:
    """(tables by part, names of the categorical columns, licence). Raises InputError naming file, key and row.

    The target's column is called ``target``. ``x_names`` and ``t_names`` are optional.
    """
    arrays = read_arrays(path, _KEYS)
    if "y_train" not in arrays or not {"x_train", "t_train"} & set(arrays):
        found = ", ".join(sorted(array_names(path))[:20]) or "nothing"
        raise InputError(f"{path}: found {found}; expected y_train, and x_train (numbers) or t_train (texts) or both")
    names = {letter: _names(path, arrays, letter) for letter in "xt" if f"{letter}_train" in arrays}
    parts = ("train", "test") if any(key.endswith("_test") for key in arrays) else ("train",)
    tables = {part: _table(path, arrays, part, names) for part in parts}
    licence = one_line(str(arrays["licence"]))[:500] if "licence" in arrays else "not stated in the file"
    return tables, tuple(names.get("t", ())), licence


def _names(path: Path, arrays: Mapping[str, np.ndarray], letter: str) -> tuple[str, ...]:
    columns = arrays[f"{letter}_train"]
    if columns.ndim != 2 or not columns.shape[1]:
        raise InputError(f"{path}: '{letter}_train' has shape {columns.shape}; expected (rows, columns)")
    given = arrays.get(f"{letter}_names")
    if given is None:
        return tuple(f"{letter}{place}" for place in range(columns.shape[1]))
    names = tuple(str(name) for name in given.reshape(-1).tolist())
    if given.dtype.kind != "U" or len(names) != columns.shape[1] or len({*names, TARGET}) <= len(names):
        raise InputError(
            f"{path}: '{letter}_names' must be {columns.shape[1]} different texts, none of them {TARGET!r}"
        )
    return names


def _table(path: Path, arrays: Mapping[str, np.ndarray], part: str, names: Mapping[str, tuple[str, ...]]) -> TextTable:
    for letter in (*names, "y"):
        if f"{letter}_{part}" not in arrays:
            raise InputError(f"{path}: no key '{letter}_{part}'; expected it, as there is '{letter}_train'")
    targets = arrays[f"y_{part}"]
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim != 1 or targets.dtype.kind not in "iufUb" or not len(targets):
        raise InputError(
            f"{path}: 'y_{part}' is {targets.dtype} of shape {targets.shape}; expected a number or a text for each row"
        )
    columns = []
    for letter, known in names.items():
        found = arrays[f"{letter}_{part}"]
        kinds = "iufb" if letter == "x" else "iuUb"
        if found.shape != (len(targets), len(known)) or found.dtype.kind not in kinds:
            what = "numbers" if letter == "x" else "texts or whole numbers"
            raise InputError(
                f"{path}: '{letter}_{part}' is {found.dtype} of shape {found.shape}; expected {what} of shape "
                f"{(len(targets), len(known))}"
            )
        if found.dtype.kind == "f" and np.isinf(found).any():
            row, column = (int(place[0]) for place in np.nonzero(np.isinf(found)))
            raise InputError(f"{path}: '{letter}_{part}' holds {found[row, column]} (row {row}, column {column})")
        columns.append(found)
    header = (*(name for known in names.values() for name in known), TARGET)
    if len(set(header)) < len(header):
        raise InputError(f"{path}: two columns have one name; rename one in 'x_names' or 't_names'")
    rows = tuple(
        (*(_text(cell) for group in columns for cell in group[row].tolist()), _text(target))
        for row, target in enumerate(targets.tolist())
    )
    return TextTable(f"{path}, {part} part", header, rows, tuple(range(len(rows))))


def _text(cell: object) -> str:
    return str(cell).strip() if isinstance(cell, str) else repr(cell)
