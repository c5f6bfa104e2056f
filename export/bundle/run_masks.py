"""Tells the class of every pixel with the model in this folder, and draws it over the picture.

    python run.py --image photo.png [-o drawn.png] [--mask labels.png] [--json]
    python run.py --verify               whether this folder is complete, unchanged, and answers as it did when made

Needs NumPy, Pillow, and one of ai-edge-litert, tflite-runtime or TensorFlow. A picture may have any size; what is
written has the same. --mask writes the labels themselves as an indexed PNG. Exit codes: 0 done, 1 it did not work, 2 an
image is wrong.
"""

from __future__ import annotations

import argparse
import hashlib  # noqa: F401  (for the text of changed.py)
import importlib
import json
import os
import stat  # noqa: F401  (for the text of pictures.py)
import sys
import warnings  # noqa: F401  (likewise)
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.bundle.changed import changed_files  # in a bundle, the text of that file stands here
from edgenas.export.bundle.pictures import read_picture  # in a bundle, the text of that file stands here

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


def answer_of(model: Any, pixels: np.ndarray, preprocessing: dict) -> np.ndarray:
    """What the model puts out, as real numbers: labels (height, width), or logits (h, w, classes)."""
    source, target = model.get_input_details()[0], model.get_output_details()[0]
    values = (pixels / 255.0 - np.array(preprocessing["mean"])) / np.array(preprocessing["std"])
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


def labels_of(answer: np.ndarray) -> np.ndarray:
    labels = np.rint(answer) if answer.ndim == 2 else answer.argmax(axis=-1)
    return labels.clip(0, 255).astype(np.uint8)


def condensed(answer: np.ndarray) -> np.ndarray:
    """Few numbers that say what was put out: the share of each label, or the mean of each class's logits."""
    if answer.ndim == 2:
        return np.bincount(labels_of(answer).ravel(), minlength=128) / answer.size
    return answer.reshape(-1, answer.shape[-1]).mean(axis=0)


def test_picture(height: int, width: int, channels: int) -> np.ndarray:
    """The picture whose answer metrics.json holds: smooth waves, the same everywhere."""
    y, x, channel = np.mgrid[:height, :width, :channels]
    waves = (x * 97 // max(width, 1) + y * 61 // max(height, 1) + channel * 40) % 256
    return (waves * 2 % 256).astype(np.uint8)


def verify(metrics: dict, model_path: Path) -> list:
    """What is wrong with this folder, one line each."""
    problems = changed_files(metrics, HERE)
    if not problems:
        test = metrics["self_test"]
        model = load_model(model_path)
        shape = model.get_input_details()[0]["shape"][1:]
        found = condensed(answer_of(model, test_picture(*shape), metrics["preprocessing"]))
        difference = float(np.max(np.abs(found - np.array(test["logits"]))))
        if not difference <= test["tolerance"]:
            problems.append(f"model.tflite: answers {difference:.4g} away from when it was made, on a test picture")
    return problems


def colours(count: int) -> np.ndarray:
    """(count, 3) a colour for each label, none of them black: the bits of its number spread over the three."""
    found = np.zeros((count, 3), np.uint8)
    for label in range(count):
        rest = label + 1
        for shift in range(7, -1, -1):
            for channel in range(3):
                found[label, channel] |= (rest >> channel & 1) << shift
            rest >>= 3
    return found


def draw(picture: np.ndarray, labels: np.ndarray, palette: np.ndarray, share: float) -> np.ndarray:
    """The picture with the labels' colours over it; ``share`` is theirs."""
    return np.round(picture * (1 - share) + palette[labels] * share).astype(np.uint8)


def one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draw the class of every pixel with the model in this folder.")
    parser.add_argument("images", metavar="IMAGE", nargs="*", help="a picture")
    parser.add_argument("--image", action="append", default=[], help="the same; may be repeated")
    parser.add_argument(
        "-o", "--output", type=Path, help="the PNG to write, or a folder (NAME-classes.png beside this)"
    )
    parser.add_argument("--mask", type=Path, help="write the labels of one picture as an indexed PNG, too")
    parser.add_argument("--share", type=float, default=0.5, help="how much the colours cover the picture, 0 to 1 (0.5)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--verify", action="store_true", help="check this folder instead")
    parser.add_argument("--model", type=Path, default=HERE / "model.tflite", help="another file of the same model")
    arguments = parser.parse_args()
    arguments.images += arguments.image
    if not arguments.images and not arguments.verify:
        parser.error("name an image, or --verify")
    if len(arguments.images) > 1 and (arguments.mask or (arguments.output and not arguments.output.is_dir())):
        parser.error("several images need a folder for -o, and no --mask")
    if not 0 <= arguments.share <= 1:
        parser.error("--share must be from 0 to 1")
    return arguments


def work(path: str, model: Any, metrics: dict, names: list, arguments: argparse.Namespace) -> dict:
    """Draws one picture; says how much of it each class has."""
    from PIL import Image

    height, width, channels = (int(side) for side in model.get_input_details()[0]["shape"][1:])
    whole = read_picture(path, 3)[0]
    labels = labels_of(answer_of(model, read_picture(path, channels, (height, width))[0], metrics["preprocessing"]))
    size = (whole.shape[1], whole.shape[0])
    labels = np.asarray(Image.fromarray(labels).resize(size, 0), np.uint8)  # nearest
    palette = colours(256)
    output = arguments.output or Path(".")
    if output.is_dir():
        output = output / (os.path.splitext(os.path.basename(path))[0] + "-classes.png")
    Image.fromarray(draw(whole, labels, palette, arguments.share)).save(output, "PNG")
    if arguments.mask:
        indexed = Image.fromarray(labels, "P")
        indexed.putpalette(palette.ravel().tolist())
        indexed.save(arguments.mask, "PNG")
    counts = np.bincount(labels.ravel(), minlength=len(names))
    order = np.argsort(-counts[: len(names)], kind="stable")
    classes = [
        {"label": names[k], "share": round(float(counts[k] / labels.size), 6), "colour": palette[k].tolist()}
        for k in order
        if counts[k]
    ]
    return {"image": path, "output": str(output), "classes": classes}


def main() -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that lacks a character shows a replacement
            stream.reconfigure(errors="replace")
    arguments = parse()
    try:
        metrics = json.loads((HERE / "metrics.json").read_text(encoding="utf-8"))
        names = (HERE / "labels.txt").read_text(encoding="utf-8").splitlines()
        if arguments.verify:
            return report(verify(metrics, arguments.model), arguments.json)
        model = load_model(arguments.model)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        print(f"{arguments.model.name}: {error}", file=sys.stderr)
        return 1
    status = 0
    found = []
    for path in arguments.images:
        try:
            found.append(work(path, model, metrics, names, arguments))
        except (ImportError, OSError, ValueError, EOFError, MemoryError, TypeError, OverflowError) as error:
            print(one_line(f"{path}: {getattr(error, 'strerror', None) or error}"), file=sys.stderr)
            status = 2
    if arguments.json:
        print(json.dumps(found, indent=2))
        return status
    for one in found:
        shares = ", ".join(f"{entry['label']} {entry['share']:.1%}" for entry in one["classes"])
        print(f"{one['image']}\t{one['output']}\t{shares}")
    return status


def report(problems: list, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"ok": not problems, "problems": problems}, indent=2))
    else:
        print("\n".join(problems) if problems else "complete, unchanged, and it answers as it did when it was made")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
