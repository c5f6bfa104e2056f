"""Tells the class of every pixel with the model in this folder, and draws it over the picture.

    python run.py --image photo.png [-o drawn.png] [--mask labels.png] [--json]
    python run.py --verify               whether this folder is complete, unchanged, and answers as it did when made

Needs NumPy, Pillow, and one of ai-edge-litert, tflite-runtime or TensorFlow. A picture may have any size; what is
written has the same. --mask writes the labels themselves as an indexed PNG. Exit codes: 0 done, 1 it did not work, 2 an
image is wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.bundle.picture_drawing import colours, draw_each, output_path
from edgenas.export.bundle.picture_input import answers_to_picture, sides_of, test_pixels
from edgenas.export.bundle.pictures import read_picture  # in a bundle, the texts of these files stand here
from edgenas.export.bundle.running import add_options, start


def labels_of(answer: np.ndarray) -> np.ndarray:
    labels = np.rint(answer) if answer.ndim == 2 else answer.argmax(axis=-1)
    return labels.clip(0, 255).astype(np.uint8)


def condensed(answer: np.ndarray) -> np.ndarray:
    """Few numbers that say what was put out: the share of each label, or the mean of each class's logits."""
    if answer.ndim == 2:
        return np.bincount(labels_of(answer).ravel(), minlength=128) / answer.size
    return answer.reshape(-1, answer.shape[-1]).mean(axis=0)


def test_answer(model: Any, metrics: dict) -> np.ndarray:
    return condensed(answers_to_picture(model, test_pixels(*sides_of(model)), metrics["preprocessing"])[0])


def draw(picture: np.ndarray, labels: np.ndarray, palette: np.ndarray, share: float) -> np.ndarray:
    """The picture with the labels' colours over it; ``share`` is theirs."""
    return np.round(picture * (1 - share) + palette[labels] * share).astype(np.uint8)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draw the class of every pixel with the model in this folder.")
    parser.add_argument("images", metavar="IMAGE", nargs="*", help="a picture")
    parser.add_argument("--image", action="append", default=[], help="the same; may be repeated")
    parser.add_argument(
        "-o", "--output", type=Path, help="the PNG to write, or a folder (NAME-classes.png beside this)"
    )
    parser.add_argument("--mask", type=Path, help="write the labels of one picture as an indexed PNG, too")
    parser.add_argument("--share", type=float, default=0.5, help="how much the colours cover the picture, 0 to 1 (0.5)")
    add_options(parser)
    arguments = parser.parse_args()
    arguments.images += arguments.image
    if not arguments.images and not arguments.verify:
        parser.error("name an image, or --verify")
    if len(arguments.images) > 1 and (arguments.mask or (arguments.output and not arguments.output.is_dir())):
        parser.error("several images need a folder for -o, and no --mask")
    if not 0 <= arguments.share <= 1:
        parser.error("--share must be from 0 to 1")
    return arguments


def drawn(path: str, model: Any, metrics: dict, names: list, arguments: argparse.Namespace) -> dict:
    """Draws one picture; says how much of it each class has."""
    from PIL import Image

    height, width, channels = sides_of(model)
    whole, pixels = read_picture(path, 3)[0], read_picture(path, channels, (height, width))[0]
    labels = labels_of(answers_to_picture(model, pixels, metrics["preprocessing"])[0])
    size = (whole.shape[1], whole.shape[0])
    labels = np.asarray(Image.fromarray(labels).resize(size, 0), np.uint8)  # nearest
    palette = colours(256)
    output = output_path(path, arguments.output, "-classes.png")
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


def told(one: dict) -> str:
    shares = ", ".join(f"{entry['label']} {entry['share']:.1%}" for entry in one["classes"])
    return f"{one['image']}\t{one['output']}\t{shares}"


def work(arguments: argparse.Namespace, model: Any, metrics: dict, labels: list) -> int:
    return draw_each(arguments, lambda path: drawn(path, model, metrics, labels, arguments), told)


def main() -> int:
    return start(parse(), work, test_answer)


if __name__ == "__main__":
    sys.exit(main())
