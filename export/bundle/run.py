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
EDGETPU_LIBRARY = "libedgetpu.so.1"


def load_model(path: Path, edgetpu: bool = False) -> Any:
    for name in RUNTIMES:
        try:
            runtime = importlib.import_module(name)
        except ImportError:
            continue
        delegates = [load_edgetpu(runtime)] if edgetpu else None
        model = runtime.Interpreter(model_path=str(path), experimental_delegates=delegates)
        model.allocate_tensors()
        return model
    raise ValueError("no runtime found: pip install ai-edge-litert")


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


def logits_of(model: Any, pixels: np.ndarray, preprocessing: dict) -> np.ndarray:
    source, target = model.get_input_details()[0], model.get_output_details()[0]
    values = (pixels / 255.0 - np.array(preprocessing["mean"])) / np.array(preprocessing["std"])
    if source["dtype"] != np.float32:  # quantized: real = scale * (stored - zero point)
        scale, zero_point = source["quantization"]
        limits = np.iinfo(source["dtype"])
        values = np.clip(np.round(values / scale) + zero_point, limits.min, limits.max)
    model.set_tensor(source["index"], values[np.newaxis].astype(source["dtype"]))
    model.invoke()
    logits = model.get_tensor(target["index"])[0].astype(np.float64)
    if target["dtype"] != np.float32:
        logits = (logits - target["quantization"][1]) * target["quantization"][0]
    return logits


def classify(model: Any, pixels: np.ndarray, preprocessing: dict) -> np.ndarray:
    """The probability of every class."""
    logits = logits_of(model, pixels, preprocessing)
    shares = np.exp(logits - logits.max())
    return shares / shares.sum()


def test_pixels(height: int, width: int, channels: int) -> np.ndarray:
    """The picture whose logits metrics.json holds: smooth waves, the same everywhere."""
    y, x, channel = np.mgrid[:height, :width, :channels]
    waves = (x * 97 // max(width, 1) + y * 61 // max(height, 1) + channel * 40) % 256
    return (waves * 2 % 256).astype(np.uint8)


def verify(metrics: dict, model_path: Path) -> list[str]:
    """What is wrong with this folder, one line each."""
    problems = changed_files(metrics, HERE)
    if not problems:
        test = metrics["self_test"]
        model = load_model(model_path)
        shape = model.get_input_details()[0]["shape"][1:]
        found = logits_of(model, test_pixels(*shape), metrics["preprocessing"])
        difference = float(np.max(np.abs(found - np.array(test["logits"]))))
        if not difference <= test["tolerance"]:
            problems.append(f"model.tflite: answers {difference:.4g} away from when it was made, on a test picture")
    return problems


def one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Classify images with the model in this folder.")
    parser.add_argument("images", metavar="IMAGE", nargs="*", help="a picture, or a .npy file of uint8 pixels")
    parser.add_argument("--image", action="append", default=[], help="the same; may be repeated")
    parser.add_argument("--camera", type=int, nargs="?", const=0, metavar="NUMBER", help="one frame of a camera (0)")
    parser.add_argument("--top", type=int, default=3, help="how many classes to print (3)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--verify", action="store_true", help="check this folder instead")
    parser.add_argument("--edgetpu", action="store_true", help="run on a Coral Edge TPU")
    parser.add_argument("--model", type=Path, default=HERE / "model.tflite", help="another file of the same model")
    arguments = parser.parse_args()
    arguments.images += arguments.image
    if not arguments.images and arguments.camera is None and not arguments.verify:
        parser.error("name an image, or --camera, or --verify")
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
        model = load_model(arguments.model, arguments.edgetpu)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        print(f"{arguments.model.name}: {error}", file=sys.stderr)
        return 1
    shape = [int(side) for side in model.get_input_details()[0]["shape"][1:]]
    status = 0
    found: list = []
    sources: list = [(path, read_image, path) for path in arguments.images]
    if arguments.camera is not None:
        sources.append((f"camera {arguments.camera}", read_camera, arguments.camera))
    for name, read, source in sources:
        try:
            pixels = read(source, *shape)
        except (ImportError, OSError, ValueError, EOFError, MemoryError, TypeError, OverflowError) as error:
            print(one_line(f"{name}: {getattr(error, 'strerror', None) or error}"), file=sys.stderr)
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


def report(problems: list, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"ok": not problems, "problems": problems}, indent=2))
    else:
        print("\n".join(problems) if problems else "complete, unchanged, and it answers as it did when it was made")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
