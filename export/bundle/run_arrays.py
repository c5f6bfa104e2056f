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
import hashlib  # noqa: F401  (for the text of changed.py)
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.bundle.changed import changed_files  # in a bundle, the text of that file stands here

HERE = Path(__file__).resolve().parent
RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite.python.interpreter")


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


def answers_of(model: Any, inputs: list) -> list:
    """The outputs for one example, as real numbers."""
    for source, values in zip(model.get_input_details(), inputs):
        scale, zero_point = source["quantization"]
        if np.issubdtype(source["dtype"], np.integer):  # quantized: real = scale * (stored - zero point)
            limits = np.iinfo(source["dtype"])
            values = np.clip(np.round(values / (scale or 1.0)) + zero_point, limits.min, limits.max)
        model.set_tensor(source["index"], np.asarray(values)[np.newaxis].astype(source["dtype"]))
    model.invoke()
    outputs = []
    for target in model.get_output_details():
        values = model.get_tensor(target["index"])[0]
        scale, zero_point = target["quantization"]
        if np.issubdtype(target["dtype"], np.integer):
            values = (values.astype(np.float64) - zero_point) * (scale or 1.0)
        outputs.append(values.astype(np.float64))
    return outputs


def test_values(shape: tuple, real: bool) -> np.ndarray:
    """The input whose outputs metrics.json holds: smooth waves in [-1, 1], the same everywhere; of whole numbers 0."""
    count = int(np.prod(shape))
    waves = np.sin(np.arange(count) * 0.37).astype(np.float32) if real else np.zeros(count, np.int32)
    return waves.reshape(shape)


def verify(metrics: dict, model_path: Path) -> list:
    """What is wrong with this folder, one line each."""
    problems = changed_files(metrics, HERE)
    if not problems:
        test = metrics["self_test"]
        model = load_model(model_path)
        inputs = []
        for source in model.get_input_details():
            real = source["quantization"][0] > 0 or np.issubdtype(source["dtype"], np.floating)
            inputs.append(test_values(tuple(int(side) for side in source["shape"][1:]), bool(real)))
        found = np.concatenate([output.ravel() for output in answers_of(model, inputs)])
        difference = float(np.max(np.abs(found - np.array(test["logits"]))))
        if not difference <= test["tolerance"]:
            problems.append(f"model.tflite: answers {difference:.4g} away from when it was made, on a test input")
    return problems


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


def report(problems: list, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"ok": not problems, "problems": problems}, indent=2))
    else:
        print("\n".join(problems) if problems else "complete, unchanged, and it answers as it did when it was made")
    return 1 if problems else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the model in this folder on arrays.")
    parser.add_argument("--input", type=Path, help="an .npz file with an array for each input")
    parser.add_argument("--output", type=Path, help="an .npz file to write the outputs to")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--verify", action="store_true", help="check this folder instead")
    parser.add_argument("--model", type=Path, default=HERE / "model.tflite", help="another file of the same model")
    arguments = parser.parse_args()
    if arguments.input is None and not arguments.verify:
        parser.error("name an --input, or --verify")
    return arguments


def main() -> int:
    arguments = parse()
    try:
        metrics = json.loads((HERE / "metrics.json").read_text(encoding="utf-8"))
        if arguments.verify:
            return report(verify(metrics, arguments.model), arguments.json)
        model = load_model(arguments.model)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        print(f"{arguments.model.name}: {error}", file=sys.stderr)
        return 1
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


if __name__ == "__main__":
    sys.exit(main())
