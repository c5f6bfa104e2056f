"""Data sets by name for the benchmarks: what EdgeNAS loads, and .npz files whose images are JPEG files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from edgenas.data.archive import read_arrays
from edgenas.data.dataset import Dataset
from edgenas.data.loading import load_dataset


def load_set(name: str, folder: Path | None) -> Dataset:
    """A data set by name, its images decoded where they are JPEG files."""
    path = folder / f"{name}.npz" if folder else None
    if path is None or not path.is_file():
        return load_dataset(name, folder)
    arrays = dict(read_arrays(path))
    if "train_jpeg" not in arrays:
        return load_dataset(name, folder)
    images = {part: decode_jpegs(arrays[f"{part}_jpeg"], arrays[f"{part}_len"]) for part in ("train", "test")}
    labels = {part: arrays[f"y_{part}"].astype(np.int64).reshape(-1) for part in ("train", "test")}
    classes = tuple(str(label) for label in range(int(labels["train"].max()) + 1))
    return Dataset(
        name, images["train"], labels["train"], images["test"], labels["test"], classes, "see its source", str(path)
    )


def decode_jpegs(content: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """uint8 RGB images ``(N, height, width, 3)`` of JPEG files that stand one after the other."""
    from PIL import Image

    ends = np.cumsum(lengths.astype(np.int64))
    files = (content[end - length : end].tobytes() for end, length in zip(ends, lengths.astype(np.int64), strict=True))
    return np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files])
