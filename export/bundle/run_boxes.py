"""Finds things with the model in this folder, and draws a box around each, over the picture.

    python run.py --image photo.png [-o drawn.png] [--score 0.3] [--json]
    python run.py --verify               whether this folder is complete, unchanged, and answers as it did when made

Needs NumPy, Pillow, and one of ai-edge-litert, tflite-runtime or TensorFlow. A picture may have any size; what is
written has the same. Decoding and suppression are done here where the file ends before them. Exit codes: 0 done, 1 it
did not work, 2 an image is wrong.
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

from edgenas.export.bundle.boxes import decode_boxes, placed_anchors, select_boxes, sigmoid  # in a bundle, its text
from edgenas.export.bundle.changed import changed_files  # in a bundle, the text of that file stands here
from edgenas.export.bundle.pictures import read_picture  # in a bundle, the text of that file stands here

HERE = Path(__file__).resolve().parent
RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite.python.interpreter")
#: Best scores that a file which suppresses boxes itself is known again by.
TOLD_SCORES = 20


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


def answers_of(model: Any, pixels: np.ndarray, preprocessing: dict) -> list:
    """What the model puts out, as real numbers: box encodings (A, 4) and logits (A, classes); or four outputs."""
    source = model.get_input_details()[0]
    values = (pixels / 255.0 - np.array(preprocessing["mean"])) / np.array(preprocessing["std"])
    if source["dtype"] != np.float32:  # quantized: real = scale * (stored - zero point)
        scale, zero_point = source["quantization"]
        limits = np.iinfo(source["dtype"])
        values = np.clip(np.round(values / scale) + zero_point, limits.min, limits.max)
    model.set_tensor(source["index"], values[np.newaxis].astype(source["dtype"]))
    model.invoke()
    found = []
    for target in model.get_output_details():
        answer = model.get_tensor(target["index"])[0].astype(np.float32)
        if target["dtype"] != np.float32:
            scale, zero_point = target["quantization"]
            answer = (answer - zero_point) * np.float32(scale)
        found.append(answer)
    return found


def boxes_of(answers: list, metrics: dict, score: float) -> tuple:
    """(boxes (n, 4), classes (n,), scores (n,)), best first, of at least this score; shares of the picture's sides."""
    if len(answers) == 4:  # the file has decoded and suppressed them itself
        boxes, classes, scores = (np.asarray(values) for values in answers[:3])
        count = int(np.asarray(answers[3]).reshape(-1)[0])
        boxes, classes, scores = boxes[:count], np.rint(classes[:count]).astype(int), scores[:count]
    else:
        anchors, decoding = metrics["preprocessing"]["anchors"], metrics["decoding"]
        with np.errstate(over="ignore"):
            boxes = decode_boxes(answers[0], placed_anchors(anchors["levels"], anchors["sizes"]))
        least = max(score, decoding["score_threshold"])
        scores = sigmoid(answers[1])
        boxes, classes, scores = select_boxes(boxes, scores, decoding["overlap"], least, decoding["most_boxes"])
    kept = scores >= score
    return np.clip(boxes[kept], 0, 1), classes[kept], scores[kept]


def condensed(answers: list) -> np.ndarray:
    """Few numbers that say what was put out: the best scores, or means of encodings and logits and the largest."""
    if len(answers) == 4:
        scores = np.zeros(TOLD_SCORES)
        given = np.asarray(answers[2], np.float64).reshape(-1)[:TOLD_SCORES]
        scores[: len(given)] = given
        return scores
    boxes, logits = (np.asarray(values, np.float64) for values in answers)
    return np.concatenate([boxes.mean(axis=0), logits.mean(axis=0), logits.max(axis=0)])


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
        found = condensed(answers_of(model, test_picture(*shape), metrics["preprocessing"]))
        difference = float(np.max(np.abs(found - np.array(test["logits"]))))
        if not difference <= test["tolerance"]:
            problems.append(f"model.tflite: answers {difference:.4g} away from when it was made, on a test picture")
    return problems


def colour(label: int) -> tuple:
    """A colour for each label, none of them black: the bits of its number spread over the three."""
    found, rest = [0, 0, 0], label + 1
    for shift in range(7, -1, -1):
        for channel in range(3):
            found[channel] |= (rest >> channel & 1) << shift
        rest >>= 3
    return tuple(found)


def draw(picture: np.ndarray, found: list) -> Any:
    """A Pillow image of the picture with a box, a name and a score for each thing."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    pencil = ImageDraw.Draw(image)
    thickness = max(1, round(min(image.size) / 160))
    for thing in reversed(found):  # the best one on top
        left, top, right, bottom = thing["box"]
        edges = [min(left, right - 1), min(top, bottom - 1), max(right - 1, left), max(bottom - 1, top)]
        pencil.rectangle(edges, outline=tuple(thing["colour"]), width=thickness)
        words = "{} {:.0%}".format(one_line(thing["label"]), thing["score"])
        words = words.encode("latin-1", "replace").decode("latin-1")  # what Pillow's own letters can write
        place = (max(0, edges[0] + thickness), max(0, edges[1] - 11 if edges[1] >= 11 else edges[1] + thickness))
        pencil.text(place, words, fill=tuple(thing["colour"]))
    return image


def one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draw boxes around what the model in this folder finds.")
    parser.add_argument("images", metavar="IMAGE", nargs="*", help="a picture")
    parser.add_argument("--image", action="append", default=[], help="the same; may be repeated")
    parser.add_argument("-o", "--output", type=Path, help="the PNG to write, or a folder (NAME-boxes.png beside this)")
    parser.add_argument("--score", type=float, default=0.3, help="leave out boxes of lower scores, 0 to 1 (0.3)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--verify", action="store_true", help="check this folder instead")
    parser.add_argument("--model", type=Path, default=HERE / "model.tflite", help="another file of the same model")
    arguments = parser.parse_args()
    arguments.images += arguments.image
    if not arguments.images and not arguments.verify:
        parser.error("name an image, or --verify")
    if len(arguments.images) > 1 and arguments.output and not arguments.output.is_dir():
        parser.error("several images need a folder for -o")
    if not 0 <= arguments.score <= 1:
        parser.error("--score must be from 0 to 1")
    return arguments


def work(path: str, model: Any, metrics: dict, names: list, arguments: argparse.Namespace) -> dict:
    """Draws one picture; says what was found, boxes as left, top, right, bottom in its pixels."""
    height, width, channels = (int(side) for side in model.get_input_details()[0]["shape"][1:])
    whole = read_picture(path, 3)[0]
    answers = answers_of(model, read_picture(path, channels, (height, width))[0], metrics["preprocessing"])
    found = []
    for box, label, score in zip(*boxes_of(answers, metrics, arguments.score)):  # noqa: B905  (Python 3.7)
        top, left, bottom, right = (float(edge) for edge in box)
        edges = [left * whole.shape[1], top * whole.shape[0], right * whole.shape[1], bottom * whole.shape[0]]
        found.append(
            {
                "label": names[label] if label < len(names) else str(label),
                "score": round(float(score), 6),
                "box": [round(edge, 2) for edge in edges],
                "colour": list(colour(int(label))),
            }
        )
    output = arguments.output or Path(".")
    if output.is_dir():
        output = output / (os.path.splitext(os.path.basename(path))[0] + "-boxes.png")
    draw(whole, found).save(output, "PNG")
    return {"image": path, "output": str(output), "boxes": found}


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
        things = ", ".join("{} {:.0%}".format(one_line(box["label"]), box["score"]) for box in one["boxes"])
        print("{}\t{}\t{}".format(one_line(one["image"]), one["output"], things or "nothing found"))
    return status


def report(problems: list, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"ok": not problems, "problems": problems}, indent=2))
    else:
        print("\n".join(problems) if problems else "complete, unchanged, and it answers as it did when it was made")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
