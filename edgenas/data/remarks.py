"""What a user should hear about a data set before a search is built on it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from edgenas.data.dataset import Dataset, stratified_holdout
from edgenas.data.labels import alike

_Z = 1.959964  # 95 %
#: A figure that is less certain than this is told to be.
MAX_HALF_WIDTH = 0.05
_SHOWN = 5


def wilson_half_width(images: int) -> float:
    """Half the width of the 95 % Wilson interval of an accuracy near one half, the widest.

    >>> round(wilson_half_width(100), 3), round(wilson_half_width(2000), 3)
    (0.096, 0.022)
    """
    return _Z / (2 * math.sqrt(images + _Z**2))


def remarks(dataset: Dataset, validation_fraction: float, seed: int) -> tuple[str, ...]:
    """One sentence each: what was converted, classes that a part lacks, parts too small for a figure."""
    return (*dataset.notes, *_about_classes(dataset), *_about_sizes(dataset, validation_fraction, seed))


def _about_classes(dataset: Dataset) -> Iterator[str]:
    for one, other in alike(dataset.class_names)[:_SHOWN]:
        yield f"the classes {one!r} and {other!r} differ in case or accents only; are they one class?"
    tested = np.bincount(dataset.test_labels, minlength=dataset.classes)
    if missing := _named(dataset, tested == 0):
        yield f"no test image of class {missing}: the accuracy says nothing about these"
    trained = np.bincount(dataset.labels, minlength=dataset.classes)
    if single := _named(dataset, trained == 1):
        yield f"one training image only of class {single}: none is left to compare candidates on"


def _about_sizes(dataset: Dataset, validation_fraction: float, seed: int) -> Iterator[str]:
    held_out = int(stratified_holdout(dataset.labels, validation_fraction, np.random.default_rng(seed)).sum())
    for part, images in (("validation", held_out), ("test", len(dataset.test_labels))):
        width = wilson_half_width(images)
        if width > MAX_HALF_WIDTH:
            yield (
                f"{images} {part} images: an accuracy on them is known to within {100 * width:.0f} points only "
                "(95 % Wilson interval)"
            )


def _named(dataset: Dataset, chosen: np.ndarray) -> str:
    indices = np.flatnonzero(chosen)
    names = ", ".join(repr(dataset.class_names[index]) for index in indices[:_SHOWN])
    return f"{names} and {indices.size - _SHOWN} more" if indices.size > _SHOWN else names
