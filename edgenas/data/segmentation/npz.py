"""One ``.npz`` file: ``x_train, y_train`` and optionally ``x_test, y_test, class_names, void_label, licence``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgenas.data.archive import array_names, read_arrays
from edgenas.data.npz import check_class_list, check_images
from edgenas.data.segmentation.example_set import example_set
from edgenas.data.segmentation.legend import MOST_CLASSES, VOID
from edgenas.data.task_data import ExampleSet
from edgenas.spaces.errors import InputError
from edgenas.spaces.text import one_line

_KEYS = ("x_train", "y_train", "x_test", "y_test", "class_names", "void_label", "licence")


def load_mask_npz(path: Path, *, name: str | None = None, seed: int = 0) -> ExampleSet:
    """Reads images (uint8, ``(N, H, W)`` or ``(N, H, W, C)``) and whole-number labels ``(N, H, W)``.

    Labels are places in ``class_names``; without that, names are numbers. ``void_label`` is the label of pixels that do
    not count; without it that is 255. Raises InputError naming the file, the key, the image and the pixel.
    """
    arrays = read_arrays(path, _KEYS, ("x_train", "x_test", "y_train", "y_test"))
    parts = ("train", "test") if "x_test" in arrays or "y_test" in arrays else ("train",)
    for key in (f"{letter}_{part}" for part in parts for letter in "xy"):
        if key not in arrays:
            found = ", ".join(sorted(array_names(path))[:20]) or "nothing"
            raise InputError(f"{path}: no key {key!r}; found {found}; expected {', '.join(_KEYS[:4])}")
    void = _void(path, arrays)
    names = check_class_list(path, arrays)
    if names is None:
        labels = arrays["y_train"]
        largest = max((int(rows[rows != void].max(initial=0)) for rows in labels), default=0) if labels.size else 0
        names = tuple(str(index) for index in range(min(largest, MOST_CLASSES) + 1))
    loaded = {}
    for part in parts:
        images = check_images(path, f"x_{part}", arrays[f"x_{part}"])
        loaded[part] = (images, _masks(path, part, arrays[f"y_{part}"], images.shape, len(names), void))
    return example_set(
        loaded,
        names=names,
        name=name or path.stem,
        licence=one_line(str(arrays["licence"]))[:500] if "licence" in arrays else "not stated in the file",
        source=str(path),
        seed=seed,
    )


def _void(path: Path, arrays: Mapping[str, np.ndarray]) -> int:
    value = arrays.get("void_label")
    if value is None:
        return VOID
    if value.size != 1 or not np.issubdtype(value.dtype, np.integer):
        raise InputError(f"{path}: 'void_label' is {value.dtype} of shape {value.shape}; expected one whole number")
    return int(value.reshape(()))


def _masks(path: Path, part: str, labels: np.ndarray, images: tuple[int, ...], classes: int, void: int) -> np.ndarray:
    key = f"y_{part}"
    if labels.ndim == 4 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if labels.ndim != 3 or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"{path}: {key!r} is {labels.dtype} of shape {labels.shape}; expected a whole number for each pixel, shape "
            "(N, height, width)"
        )
    if labels.shape != images[:3]:
        raise InputError(
            f"{path}: {key!r} has shape {labels.shape}, but x_{part} {images}; expected a label for each pixel of each "
            "image"
        )
    result = np.empty(labels.shape, np.uint8)
    for index, mask in enumerate(labels):
        wrong = (mask != void) & ((mask < 0) | (mask >= classes))
        if wrong.any():
            row, column = (int(place[0]) for place in np.nonzero(wrong))
            raise InputError(
                f"{path}: {key!r} holds {int(mask[row, column])} (image {index}, row {row}, column {column}), which is "
                f"of no class: there are {classes}, and void is {void}; mend the label, or save its number as "
                "'void_label' if such pixels do not count"
            )
        result[index] = np.where(mask == void, VOID, mask)
    return result
