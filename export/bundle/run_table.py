"""Runs the model in this folder on the rows of a CSV file.

    python run.py rows.csv [--json]      a class, or a value, for each row
    python run.py --verify               whether this folder is complete, unchanged, and answers as it did when made

Needs NumPy and one of ai-edge-litert, tflite-runtime or TensorFlow. The file has a header with the names of the columns
that metrics.json lists under "preprocessing"; others are passed over. Cells are separated by commas, semicolons or
tabulators. An empty cell is a missing value, and so is a text that was not seen in training. Exit codes: 0 done, 1 it
did not work, 2 the rows are wrong.
"""

# ruff: noqa: B905 (a target may have Python 3.7)

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.bundle.running import add_options, answers_of, start  # in a bundle, its text

MISSING = ("", "?", "na", "n/a", "nan", "null", "none")


def features_of(row: np.ndarray, preprocessing: dict) -> np.ndarray:
    """What the model is given for one row of numbers: these, or features, where it does not standardise itself."""
    if preprocessing["inside"]:
        return row
    features = []
    for value, column in zip(row, preprocessing["columns"]):
        if "values" in column:
            features += [float(value == place) for place in range(len(column["values"]) + 1)]
        else:
            features.append((value - np.float32(column["mean"])) / np.float32(column["std"]))
    return np.array(features, np.float32)


def answer_of(model: Any, row: np.ndarray, preprocessing: dict) -> np.ndarray:
    """What the model puts out for one row of numbers, as real numbers."""
    return np.asarray(answers_of(model, [features_of(row, preprocessing)])[0])


def test_row(preprocessing: dict) -> np.ndarray:
    """The row whose answer metrics.json holds: near the means, and of texts the first known one."""
    values = []
    for place, column in enumerate(preprocessing["columns"]):
        values.append(1.0 if "values" in column else column["mean"] + column["std"] * math.sin(place + 1))
    return np.array(values, np.float32)


def test_answer(model: Any, metrics: dict) -> np.ndarray:
    return answer_of(model, test_row(metrics["preprocessing"]), metrics["preprocessing"])


def number_of(cell: str, column: dict) -> float:
    """What the model takes for a cell. Raises ValueError for a text in a column of numbers."""
    missing = cell.lower() in MISSING
    if "values" in column:
        values = column["values"]
        return 0.0 if missing or cell not in values else 1.0 + values.index(cell)
    if missing:
        return float(column["missing"])
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError
    return value


def read_rows(path: Path, columns: list) -> list:
    """The rows of a file as the model takes them. Raises ValueError with line and column of what is wrong."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is no UTF-8; save the file as UTF-8") from None
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
    names = [name.strip() for name in next(reader, [])]
    for column in columns:
        if names.count(column["name"]) != 1:
            raise ValueError(f"line 1: expected one column {column['name']!r}, found {names.count(column['name'])}")
    places = [names.index(column["name"]) for column in columns]
    rows = []
    line = reader.line_num + 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            if len(cells) != len(names):
                raise ValueError(f"line {line} has {len(cells)} cells, the header {len(names)}")
            row = []
            for place, column in zip(places, columns):
                try:
                    row.append(number_of(cells[place].strip(), column))
                except ValueError:
                    raise ValueError(
                        f"line {line}, column {column['name']!r}: {cells[place].strip()[:40]!r} is no number"
                    ) from None
            rows.append(np.array(row, np.float32))
        line = reader.line_num + 1
    if not rows:
        raise ValueError("no rows; expected a header and a row for each example")
    return rows


def words_of(answer: np.ndarray, labels: list, preprocessing: dict) -> dict:
    """A class with its probability, or the value in its unit."""
    if "target" in preprocessing:
        target = preprocessing["target"]
        value = answer[0] if preprocessing["inside"] else answer[0] * target["std"] + target["mean"]
        return {target["name"]: float(value)}
    powers = np.exp(answer - answer.max())
    shares = powers / powers.sum()
    best = int(answer.argmax())
    probabilities = {label: round(float(share), 6) for label, share in zip(labels, shares)}
    return {"label": labels[best], "probability": probabilities[labels[best]], "probabilities": probabilities}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the model in this folder on the rows of a CSV file.")
    parser.add_argument("rows", metavar="ROWS.csv", nargs="?", type=Path, help="a header, and a row for each example")
    add_options(parser)
    arguments = parser.parse_args()
    if arguments.rows is None and not arguments.verify:
        parser.error("name a CSV file, or --verify")
    return arguments


def work(arguments: argparse.Namespace, model: Any, metrics: dict, labels: list) -> int:
    preprocessing = metrics["preprocessing"]
    try:
        rows = read_rows(arguments.rows, preprocessing["columns"])
    except (OSError, ValueError, csv.Error) as error:
        print(f"{arguments.rows}: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
        return 2
    found = [words_of(answer_of(model, row, preprocessing), labels, preprocessing) for row in rows]
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    for place, one in enumerate(found, 1):
        if "probabilities" in one:
            print(f"{place}\t{one['label']}\t{one['probability']:.1%}")
        else:
            print(f"{place}\t{next(iter(one.values())):.6g}")
    return 0


def main() -> int:
    return start(parse(), work, test_answer)


if __name__ == "__main__":
    sys.exit(main())
