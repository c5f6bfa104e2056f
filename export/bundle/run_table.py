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
import hashlib  # noqa: F401  (for the text of changed.py)
import importlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.bundle.changed import changed_files  # in a bundle, the text of that file stands here

HERE = Path(__file__).resolve().parent
RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite.python.interpreter")
MISSING = ("", "?", "na", "n/a", "nan", "null", "none")


def load_model(path: Path) -> Any:
    for name in RUNTIMES:
        try:
            runtime = importlib.import_module(name)
        except ImportError:
            continue
        model = runtime.Interpreter(model_path=str(path))
        model.allocate_tensors()
        return model
    raise ValueError("no runtime found: pip install ai-edge-litert")


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
    source, target = model.get_input_details()[0], model.get_output_details()[0]
    values = features_of(row, preprocessing)
    if source["dtype"] != np.float32:  # quantized: real = scale * (stored - zero point)
        scale, zero_point = source["quantization"]
        limits = np.iinfo(source["dtype"])
        values = np.clip(np.round(values / scale) + zero_point, limits.min, limits.max)
    model.set_tensor(source["index"], values[np.newaxis].astype(source["dtype"]))
    model.invoke()
    answer = model.get_tensor(target["index"])[0].astype(np.float64)
    if target["dtype"] != np.float32:
        answer = (answer - target["quantization"][1]) * target["quantization"][0]
    return answer


def test_row(preprocessing: dict) -> np.ndarray:
    """The row whose answer metrics.json holds: near the means, and of texts the first known one."""
    values = []
    for place, column in enumerate(preprocessing["columns"]):
        values.append(1.0 if "values" in column else column["mean"] + column["std"] * math.sin(place + 1))
    return np.array(values, np.float32)


def verify(metrics: dict, model_path: Path) -> list:
    """What is wrong with this folder, one line each."""
    problems = changed_files(metrics, HERE)
    if not problems:
        test = metrics["self_test"]
        found = answer_of(load_model(model_path), test_row(metrics["preprocessing"]), metrics["preprocessing"])
        difference = float(np.max(np.abs(found - np.array(test["logits"]))))
        if not difference <= test["tolerance"]:
            problems.append(f"model.tflite: answers {difference:.4g} away from when it was made, on a test row")
    return problems


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


def report(problems: list, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"ok": not problems, "problems": problems}, indent=2))
    else:
        print("\n".join(problems) if problems else "complete, unchanged, and it answers as it did when it was made")
    return 1 if problems else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the model in this folder on the rows of a CSV file.")
    parser.add_argument("rows", metavar="ROWS.csv", nargs="?", type=Path, help="a header, and a row for each example")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--verify", action="store_true", help="check this folder instead")
    parser.add_argument("--model", type=Path, default=HERE / "model.tflite", help="another file of the same model")
    arguments = parser.parse_args()
    if arguments.rows is None and not arguments.verify:
        parser.error("name a CSV file, or --verify")
    return arguments


def main() -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that lacks a character shows a replacement
            stream.reconfigure(errors="replace")
    arguments = parse()
    try:
        metrics = json.loads((HERE / "metrics.json").read_text(encoding="utf-8"))
        labels = (HERE / "labels.txt").read_text(encoding="utf-8").splitlines()
        preprocessing = metrics["preprocessing"]
        if arguments.verify:
            return report(verify(metrics, arguments.model), arguments.json)
        model = load_model(arguments.model)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        print(f"{arguments.model.name}: {error}", file=sys.stderr)
        return 1
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


if __name__ == "__main__":
    sys.exit(main())
