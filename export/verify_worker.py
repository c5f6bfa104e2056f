"""Runs part of a set of images through a model file: ``python -m edgenas.export.verify_worker MODEL IMAGES START STOP
OUT``.

A process of its own, because a damaged model may crash the interpreter, and because one interpreter uses one core.
IMAGES is a ``.npy`` file of float32 NHWC images, OUT receives the float32 logits of the images START to STOP.
Exit code 2 and one line on standard error when the model or the images are wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.runtime import find_runtime
from edgenas.spaces.errors import InputError


def run_model(model: bytes, images: np.ndarray) -> np.ndarray:
    """Float logits of every image, shape (N, classes), one inference each, exactly as the file is deployed.

    Raises InputError when the interpreter refuses the model, or the images do not fit it.
    """
    try:
        interpreter = find_runtime().interpreter(model_content=model, num_threads=1)
        interpreter.allocate_tensors()
        (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(f"the interpreter cannot load the model: {' '.join(str(error).split())}") from error
    taken = tuple(int(side) for side in source["shape"])
    if taken != (1, *images.shape[1:]):
        raise InputError(f"the model takes an input of shape {taken}, not one image of shape {images.shape[1:]}")
    logits = np.empty((len(images), *target["shape"][1:]), np.float32)
    for index, image in enumerate(images):
        interpreter.set_tensor(source["index"], quantize(image[np.newaxis], source))
        interpreter.invoke()
        logits[index] = dequantize(interpreter.get_tensor(target["index"]), target)[0]
    return logits


def quantize(values: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Float values as the interpreter's tensor stores them: ``round(value / scale) + zero point``, clipped.

    A scale of 0 is the interpreter's way of saying that an integer tensor is not quantized.
    """
    dtype, (scale, zero_point) = tensor["dtype"], tensor["quantization"]
    if not np.issubdtype(dtype, np.integer):
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.round(values / (scale or 1.0)) + zero_point, limits.min, limits.max).astype(dtype)


def dequantize(values: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """The float values that the interpreter's tensor stands for."""
    scale, zero_point = tensor["quantization"]
    if not np.issubdtype(tensor["dtype"], np.integer):
        return values.astype(np.float32)
    return (values.astype(np.float32) - zero_point) * np.float32(scale or 1.0)


def main(arguments: list[str]) -> int:
    model, images, start, stop, out = arguments
    part = np.load(images, mmap_mode="r")[int(start) : int(stop)]
    try:
        np.save(out, run_model(Path(model).read_bytes(), part))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
