"""Data sets that Keras downloads by name (about 10-200 MB, kept in ``~/.keras/datasets``)."""

from __future__ import annotations

import contextlib
import sys

import numpy as np

from edgenas.data.bundled import FASHION_MNIST_CLASSES
from edgenas.data.dataset import Dataset
from edgenas.spaces.errors import InputError, WorkError

_DIGITS = tuple(str(digit) for digit in range(10))
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
#: name: (class names, licence as stated by the authors)
KERAS_SETS: dict[str, tuple[tuple[str, ...], str]] = {
    "mnist": (_DIGITS, "CC BY-SA 3.0"),
    "fashion_mnist": (FASHION_MNIST_CLASSES, "MIT"),
    "cifar10": (_CIFAR10, "none stated by the authors"),
    "cifar100": (tuple(f"class {index}" for index in range(100)), "none stated by the authors"),
}


def load_keras_set(name: str) -> Dataset:
    """Downloads (once) and loads. Raises InputError for an unknown name, WorkError when the download fails."""
    if name not in KERAS_SETS:
        raise InputError(f"unknown Keras data set 'keras:{name}': expected one of {', '.join(sorted(KERAS_SETS))}")
    from edgenas.export._tensorflow import keras

    class_names, licence = KERAS_SETS[name]
    try:
        # Keras draws its download bar on standard output, which belongs to data.
        with contextlib.redirect_stdout(sys.stderr):
            (images, labels), (test_images, test_labels) = getattr(keras().datasets, name).load_data()
    except Exception as error:
        raise WorkError(
            f"keras:{name} could not be downloaded ({error}); without a network, save x_train, y_train, x_test, "
            f"y_test as {name}.npz in a folder, give that as --data-dir, and use the name {name!r}"
        ) from None
    return Dataset(
        name=name,
        images=_with_channel(images),
        labels=labels.reshape(-1).astype(np.int64),
        test_images=_with_channel(test_images),
        test_labels=test_labels.reshape(-1).astype(np.int64),
        class_names=class_names,
        licence=licence,
        source=f"keras.datasets.{name}",
    )


def _with_channel(images: np.ndarray) -> np.ndarray:
    return images[..., np.newaxis] if images.ndim == 3 else images
