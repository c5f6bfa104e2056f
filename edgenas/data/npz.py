"""Data sets in one ``.npz`` file: ``x_train, y_train, x_test, y_test`` and optionally ``class_names, licence``."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgenas.data.dataset import Dataset
from edgenas.spaces.errors import InputError

REQUIRED_KEYS = ("x_train", "y_train", "x_test", "y_test")


def load_npz(path: Path, *, name: str | None = None, class_names: tuple[str, ...] | None = None) -> Dataset:
    """Reads images (uint8, ``(N, H, W)`` or ``(N, H, W, C)``) and integer labels ``(N,)``.

    Class names come from the file, else from the argument, else they are the numbers. Raises InputError naming the
    file, the key, what was found and what was expected. Pickled objects in the file are refused.
    """
    arrays = read_arrays(path)
    for key in REQUIRED_KEYS:
        if key not in arrays:
            raise InputError(
                f"{path}: no key {key!r}; found {', '.join(sorted(arrays)) or 'nothing'}; "
                f"expected {', '.join(REQUIRED_KEYS)}"
            )
    labels = {part: _labels(path, f"y_{part}", arrays[f"y_{part}"]) for part in ("train", "test")}
    images = {part: _images(path, f"x_{part}", arrays[f"x_{part}"]) for part in ("train", "test")}
    for part in ("train", "test"):
        if len(images[part]) != len(labels[part]):
            raise InputError(
                f"{path}: x_{part} has {len(images[part])} images but y_{part} {len(labels[part])} labels; "
                "expected one label for each image"
            )
    return Dataset(
        name=name or path.stem,
        images=images["train"],
        labels=labels["train"],
        test_images=images["test"],
        test_labels=labels["test"],
        class_names=_class_names(path, arrays, labels["train"]) or class_names or _numbers(labels["train"]),
        licence=str(arrays["licence"]) if "licence" in arrays else "not stated in the file",
        source=str(path),
    )


def read_arrays(path: Path) -> Mapping[str, np.ndarray]:
    """All arrays of an ``.npz`` file by key; no pickle. Raises InputError when it cannot be read."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected an .npz file with the keys {', '.join(REQUIRED_KEYS)}")
    key = "?"
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise InputError(f"{path}: found a single array; expected an .npz archive made by numpy.savez")
        arrays = {}
        with loaded as archive:
            for key in archive.files:
                arrays[key] = archive[key]
            return arrays
    except InputError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if "pickle" in str(error).lower() and key != "?":
            raise InputError(
                f"{path}: {key!r} holds Python objects, which are not loaded because they can run code; "
                "save it as a plain array of numbers or strings"
            ) from None
        raise InputError(f"{path}: not a readable .npz file ({error}); make it with numpy.savez") from None


def _images(path: Path, key: str, images: np.ndarray) -> np.ndarray:
    if images.dtype != np.uint8:
        raise InputError(
            f"{path}: {key!r} is {images.dtype}; expected uint8 pixels from 0 to 255 "
            f"(floats in [0, 1]: save numpy.round(255 * {key}).astype('uint8'))"
        )
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape[1:]:
        raise InputError(
            f"{path}: {key!r} has shape {images.shape}; expected (N, height, width) or "
            "(N, height, width, channels) with 1 or 3 channels"
        )
    return images


def _labels(path: Path, key: str, labels: np.ndarray) -> np.ndarray:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"{path}: {key!r} is {labels.dtype} of shape {labels.shape}; expected one integer class index per image, "
            "shape (N,)"
        )
    return labels.astype(np.int64)


def _class_names(path: Path, arrays: Mapping[str, np.ndarray], labels: np.ndarray) -> tuple[str, ...] | None:
    names = arrays.get("class_names")
    if names is None:
        return None
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise InputError(
            f"{path}: 'class_names' is {names.dtype} of shape {names.shape}; expected a list of strings, one per class"
        )
    return tuple(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names.tolist())


def _numbers(labels: np.ndarray) -> tuple[str, ...]:
    return tuple(str(label) for label in range(int(labels.max(initial=-1)) + 1))
