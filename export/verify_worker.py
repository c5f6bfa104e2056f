"""Runs part of a set of examples through a model file: ``python -m edgenas.export.verify_worker FOLDER START STOP``.

A process of its own, because a damaged model may crash the interpreter, and because one interpreter uses one core.
FOLDER holds ``model.tflite`` and, for each input of the model, ``input-0.npy``, ``input-1.npy``, ...; the outputs of
the examples START to STOP are written to ``outputs-START.npz``. Exit code 2 and one line on standard error when the
model or the examples are wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.runtime import find_runtime
from edgenas.spaces.errors import InputError


def run_model(model: bytes, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Float outputs for every example, shape (N, ...) each: one inference each, exactly as the file is deployed.

    Raises InputError when the interpreter refuses the model, or the examples do not fit it.
    """
    try:
        interpreter = find_runtime().interpreter(model_content=model, num_threads=1)
        interpreter.allocate_tensors()
        sources, targets = interpreter.get_input_details(), interpreter.get_output_details()
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(f"the interpreter cannot load the model: {' '.join(str(error).split())}") from error
    _check_shapes(sources, inputs)
    count = len(inputs[0])
    outputs = [np.empty((count, *target["shape"][1:]), np.float32) for target in targets]
    for index in range(count):
        for source, values in zip(sources, inputs, strict=True):
            interpreter.set_tensor(source["index"], quantize(values[index : index + 1], source))
        interpreter.invoke()
        for output, target in zip(outputs, targets, strict=True):
            output[index] = dequantize(interpreter.get_tensor(target["index"]), target)[0]
    return outputs


def _check_shapes(sources: Sequence[dict[str, Any]], inputs: Sequence[np.ndarray]) -> None:
    if len(sources) != len(inputs):
        raise InputError(f"the model takes {len(sources)} inputs, {len(inputs)} were given")
    for source, values in zip(sources, inputs, strict=True):
        taken = tuple(int(side) for side in source["shape"])
        if taken != (1, *values.shape[1:]):
            what = "image" if values.ndim == 4 else "example"
            raise InputError(f"the model takes an input of shape {taken}, not one {what} of shape {values.shape[1:]}")


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
    folder, start, stop = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    files = sorted(folder.glob("input-*.npy"), key=lambda path: int(path.stem.removeprefix("input-")))
    inputs = [np.load(path, mmap_mode="r")[start:stop] for path in files]
    try:
        outputs = run_model((folder / "model.tflite").read_bytes(), inputs)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    named = {f"output{place}": values for place, values in enumerate(outputs)}
    np.savez(folder / f"outputs-{start}.npz", **named)  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
