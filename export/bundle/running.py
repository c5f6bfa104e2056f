"""What every ``run.py`` does alike: it finds a runtime, gives it real numbers, checks its folder, and reports.

``run.py`` of every bundle holds a copy of this (all below the line). It needs NumPy only, and Python 3.7.
"""

# ruff: noqa: B905 (a target may have Python 3.7)

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

# ---- run.py holds what follows ----

HERE = Path(__file__).resolve().parent
RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite.python.interpreter")


def load_model(path: Path, delegate: Any = None) -> Any:
    """An interpreter; ``delegate`` makes what it runs on from the runtime that was found."""
    for name in RUNTIMES:
        try:
            runtime = importlib.import_module(name)
        except ImportError:
            continue
        delegates = None if delegate is None else [delegate(runtime)]
        model = runtime.Interpreter(model_path=str(path), experimental_delegates=delegates)
        model.allocate_tensors()
        return model
    raise ValueError("no runtime found: pip install ai-edge-litert")


def answers_of(model: Any, inputs: list) -> list:
    """The outputs for one example, as real numbers."""
    for source, values in zip(model.get_input_details(), inputs):
        if np.issubdtype(source["dtype"], np.integer):  # quantized: real = scale * (stored - zero point)
            scale, zero_point = source["quantization"]
            limits = np.iinfo(source["dtype"])
            values = np.clip(np.round(values / (scale or 1.0)) + zero_point, limits.min, limits.max)
        model.set_tensor(source["index"], np.asarray(values)[np.newaxis].astype(source["dtype"]))
    model.invoke()
    outputs = []
    for target in model.get_output_details():
        values = model.get_tensor(target["index"])[0].astype(np.float64)
        if np.issubdtype(target["dtype"], np.integer):
            scale, zero_point = target["quantization"]
            values = (values - zero_point) * (scale or 1.0)
        outputs.append(values)
    return outputs


def test_values(shape: tuple, real: bool) -> np.ndarray:
    """The input whose outputs metrics.json holds: smooth waves in [-1, 1], the same everywhere; of whole numbers 0."""
    count = int(np.prod(shape))
    waves = np.sin(np.arange(count) * 0.37).astype(np.float32) if real else np.zeros(count, np.int32)
    return waves.reshape(shape)


def changed_files(metrics: dict, folder: Path) -> list:
    """What the checksums in metrics.json say of the files beside it, one line for each problem."""
    problems: list = []
    for name, expected in sorted(metrics.get("checksums", {}).items()):
        if name == "metrics.json":
            rest = {key: value for key, value in metrics.items() if key != "checksums"}
            content = json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()
        elif (folder / name).is_file():
            content = (folder / name).read_bytes()
        else:
            problems.append(f"{name}: missing")
            continue
        if hashlib.sha256(content).hexdigest() != expected:
            problems.append(f"{name}: changed since the bundle was written")
    if not metrics.get("checksums") or not metrics.get("self_test"):
        problems.append("metrics.json: holds no checksums or no self-test")
    return problems


def verify(metrics: dict, model_path: Path, test_answer: Any) -> list:
    """What is wrong with this folder, one line each."""
    problems = changed_files(metrics, HERE)
    if not problems:
        test = metrics["self_test"]
        found = test_answer(load_model(model_path), metrics)
        difference = float(np.max(np.abs(found - np.array(test["logits"]))))
        if not difference <= test["tolerance"]:
            problems.append(f"model.tflite: answers {difference:.4g} away from when it was made, on a test input")
    return problems


def report(problems: list, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"ok": not problems, "problems": problems}, indent=2))
    else:
        print("\n".join(problems) if problems else "complete, unchanged, and it answers as it did when it was made")
    return 1 if problems else 0


def one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def refuse(name: object, error: BaseException) -> None:
    """Says why something is not taken, in one line."""
    print(one_line(f"{name}: {getattr(error, 'strerror', None) or error}"), file=sys.stderr)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--verify", action="store_true", help="check this folder instead")
    parser.add_argument("--model", type=Path, default=HERE / "model.tflite", help="another file of the same model")


def start(
    arguments: argparse.Namespace, work: Any, test_answer: Any, delegate: Any = None, has_labels: bool = True
) -> int:
    """The exit code of ``work(arguments, model, metrics, labels)``, or of the check of this folder.

    ``test_answer(model, metrics)`` is what a model answers to the test input.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that lacks a character shows a replacement
            stream.reconfigure(errors="replace")
    try:
        metrics = json.loads((HERE / "metrics.json").read_text(encoding="utf-8"))
        labels = (HERE / "labels.txt").read_text(encoding="utf-8").splitlines() if has_labels else []
        if arguments.verify:
            return report(verify(metrics, arguments.model, test_answer), arguments.json)
        model = load_model(arguments.model, delegate)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        print(f"{arguments.model.name}: {error}", file=sys.stderr)
        return 1
    return int(work(arguments, model, metrics, labels))
