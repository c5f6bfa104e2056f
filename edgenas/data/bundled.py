"""The data that come with EdgeNAS: a stratified subset of Fashion-MNIST, compressed without loss.

Pixels of similar images side by side compress best, so they are stored sorted by class as one LZMA stream
(about 370 bytes an image, where PNG needs 390 and zip 440): more images in the same size.
"""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np

from edgenas.data.archive import read_arrays
from edgenas.data.dataset import Dataset

FASHION_MNIST_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
BUNDLED_NAMES = ("fashion_mnist_subset",)
FOLDER = Path(__file__).parent / "bundled"


def load_bundled(name: str) -> Dataset:
    """One of :data:`BUNDLED_NAMES`. Takes about 0.3 s."""
    arrays = read_arrays(FOLDER / f"{name}.npz")
    parts = {}
    for part in ("train", "test"):
        labels = arrays[f"y_{part}"].astype(np.int64)
        parts[part] = (unpack_images(arrays[f"x_{part}_lzma"], arrays[f"x_{part}_shape"]), labels)
    return Dataset(
        name=name,
        images=parts["train"][0],
        labels=parts["train"][1],
        test_images=parts["test"][0],
        test_labels=parts["test"][1],
        class_names=tuple(arrays["class_names"].tolist()),
        licence=str(arrays["licence"]),
        source=str(arrays["source"]),
    )


def pack_images(images: np.ndarray) -> np.ndarray:
    """uint8 images as the bytes of one LZMA stream, itself a uint8 array."""
    stream = lzma.compress(np.ascontiguousarray(images).tobytes(), preset=9 | lzma.PRESET_EXTREME)
    return np.frombuffer(stream, np.uint8)


def unpack_images(stream: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """The inverse of :func:`pack_images`, with a new axis for the channel of grey images.

    >>> images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    >>> (unpack_images(pack_images(images), np.array(images.shape))[..., 0] == images).all()
    np.True_
    """
    pixels = np.frombuffer(lzma.decompress(stream.tobytes()), np.uint8).reshape(tuple(shape))
    return pixels[..., np.newaxis] if pixels.ndim == 3 else pixels
