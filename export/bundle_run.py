"""Classifies images with the model in this folder:  python run.py IMAGE [IMAGE ...] [--top K]

Needs NumPy and one of ai-edge-litert, tflite-runtime or TensorFlow. An IMAGE is a picture of any size (needs Pillow)
or a .npy file that holds a uint8 array of the model's own height, width and channels.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite.python.interpreter")


def load_model() -> Any:
    for name in RUNTIMES:
        try:
            runtime = importlib.import_module(name)
        except ImportError:
            continue
        model = runtime.Interpreter(model_path=str(HERE / "model.tflite"))
        model.allocate_tensors()
        return model
    raise ValueError("no runtime found: pip install ai-edge-litert")


def read_image(path: str, height: int, width: int, channels: int) -> np.ndarray:
    if path.endswith(".npy"):
        pixels = np.load(path)
        if pixels.dtype != np.uint8 or pixels.size != height * width * channels or pixels.shape[:2] != (height, width):
            raise ValueError(f"expected uint8 {height}x{width}x{channels}, found {pixels.dtype} {pixels.shape}")
        return pixels.reshape(height, width, channels)
    from PIL import Image

    with Image.open(path) as image:
        resized = image.convert("L" if channels == 1 else "RGB").resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized, np.uint8).reshape(height, width, channels)


def classify(model: Any, pixels: np.ndarray, preprocessing: dict) -> np.ndarray:
    """The probability of every class."""
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
    shares = np.exp(logits - logits.max())
    return shares / shares.sum()


def main() -> int:
    parser = argparse.ArgumentParser(description="Classify images with the model in this folder.")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="a picture, or a .npy file of uint8 pixels")
    parser.add_argument("--top", type=int, default=3, help="how many classes to print (3)")
    arguments = parser.parse_args()
    metrics = json.loads((HERE / "metrics.json").read_text(encoding="utf-8"))
    labels = (HERE / "labels.txt").read_text(encoding="utf-8").splitlines()
    status = 0
    try:
        model = load_model()
    except (OSError, ValueError, RuntimeError) as error:
        print(f"model.tflite: {error}", file=sys.stderr)
        return 1
    for path in arguments.images:
        try:
            pixels = read_image(path, *model.get_input_details()[0]["shape"][1:])
        except (ImportError, OSError, ValueError, EOFError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            status = 2
            continue
        shares = classify(model, pixels, metrics["preprocessing"])
        for index in np.argsort(-shares, kind="stable")[: max(1, arguments.top)]:
            print(f"{path}\t{labels[index]}\t{shares[index]:.4f}")
    return status


if __name__ == "__main__":
    sys.exit(main())
