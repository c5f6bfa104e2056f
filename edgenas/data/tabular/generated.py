"""A table made by a program: rows like those of a census, with missing cells, rare values and one heavy tail.

For examples and tests. Nothing that is measured on it says anything about people.
"""

from __future__ import annotations

import numpy as np

from edgenas.data.tabular.csv_file import TextTable

GENERATED = "generated_table"
ROWS = 600
_SEED = 20251
_WORK = ("private", "self employed", "state", "never worked")
_JOBS = ("craft", "sales", "clerical", "management", "research", "transport", "farming")
_HOMES = ("own", "rented", "shared")


def generated_table(rows: int = ROWS, *, is_regression: bool = False) -> tuple[TextTable, str]:
    """(table, name of the target): ``earns_much`` (yes, no), or ``income`` in thousands; the same every time."""
    rng = np.random.default_rng(_SEED)
    age = rng.integers(18, 80, rows)
    schooling = rng.integers(6, 19, rows)
    hours = np.clip(np.rint(rng.normal(39, 9, rows)), 5, 80).astype(int)
    gain = np.where(rng.random(rows) < 0.1, np.rint(rng.lognormal(7.5, 1.0, rows)), 0).astype(int)
    work, job, home = (rng.choice(len(names), rows) for names in (_WORK, _JOBS, _HOMES))
    paid = np.array([1.0, 1.3, 1.1, 0.2])[work] * np.array([0.9, 1.0, 0.8, 1.6, 1.5, 0.9, 0.7])[job]
    income = paid * hours * (0.35 + 0.08 * (schooling - 6)) * (1 - ((age - 48) / 60) ** 2) + 0.001 * gain
    income = np.maximum(1.0, income * rng.lognormal(0, 0.12, rows))
    columns = {
        "age": _texts(age, rng, 0.03),
        "schooling_years": _texts(schooling, rng, 0.0),
        "hours_per_week": _texts(hours, rng, 0.05),
        "capital_gain": _texts(gain, rng, 0.0),
        "work": _texts([_WORK[k] for k in work], rng, 0.06, "?"),
        "job": _texts([_JOBS[k] for k in job], rng, 0.02, "?"),
        "home": _texts([_HOMES[k] for k in home], rng, 0.0),
    }
    target = "income" if is_regression else "earns_much"
    columns[target] = [f"{v:.2f}" for v in income] if is_regression else ["yes" if v > 42 else "no" for v in income]
    cells = tuple(zip(*columns.values(), strict=True))
    return TextTable(GENERATED, tuple(columns), cells, tuple(range(2, rows + 2))), target


def _texts(values: object, rng: np.random.Generator, missing: float, instead: str = "") -> list[str]:
    cells = [str(value) for value in values]  # type: ignore[attr-defined]
    gone = rng.random(len(cells)) < missing
    return [instead if lost else cell for cell, lost in zip(cells, gone, strict=True)]
