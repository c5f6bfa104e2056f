"""Data sets in one ``.npz`` file: ``x_train, y_train, x_test, y_test`` and optionally ``class_names, licence``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgenas.data.archive import array_names, read_arrays
from edgenas.data.dataset import Dataset, split_off_test
from edgenas.spaces.errors import InputError
from edgenas.spaces.text import one_line

REQUIRED_KEYS = ("x_train", "y_train")
_TEST_KEYS = ("x_test", "y_test")
#: Larger labels are no class indices, whatever the file says.
_MAX_LABEL = 10**6


def load_npz(
    path: Path, *, name: str | None = None, class_names: tuple[str, ...] | None = None, seed: int = 0
) -> Dataset:
    """Reads images (uint8, ``(N, H, W)`` or ``(N, H, W, C)``) and integer labels ``(N,)``.

    Without ``x_test`` and ``y_test`` a test part is split off, the same for the same seed. Class names come from the
    file, else from the argument, else they are the numbers. Raises InputError naming the file, the key, what was
    found and what was expected. Pickled objects in the file are refused.
    """
    arrays = read_arrays(path, (*REQUIRED_KEYS, *_TEST_KEYS, "class_names", "licence"), ("x_train", "x_test"))
    parts = ("train", "test") if any(key in arrays for key in _TEST_KEYS) else ("train",)
    for key in (*REQUIRED_KEYS, *(_TEST_KEYS if "test" in parts else ())):
        if key not in arrays:
            raise InputError(
                f"{path}: no key {key!r}; found {', '.join(sorted(array_names(path))[:20]) or 'nothing'}; "
                f"expected {', '.join((*REQUIRED_KEYS, *_TEST_KEYS))}"
            )
    loaded = {}
    for part in parts:
        labels = _labels(path, f"y_{part}", arrays[f"y_{part}"])
        images = check_images(path, f"x_{part}", arrays[f"x_{part}"])
        if len(images) != len(labels):
            raise InputError(
                f"{path}: x_{part} has {len(images)} images but y_{part} {len(labels)} labels; "
                "expected one label for each image"
            )
        loaded[part] = (images, labels)
    names = check_class_list(path, arrays) or class_names or _numbers(path, loaded["train"][1])
    notes: tuple[str, ...] = ()
    if "test" not in loaded:
        loaded["train"], loaded["test"], notes = split_off_test(*loaded["train"], seed, f"{path} (no x_test, y_test)")
    return Dataset(
        name=name or path.stem,
        images=loaded["train"][0],
        labels=loaded["train"][1],
        test_images=loaded["test"][0],
        test_labels=loaded["test"][1],
        class_names=names,
        licence=one_line(str(arrays["licence"]))[:500] if "licence" in arrays else "not stated in the file",
        source=str(path),
        notes=notes,
    )


def check_images(path: Path, key: str, images: np.ndarray) -> np.ndarray:
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
    wrong = np.flatnonzero(labels > _MAX_LABEL) if labels.size else labels
    if wrong.size:
        raise InputError(
            f"{path}: {key!r} holds {labels[wrong[0]]} (image {wrong[0]}); expected class indices from 0 without gaps"
        )
    return labels.astype(np.int64)


def check_class_list(path: Path, arrays: Mapping[str, np.ndarray]) -> tuple[str, ...] | None:
    names = arrays.get("class_names")
    if names is None:
        return None
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise InputError(
            f"{path}: 'class_names' is {names.dtype} of shape {names.shape}; expected a list of strings, one per class"
        )
    try:
        return tuple(name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in names.tolist())
    except ValueError as error:  # bytes that are no UTF-8, code points that do not exist
        raise InputError(f"{path}: 'class_names' holds what is no text ({error}); save UTF-8 strings") from None


def _numbers(path: Path, labels: np.ndarray) -> tuple[str, ...]:
    classes = int(labels.max(initial=-1)) + 1
    if classes > len(labels):
        raise InputError(
            f"{path}: 'y_train' has labels up to {classes - 1} for {len(labels)} images, so no training image of some "
            "class; expected class indices from 0 without gaps"
        )
    return tuple(str(label) for label in range(classes))
