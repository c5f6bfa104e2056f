"""Finds things with the model in this folder, and draws a box around each, over the picture.

    python run.py --image photo.png [-o drawn.png] [--score 0.3] [--json]
    python run.py --verify               whether this folder is complete, unchanged, and answers as it did when made

Needs NumPy, Pillow, and one of ai-edge-litert, tflite-runtime or TensorFlow. A picture may have any size; what is
written has the same. Decoding and suppression are done here where the file ends before them. Exit codes: 0 done, 1 it
did not work, 2 an image is wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.bundle.boxes import decode_boxes, placed_anchors, select_boxes, sigmoid
from edgenas.export.bundle.picture_drawing import colours, draw_each, output_path
from edgenas.export.bundle.picture_input import answers_to_picture, sides_of, test_pixels
from edgenas.export.bundle.pictures import read_picture  # in a bundle, the texts of these files stand here
from edgenas.export.bundle.running import add_options, one_line, start

#: Best scores that a file which suppresses boxes itself is known again by.
TOLD_SCORES = 20


def answers(model: Any, pixels: np.ndarray, preprocessing: dict) -> list:
    """What the model puts out: box encodings (A, 4) and logits (A, classes); or four outputs."""
    return [answer.astype(np.float32) for answer in answers_to_picture(model, pixels, preprocessing)]


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


def test_answer(model: Any, metrics: dict) -> np.ndarray:
    return condensed(answers(model, test_pixels(*sides_of(model)), metrics["preprocessing"]))


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


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draw boxes around what the model in this folder finds.")
    parser.add_argument("images", metavar="IMAGE", nargs="*", help="a picture")
    parser.add_argument("--image", action="append", default=[], help="the same; may be repeated")
    parser.add_argument("-o", "--output", type=Path, help="the PNG to write, or a folder (NAME-boxes.png beside this)")
    parser.add_argument("--score", type=float, default=0.3, help="leave out boxes of lower scores, 0 to 1 (0.3)")
    add_options(parser)
    arguments = parser.parse_args()
    arguments.images += arguments.image
    if not arguments.images and not arguments.verify:
        parser.error("name an image, or --verify")
    if len(arguments.images) > 1 and arguments.output and not arguments.output.is_dir():
        parser.error("several images need a folder for -o")
    if not 0 <= arguments.score <= 1:
        parser.error("--score must be from 0 to 1")
    return arguments


def drawn(path: str, model: Any, metrics: dict, names: list, arguments: argparse.Namespace) -> dict:
    """Draws one picture; says what was found, boxes as left, top, right, bottom in its pixels."""
    height, width, channels = sides_of(model)
    whole, pixels = read_picture(path, 3)[0], read_picture(path, channels, (height, width))[0]
    answer = answers(model, pixels, metrics["preprocessing"])
    found = []
    for box, label, score in zip(*boxes_of(answer, metrics, arguments.score)):  # noqa: B905  (Python 3.7)
        top, left, bottom, right = (float(edge) for edge in box)
        edges = [left * whole.shape[1], top * whole.shape[0], right * whole.shape[1], bottom * whole.shape[0]]
        found.append(
            {
                "label": names[label] if label < len(names) else str(label),
                "score": round(float(score), 6),
                "box": [round(edge, 2) for edge in edges],
                "colour": colours(int(label) + 1)[-1].tolist(),
            }
        )
    output = output_path(path, arguments.output, "-boxes.png")
    draw(whole, found).save(output, "PNG")
    return {"image": path, "output": str(output), "boxes": found}


def told(one: dict) -> str:
    things = ", ".join("{} {:.0%}".format(one_line(box["label"]), box["score"]) for box in one["boxes"])
    return "{}\t{}\t{}".format(one_line(one["image"]), one["output"], things or "nothing found")


def work(arguments: argparse.Namespace, model: Any, metrics: dict, labels: list) -> int:
    return draw_each(arguments, lambda path: drawn(path, model, metrics, labels, arguments), told)


def main() -> int:
    return start(parse(), work, test_answer)


if __name__ == "__main__":
    sys.exit(main())
