"""What a user should hear about a table before a search is built on it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgenas.data.tabular.examples import TableExamples
from edgenas.data.task_data import ExampleSet

#: A class with less of the training rows is told to be rare.
RARE = 0.02
_SHOWN = 5


def remarks(data: ExampleSet) -> tuple[str, ...]:
    """One sentence each: how the columns are taken, what is missing, rare classes."""
    assert isinstance(data.train, TableExamples)
    return (*data.notes, *_about_columns(data.train, data.facts["target"]), *_about_classes(data))


def _about_columns(train: TableExamples, target: str) -> Iterator[str]:
    numeric = [name for name, values in zip(train.names, train.values, strict=True) if not values]
    categorical = [name for name, values in zip(train.names, train.values, strict=True) if values]
    parts = [
        f"{len(names)} {kind} ({_named(names)})"
        for kind, names in (("numeric", numeric), ("categorical", categorical))
        if names
    ]
    yield f"{target!r} is predicted from {' and '.join(parts)} columns"
    missing = np.isnan(train.rows).mean(axis=0)
    if lacking := [name for name, share in zip(train.names, missing, strict=True) if share]:
        yield (
            f"numbers are missing in {_named(lacking)} (up to {missing.max():.1%} of the rows); the median of the "
            "training rows stands in for them"
        )


def _about_classes(data: ExampleSet) -> Iterator[str]:
    classes = data.facts["classes"]
    if not classes:
        return
    shares = np.bincount(data.train.targets, minlength=len(classes)) / len(data.train)
    if rare := [name for name, share in zip(classes, shares, strict=True) if share < RARE]:
        yield f"less than {RARE:.0%} of the training rows are of class {_named(rare)}: look at the balanced accuracy"


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
