"""Names what is heard in WAV files with the model in this folder.

    python run.py some.wav [more.wav ...] [--top K] [--json]
    python run.py --stream long.wav      what is heard as a sound goes on, where there is a stream.tflite
    python run.py --verify               whether this folder is complete, unchanged, and answers as it did when made

Needs NumPy and one of ai-edge-litert, tflite-runtime or TensorFlow. A file has 16 bits, one channel and the rate in
metrics.json; of a longer one the middle is taken. Exit codes: 0 done, 1 it did not work, 2 a file is wrong.
"""

# ruff: noqa: B905, UP032 (a target may have Python 3.7; the texts of other files stand here)

from __future__ import annotations

import argparse
import hashlib  # noqa: F401  (for the text of changed.py)
import importlib
import json
import os  # noqa: F401  (for the text of sounds.py)
import sys
import wave  # noqa: F401  (likewise)
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.bundle.changed import changed_files  # in a bundle, the text of that file stands here
from edgenas.export.bundle.sound_features import FULL_SCALE, log_mel, normalised  # in a bundle, its text
from edgenas.export.bundle.sounds import read_sound  # in a bundle, the text of that file stands here

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


def stored(values: np.ndarray, end: dict) -> np.ndarray:
    """Real values as an input stores them."""
    if np.issubdtype(end["dtype"], np.integer):  # quantized: real = scale * (stored - zero point)
        scale, zero_point = end["quantization"]
        limits = np.iinfo(end["dtype"])
        values = np.clip(np.round(values / (scale or 1.0)) + zero_point, limits.min, limits.max)
    return values.astype(end["dtype"])


def real(values: np.ndarray, end: dict) -> np.ndarray:
    """The inverse of :func:`stored`."""
    if np.issubdtype(end["dtype"], np.integer):
        scale, zero_point = end["quantization"]
        return (values.astype(np.float64) - zero_point) * (scale or 1.0)
    return values.astype(np.float64)


def logits_of(model: Any, features: np.ndarray) -> np.ndarray:
    """The answer to the features of one sound."""
    source, target = model.get_input_details()[0], model.get_output_details()[0]
    model.set_tensor(source["index"], stored(features[np.newaxis], source))
    model.invoke()
    return real(model.get_tensor(target["index"])[0], target)


def features_of(sound: np.ndarray, settings: dict) -> np.ndarray:
    """What the model takes of one sound: its samples where it computes the features itself."""
    if settings.get("inside"):
        return sound.astype(np.float32) * np.float32(1 / FULL_SCALE)
    return normalised(log_mel(sound[np.newaxis], settings), settings)[0]


def shares_of(logits: np.ndarray) -> np.ndarray:
    """The probability of every class."""
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def answers_of_stream(model: Any, sound: np.ndarray, settings: dict) -> list:
    """(seconds, logits) after every call, once as much was heard as of a whole sound."""
    inputs, outputs = model.get_input_details(), model.get_output_details()
    step, hop, frame = int(inputs[0]["shape"][1]), settings["hop_samples"], settings["frame_samples"]
    states = [np.zeros(end["shape"], np.float32) for end in inputs[1:]]
    sound = np.pad(sound, (0, max(0, settings["samples"] - len(sound))))
    found = []
    for first in range(0, (len(sound) - frame) // hop + 1, step):
        piece = sound[first * hop : (first + step - 1) * hop + frame]
        piece = np.pad(piece, (0, (step - 1) * hop + frame - len(piece)))
        features = normalised(log_mel(piece[np.newaxis], settings), settings)
        for end, values in zip(inputs, [features, *states]):
            model.set_tensor(end["index"], values.reshape(end["shape"]).astype(np.float32))
        model.invoke()
        logits, *states = [model.get_tensor(end["index"]).copy() for end in outputs]
        heard = min(len(sound), first * hop + frame)
        if heard + step * hop > settings["samples"]:
            found.append((heard / settings["sample_rate"], logits[0].astype(np.float64)))
    return found


def test_values(shape: tuple) -> np.ndarray:
    """The features whose logits metrics.json holds: smooth waves in [-1, 1], the same everywhere."""
    return np.sin(np.arange(int(np.prod(shape))) * 0.37).astype(np.float32).reshape(shape)


def verify(metrics: dict, model_path: Path) -> list:
    """What is wrong with this folder, one line each."""
    problems = changed_files(metrics, HERE)
    if not problems:
        test = metrics["self_test"]
        model = load_model(model_path)
        shape = tuple(int(side) for side in model.get_input_details()[0]["shape"][1:])
        difference = float(np.max(np.abs(logits_of(model, test_values(shape)) - np.array(test["logits"]))))
        if not difference <= test["tolerance"]:
            problems.append("model.tflite: answers {:.4g} away from when it was made".format(difference))
    return problems


def best_of(shares: np.ndarray, labels: list, top: int) -> list:
    best = np.argsort(-shares, kind="stable")[: max(1, top)]
    return [{"label": labels[index], "probability": round(float(shares[index]), 6)} for index in best]


def follow(arguments: argparse.Namespace, labels: list, settings: dict) -> int:
    if not (HERE / "stream.tflite").is_file():
        raise ValueError("there is no stream.tflite: the network looks at later frames; name a .wav file instead")
    model = load_model(HERE / "stream.tflite")
    try:
        sound = read_sound(arguments.stream, settings["sample_rate"], None)
    except (OSError, ValueError, MemoryError) as error:
        print(one_line("{}: {}".format(arguments.stream, getattr(error, "strerror", None) or error)), file=sys.stderr)
        return 2
    found = []
    for seconds, logits in answers_of_stream(model, sound, settings):
        classes = best_of(shares_of(logits), labels, arguments.top if arguments.json else 1)
        found.append({"seconds": round(seconds, 3), "classes": classes})
        for entry in [] if arguments.json else classes:
            print("{:.2f} s\t{}\t{:.4f}".format(seconds, entry["label"], entry["probability"]))
    if arguments.json:
        print(json.dumps(found, indent=2))
    return 0


def one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def report(problems: list, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"ok": not problems, "problems": problems}, indent=2))
    else:
        print("\n".join(problems) if problems else "complete, unchanged, and it answers as it did when it was made")
    return 1 if problems else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Name what is heard in WAV files with the model in this folder.")
    parser.add_argument("sounds", metavar="FILE.wav", nargs="*", help="16 bits, one channel")
    parser.add_argument("--stream", metavar="FILE.wav", help="a sound of any length, a few frames at a time")
    parser.add_argument("--top", type=int, default=3, help="how many classes to print (3)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--verify", action="store_true", help="check this folder instead")
    parser.add_argument("--model", type=Path, default=HERE / "model.tflite", help="another file of the same model")
    arguments = parser.parse_args()
    if not arguments.sounds and not arguments.verify and not arguments.stream:
        parser.error("name a .wav file, or --stream, or --verify")
    return arguments


def main() -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that lacks a character shows a replacement
            stream.reconfigure(errors="replace")
    arguments = parse()
    try:
        metrics = json.loads((HERE / "metrics.json").read_text(encoding="utf-8"))
        labels = (HERE / "labels.txt").read_text(encoding="utf-8").splitlines()
        if arguments.verify:
            return report(verify(metrics, arguments.model), arguments.json)
        settings = metrics["preprocessing"]
        if arguments.stream:
            return follow(arguments, labels, settings)
        model = load_model(arguments.model)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        print("{}: {}".format(arguments.model.name, error), file=sys.stderr)
        return 1
    status = 0
    found: list = []
    for name in arguments.sounds:
        try:
            sound = read_sound(name, settings["sample_rate"], settings["samples"])
        except (OSError, ValueError, MemoryError) as error:
            print(one_line("{}: {}".format(name, getattr(error, "strerror", None) or error)), file=sys.stderr)
            status = 2
            continue
        classes = best_of(shares_of(logits_of(model, features_of(sound, settings))), labels, arguments.top)
        found.append({"sound": name, "classes": classes})
        for entry in [] if arguments.json else classes:
            print("{}\t{}\t{:.4f}".format(name, entry["label"], entry["probability"]))
    if arguments.json:
        print(json.dumps(found, indent=2))
    return status


if __name__ == "__main__":
    sys.exit(main())
