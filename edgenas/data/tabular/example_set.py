"""From tables of texts to examples: the test part, the columns' texts, the targets and their unit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from edgenas.data.dataset import TEST_FRACTION, stratified_holdout
from edgenas.data.labels import check_class_names
from edgenas.data.tabular.columns import ColumnChoice, is_numeric, known_values, number, numbers, places
from edgenas.data.tabular.csv_file import TextTable, is_missing
from edgenas.data.tabular.examples import TableExamples
from edgenas.data.task_data import ExampleSet
from edgenas.spaces.errors import InputError
from edgenas.spaces.text import printable

#: A regression's rows are held out from every tenth of its targets alike.
_STRATA = 10
_MOST_CLASSES = 1000


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where tables come from: for the records of a run."""

    name: str
    source: str
    licence: str = "not stated"
    seed: int = 0


def table_set(
    parts: Mapping[str, TextTable], choice: ColumnChoice, origin: Origin, *, is_regression: bool
) -> ExampleSet:
    """The data of the parts ``train`` and ``test``; without the latter, one is split off by column or seed.

    Remembers ``classes`` (their names; none of a regression) and ``target``. Raises InputError with file, line and
    column of what is wrong.
    """
    for table in parts.values():
        choice.check(table.names, table.source)
    for table in parts.values():
        missing = next((row for row, text in enumerate(table.column(choice.target)) if is_missing(text)), None)
        if missing is not None:
            raise InputError(
                f"{table.place(missing, choice.target)}: the target is missing; remove the row or fill it in"
            )
    classes = () if is_regression else _classes(parts, choice.target)
    targets = {name: _targets(table, choice.target, classes) for name, table in parts.items()}
    names = _names(parts, choice)
    numeric = [name for name in names if _numeric_in_all(parts, name, choice)]
    notes: tuple[str, ...] = ()
    if "test" not in parts:
        parts, targets, notes = _split(parts["train"], targets["train"], choice, origin, is_regression)
    train = parts["train"]
    others = [name for name in names if name not in numeric]
    values = {name: known_values(train.column(name), choice.most_values) for name in others}
    ordered = (*numeric, *others)
    examples = {
        part: TableExamples(
            _rows(table, ordered, values),
            _unit(targets["train"], targets[part]) if is_regression else targets[part],
            ordered,
            tuple(values.get(name, ()) for name in ordered),
            choice.target,
        )
        for part, table in parts.items()
    }
    return ExampleSet(
        origin.name,
        examples["train"],
        examples["test"],
        licence=origin.licence,
        source=origin.source,
        notes=notes,
        strata=_strata(targets["train"], is_regression),
        facts={"classes": classes, "target": choice.target},
    )


def _names(parts: Mapping[str, TextTable], choice: ColumnChoice) -> list[str]:
    """The columns to predict from, which all parts have."""
    train = parts["train"]
    names = choice.inputs(train.names)
    if not names:
        raise InputError(f"{train.source}: no column is left to predict {choice.target!r} from")
    for table in parts.values():
        if missing := [name for name in names if name not in table.names]:
            raise InputError(f"{table.source}: no column {missing[0]!r}, which {train.source} has")
    return names


def _numeric_in_all(parts: Mapping[str, TextTable], name: str, choice: ColumnChoice) -> bool:
    kinds = [is_numeric(table, name, choice) for table in parts.values()]
    if kinds[0] and not all(kinds):
        # Numbers in training, texts in the test part: say where.
        is_numeric(parts["test"], name, dataclasses.replace(choice, numeric=(*choice.numeric, name)))
    return kinds[0]


def _rows(table: TextTable, names: Sequence[str], values: Mapping[str, tuple[str, ...]]) -> np.ndarray:
    columns = [places(table.column(n), values[n]) if n in values else numbers(table, n) for n in names]
    return np.stack(columns, axis=1)


def _classes(parts: Mapping[str, TextTable], target: str) -> tuple[str, ...]:
    train = parts["train"]
    found = set(train.column(target))
    if len(found) < 2:
        raise InputError(
            f"{train.source}: column {target!r} holds one class only, {printable(next(iter(found)))[:40]!r}; expected "
            "at least two"
        )
    if len(found) > _MOST_CLASSES:
        raise InputError(
            f"{train.source}: column {target!r} holds {len(found):,} different values; for numbers choose the task "
            "regression, else another target"
        )
    if "test" in parts:
        for row, text in enumerate(parts["test"].column(target)):
            if text not in found:
                raise InputError(
                    f"{parts['test'].place(row, target)}: class {printable(text)[:40]!r} is in no training row; "
                    f"expected one of {', '.join(sorted(found)[:10])}"
                )
    values = {text: number(text) for text in found}
    names = tuple(sorted(found, key=lambda text: (values[text] is None, values[text] or 0.0, text)))
    check_class_names(names, f"{train.source}: column {target!r}")
    return names


def _targets(table: TextTable, target: str, classes: Sequence[str]) -> np.ndarray:
    """(N,) int64 class indices, or (N,) float64 values where there are no classes."""
    cells = table.column(target)
    if classes:
        places = {text: place for place, text in enumerate(classes)}
        return np.array([places[text] for text in cells], np.int64)
    found = np.empty(len(cells))
    for row, text in enumerate(cells):
        value = number(text)
        if value is None:
            raise InputError(
                f"{table.place(row, target)}: {printable(text)[:40]!r} is no number; a regression needs one. For "
                "classes choose the task tabular_classification"
            )
        found[row] = value
    return found


def _unit(training: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
    """Values with the mean and deviation of the training part's: a regression's network learns them standardised."""
    mean, std = float(training.mean()), float(training.std())
    std = std if std > 1e-6 * max(1.0, abs(mean)) else 1.0
    return {
        "value": values.astype(np.float32)[:, None],
        "mean": np.full((len(values), 1), mean, np.float32),
        "std": np.full((len(values), 1), std, np.float32),
    }


def _strata(targets: np.ndarray, is_regression: bool) -> np.ndarray:
    if not is_regression:
        return targets
    ranks = np.empty(len(targets), np.int64)
    ranks[np.argsort(targets, kind="stable")] = np.arange(len(targets))
    return ranks * min(_STRATA, max(1, len(targets) // 2)) // len(targets)


def _split(
    table: TextTable, targets: np.ndarray, choice: ColumnChoice, origin: Origin, is_regression: bool
) -> tuple[dict[str, TextTable], dict[str, np.ndarray], tuple[str, ...]]:
    """The two parts of one table, by its column or by the seed."""
    if choice.split:
        held_out = _by_column(table, choice.split)
        notes: tuple[str, ...] = ()
    else:
        rng = np.random.default_rng([origin.seed, 0x7E57])
        held_out = stratified_holdout(_strata(targets, is_regression), TEST_FRACTION, rng)
        if not held_out.any():
            raise InputError(
                f"{table.source}: too few rows to split a test part off; expected at least 3 of some class"
            )
        notes = (
            f"there is no test part: {held_out.sum()} of {len(targets)} rows ({TEST_FRACTION:.0%}, drawn with seed "
            f"{origin.seed}) were kept out of training to test on",
        )
    rows = {"train": ~held_out, "test": held_out}
    parts = {part: _taken(table, chosen) for part, chosen in rows.items()}
    found = {part: targets[chosen] for part, chosen in rows.items()}
    if not is_regression and len(unlearned := np.setdiff1d(found["test"], found["train"])):
        row = int(np.flatnonzero(held_out & (targets == unlearned[0]))[0])
        raise InputError(f"{table.place(row, choice.target)}: this class is in no training row")
    return parts, found, notes


def _by_column(table: TextTable, name: str) -> np.ndarray:
    held_out = np.zeros(len(table.rows), bool)
    for row, text in enumerate(table.column(name)):
        if text.lower() not in ("train", "test"):
            raise InputError(f"{table.place(row, name)}: found {printable(text)[:40]!r}, expected train or test")
        held_out[row] = text.lower() == "test"
    if held_out.all() or not held_out.any():
        raise InputError(f"{table.source}: column {name!r} says the same of all rows; expected both train and test")
    return held_out


def _taken(table: TextTable, chosen: np.ndarray) -> TextTable:
    rows = np.flatnonzero(chosen)
    return TextTable(table.source, table.names, tuple(table.rows[r] for r in rows), tuple(table.lines[r] for r in rows))
