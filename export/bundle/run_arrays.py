"""Runs the model in this folder on arrays.

    python run.py --input values.npz [--output answers.npz] [--json]
    python run.py --verify               whether this folder is complete, unchanged, and answers as it did when made

Needs NumPy and one of ai-edge-litert, tflite-runtime or TensorFlow. values.npz holds an array for each input, under the
names in metrics.json ("inputs"), as numpy.savez writes it: one example, or several along the first axis. They are real
numbers, or whole ones where the model takes such, prepared as the training examples were. Exit codes: 0 done, 1 it did
not work, 2 the arrays are wrong.
"""

# ruff: noqa: B905 (a target may have Python 3.7)

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.bundle.running import add_options, answers_of, start, test_values  # in a bundle, its text


def test_answer(model: Any, metrics: dict) -> np.ndarray:
    inputs = []
    for source in model.get_input_details():
        real = source["quantization"][0] > 0 or np.issubdtype(source["dtype"], np.floating)
        inputs.append(test_values(tuple(int(side) for side in source["shape"][1:]), bool(real)))
    return np.concatenate([output.ravel() for output in answers_of(model, inputs)])


def read_inputs(path: Path, ends: dict) -> list:
    """The arrays of a file in the model's order, each with the examples along its first axis."""
    with np.load(path, allow_pickle=False) as file:
        missing = [name for name in ends if name not in file.files]
        if missing:
            raise ValueError(f"no array {missing[0]!r}; expected {', '.join(ends)}")
        arrays = [np.asarray(file[name]) for name in ends]
    shapes = [tuple(shape) for shape in ends.values()]
    arrays = [a[np.newaxis] if a.shape == shape else a for a, shape in zip(arrays, shapes)]
    for name, values, shape in zip(ends, arrays, shapes):
        if values.shape[1:] != shape or values.dtype.kind not in "fiub":
            raise ValueError(f"{name}: expected numbers of shape {shape}, found {values.dtype} of {values.shape}")
    if len({len(values) for values in arrays}) != 1:
        raise ValueError("the arrays have different numbers of examples")
    return arrays


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the model in this folder on arrays.")
    parser.add_argument("--input", type=Path, help="an .npz file with an array for each input")
    parser.add_argument("--output", type=Path, help="an .npz file to write the outputs to")
    add_options(parser)
    arguments = parser.parse_args()
    if arguments.input is None and not arguments.verify:
        parser.error("name an --input, or --verify")
    return arguments


def work(arguments: argparse.Namespace, model: Any, metrics: dict, labels: list) -> int:
    try:
        inputs = read_inputs(arguments.input, metrics["inputs"])
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        print(f"{arguments.input}: {error}", file=sys.stderr)
        return 2
    answers = [answers_of(model, list(example)) for example in zip(*inputs)]
    outputs = {name: np.stack([answer[k] for answer in answers]) for k, name in enumerate(metrics["outputs"])}
    if arguments.output is not None:
        np.savez(arguments.output, **outputs)  # type: ignore[arg-type,unused-ignore]
    if arguments.json:
        print(json.dumps({name: values.tolist() for name, values in outputs.items()}, indent=2))
    elif arguments.output is None:
        for name, values in outputs.items():
            print(f"{name}\t{np.array2string(values, precision=4, threshold=20)}")
    return 0


def main() -> int:
    return start(parse(), work, test_answer, has_labels=False)


if __name__ == "__main__":
    sys.exit(main())
