"""What an exported file really answers: its outputs, through the interpreter, on every example. Tasks judge them.

The file runs in processes of its own, at batch 1, as on a device. They import NumPy and the runtime, not TensorFlow,
so starting them costs little and a model that crashes the interpreter is an error here, not the end of the caller.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.temporary import temporary_folder
from edgenas.export.worker import check_worker, worker_environment
from edgenas.spaces.errors import InputError

#: Rows that are written at once.
_ROWS = 512


@dataclass(frozen=True)
class Agreement:
    """How close two sets of logits are: the largest absolute difference, and the share of equal top-1 classes."""

    max_abs_difference: float
    same_top1: float


def tflite_logits(model: bytes, images: np.ndarray, *, processes: int = 2) -> np.ndarray:
    """Float outputs of an exported model of one image input and one output, shape (N, ...).

    Args:
        model: the ``.tflite`` file. Integer inputs and outputs are quantized and dequantized here.
        images: float32 NHWC after preprocessing, as the float model takes them.
        processes: how many to run at once; each uses one thread.

    Raises:
        InputError: the interpreter refuses the model, or the images do not fit it.
        WorkError: the interpreter crashed, with the signal and its last words.
    """
    if images.ndim != 4 or not len(images):
        raise InputError(f"expected float32 images of shape (N, height, width, channels), N > 0; found {images.shape}")
    outputs = tflite_outputs(model, [images], processes=processes)
    if len(outputs) != 1:
        raise InputError(f"the model has {len(outputs)} outputs, expected one")
    return outputs[0]


def tflite_outputs(model: bytes, inputs: Sequence[Any], *, processes: int = 2) -> list[np.ndarray]:
    """Float outputs of an exported model, an array of shape (N, ...) for each of its outputs, in the file's order.

    Args:
        model: as for :func:`tflite_logits`.
        inputs: for each input of the file, in its order, what the float model takes of N examples: an array, or
            anything that gives arrays of rows by slices.
        processes: how many to run at once; each uses one thread.

    Raises as :func:`tflite_logits` does.
    """
    counts = {len(values) for values in inputs}
    if len(counts) != 1 or 0 in counts:
        raise InputError(f"expected equally many examples of every input, at least one; found {sorted(counts)}")
    (count,) = counts
    processes = max(1, min(processes, count))
    bounds = np.linspace(0, count, processes + 1).astype(int)
    with temporary_folder("verify") as folder:
        (folder / "model.tflite").write_bytes(model)
        for place, values in enumerate(inputs):
            _save(folder / f"input-{place}.npy", values)
        workers = []
        try:
            for start, stop in itertools.pairwise(bounds):
                workers.append(_start_worker(folder, int(start), int(stop)))
            parts = [_finish_worker(folder, worker, start) for worker, start in workers]
            return [np.concatenate(output) for output in zip(*parts, strict=True)]
        finally:
            for worker, _ in workers:
                worker.kill()
                worker.wait()
                assert worker.stderr is not None
                worker.stderr.close()


def _save(path: Path, values: Any) -> None:
    """Writes rows as the worker reads them, part by part: they may be more than fit into memory."""
    dtype = values.dtype if np.issubdtype(values.dtype, np.integer) else np.float32
    file = np.lib.format.open_memmap(path, "w+", dtype, tuple(values.shape))
    for start in range(0, len(values), _ROWS):
        file[start : start + _ROWS] = values[start : start + _ROWS]
    file.flush()


def agreement(first: np.ndarray, second: np.ndarray) -> Agreement:
    """How close two models' logits on the same images are, such as Keras and TFLite. Raises InputError on shapes."""
    if first.shape != second.shape:
        raise InputError(f"logits of different shapes cannot be compared: {first.shape} and {second.shape}")
    return Agreement(
        float(np.max(np.abs(first - second))), float(np.mean(first.argmax(axis=-1) == second.argmax(axis=-1)))
    )


def _start_worker(folder: Path, start: int, stop: int) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-m", "edgenas.export.verify_worker", str(folder), str(start), str(stop)]
    worker = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=worker_environment()
    )
    return worker, start


def _finish_worker(folder: Path, worker: subprocess.Popen[str], start: int) -> list[np.ndarray]:
    errors = worker.communicate()[1]
    check_worker(worker.returncode, errors)
    with np.load(folder / f"outputs-{start}.npz") as found:
        return [found[f"output{place}"] for place in range(len(found.files))]
