"""What an exported file really answers: its accuracy and logits, through the interpreter, on every image.

The file runs in processes of its own, at batch 1, as on a device. They import NumPy and the runtime, not TensorFlow,
so starting them costs little and a model that crashes the interpreter is an error here, not the end of the caller.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.export.temporary import temporary_folder
from edgenas.export.worker import check_worker, worker_environment
from edgenas.spaces.errors import InputError


@dataclass(frozen=True)
class Agreement:
    """How close two sets of logits are: the largest absolute difference, and the share of equal top-1 classes."""

    max_abs_difference: float
    same_top1: float


def tflite_logits(model: bytes, images: np.ndarray, *, processes: int = 2) -> np.ndarray:
    """Float logits of an exported model, shape (N, classes).

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
    processes = max(1, min(processes, len(images)))
    bounds = np.linspace(0, len(images), processes + 1).astype(int)
    with temporary_folder("verify") as folder:
        (folder / "model.tflite").write_bytes(model)
        np.save(folder / "images.npy", images.astype(np.float32, copy=False))
        workers = []
        try:
            for start, stop in itertools.pairwise(bounds):
                workers.append(_start_worker(folder, int(start), int(stop)))
            return np.concatenate([_finish_worker(folder, worker, start) for worker, start in workers])
        finally:
            for worker, _ in workers:
                worker.kill()
                worker.wait()
                assert worker.stderr is not None
                worker.stderr.close()


def tflite_accuracy(model: bytes, images: np.ndarray, labels: np.ndarray, *, processes: int = 2) -> float:
    """Share of images, in [0, 1], whose largest logit is their label's. Arguments and errors as tflite_logits."""
    if len(images) != len(labels):
        raise InputError(f"{len(images)} images but {len(labels)} labels")
    return accuracy(tflite_logits(model, images, processes=processes), labels)


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Top-1 accuracy in [0, 1] of logits of shape (N, classes); among equal logits the first class counts."""
    return float(np.mean(np.argmax(logits, axis=-1) == np.asarray(labels).reshape(-1)))


def agreement(first: np.ndarray, second: np.ndarray) -> Agreement:
    """How close two models' logits on the same images are, such as Keras and TFLite. Raises InputError on shapes."""
    if first.shape != second.shape:
        raise InputError(f"logits of different shapes cannot be compared: {first.shape} and {second.shape}")
    return Agreement(
        float(np.max(np.abs(first - second))), float(np.mean(first.argmax(axis=-1) == second.argmax(axis=-1)))
    )


def _start_worker(folder: Path, start: int, stop: int) -> tuple[subprocess.Popen[str], int]:
    command = [
        sys.executable,
        "-m",
        "edgenas.export.verify_worker",
        str(folder / "model.tflite"),
        str(folder / "images.npy"),
    ]
    command += [str(start), str(stop), str(_part(folder, start))]
    worker = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=worker_environment()
    )
    return worker, start


def _finish_worker(folder: Path, worker: subprocess.Popen[str], start: int) -> np.ndarray:
    errors = worker.communicate()[1]
    check_worker(worker.returncode, errors)
    return np.load(_part(folder, start))


def _part(folder: Path, start: int) -> Path:
    return folder / f"logits-{start}.npy"
