"""Classifies images with the model in this folder.

    python run.py --image photo.png [--image ...] [--top K] [--json]
    python run.py --camera [NUMBER]      one frame of a camera (needs opencv-python)
    python run.py --verify               whether this folder is complete, unchanged, and answers as it did when made

Needs NumPy and one of ai-edge-litert, tflite-runtime or TensorFlow. An image is a picture of any size (needs Pillow) or
a .npy file that holds a uint8 array of the model's own height, width and channels. With --edgetpu the model, compiled
with edgetpu_compiler, runs on a Coral Edge TPU. Exit codes: 0 done, 1 it did not work, 2 an image is wrong.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import sys
from typing import Any

import numpy as np

from edgenas.export.bundle.picture_input import PICTURE_ERRORS, answers_to_picture, sides_of, test_pixels
from edgenas.export.bundle.pictures import read_picture  # in a bundle, the texts of these files stand here
from edgenas.export.bundle.running import add_options, refuse, start

EDGETPU_LIBRARY = "libedgetpu.so.1"


def load_edgetpu(runtime: Any) -> Any:
    try:
        ctypes.CDLL(EDGETPU_LIBRARY)  # says more than the runtime where the library is missing
        return runtime.load_delegate(EDGETPU_LIBRARY)
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"--edgetpu: {EDGETPU_LIBRARY} cannot be loaded ({str(error) or 'it gave no reason'}): connect an Edge TPU "
            "and install libedgetpu1-std, see https://coral.ai/docs/accelerator/get-started; nothing was run on the CPU"
        ) from None


def read_image(path: str, height: int, width: int, channels: int) -> np.ndarray:
    if path.endswith(".npy"):
        if not os.path.isfile(path):
            raise ValueError("no such file, or no regular one")
        with open(path, "rb") as file:
            if file.read(6) != b"\x93NUMPY":
                raise ValueError("expected one array, as numpy.save writes it")
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: a shape that is not there takes no memory
        if pixels.dtype != np.uint8 or pixels.size != height * width * channels or pixels.shape[:2] != (height, width):
            raise ValueError(f"expected uint8 {height}x{width}x{channels}, found {pixels.dtype} {pixels.shape}")
        return np.array(pixels).reshape(height, width, channels)
    return read_picture(path, channels, (height, width))[0]


def read_camera(number: int, height: int, width: int, channels: int) -> np.ndarray:
    try:
        import cv2  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise ValueError("--camera needs OpenCV: pip install opencv-python-headless") from None
    camera = cv2.VideoCapture(number)
    try:
        done, frame = camera.read()
    finally:
        camera.release()
    if not done:
        raise ValueError(f"camera {number} gives no picture; is it there, and may this user read it?")
    colours = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY if channels == 1 else cv2.COLOR_BGR2RGB)
    return cv2.resize(colours, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width, channels)


def classify(model: Any, pixels: np.ndarray, preprocessing: dict) -> np.ndarray:
    """The probability of every class."""
    logits = answers_to_picture(model, pixels, preprocessing)[0]
    shares = np.exp(logits - logits.max())
    return shares / shares.sum()


def test_answer(model: Any, metrics: dict) -> np.ndarray:
    return answers_to_picture(model, test_pixels(*sides_of(model)), metrics["preprocessing"])[0]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Classify images with the model in this folder.")
    parser.add_argument("images", metavar="IMAGE", nargs="*", help="a picture, or a .npy file of uint8 pixels")
    parser.add_argument("--image", action="append", default=[], help="the same; may be repeated")
    parser.add_argument("--camera", type=int, nargs="?", const=0, metavar="NUMBER", help="one frame of a camera (0)")
    parser.add_argument("--top", type=int, default=3, help="how many classes to print (3)")
    parser.add_argument("--edgetpu", action="store_true", help="run on a Coral Edge TPU")
    add_options(parser)
    arguments = parser.parse_args()
    arguments.images += arguments.image
    if not arguments.images and arguments.camera is None and not arguments.verify:
        parser.error("name an image, or --camera, or --verify")
    return arguments


def work(arguments: argparse.Namespace, model: Any, metrics: dict, labels: list) -> int:
    status = 0
    found: list = []
    sources: list = [(path, read_image, path) for path in arguments.images]
    if arguments.camera is not None:
        sources.append((f"camera {arguments.camera}", read_camera, arguments.camera))
    for name, read, source in sources:
        try:
            pixels = read(source, *sides_of(model))
        except PICTURE_ERRORS as error:
            refuse(name, error)
            status = 2
            continue
        shares = classify(model, pixels, metrics["preprocessing"])
        best = np.argsort(-shares, kind="stable")[: max(1, arguments.top)]
        classes = [{"label": labels[index], "probability": round(float(shares[index]), 6)} for index in best]
        found.append({"image": name, "classes": classes})
        for entry in [] if arguments.json else classes:
            print(f"{name}\t{entry['label']}\t{entry['probability']:.4f}")
    if arguments.json:
        print(json.dumps(found, indent=2))
    return status


def main() -> int:
    arguments = parse()
    return start(arguments, work, test_answer, load_edgetpu if arguments.edgetpu else None)


if __name__ == "__main__":
    sys.exit(main())
