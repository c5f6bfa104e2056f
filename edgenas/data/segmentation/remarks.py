"""What a user should hear about images with masks before a search is built on them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgenas.data.segmentation.example_set import class_pixels
from edgenas.data.task_data import ExampleSet

#: A class with less of the pixels is told to be rare.
RARE = 0.002
_SHOWN = 5


def remarks(data: ExampleSet) -> tuple[str, ...]:
    """One sentence each: classes that a part lacks, and rare ones."""
    return (*data.notes, *_about_classes(data))


def _about_classes(data: ExampleSet) -> Iterator[str]:
    names, trained = data.facts["classes"], np.array(data.facts["pixels"], np.int64)
    tested = class_pixels(data.test.targets, len(names)).sum(axis=0)
    shares = trained / max(1, trained.sum())
    if missing := _named(names, trained == 0):
        yield f"no training pixel of class {missing}: nothing can be learned of it"
    if missing := _named(names, tested == 0):
        yield f"no test pixel of class {missing}: the mean IoU leaves it out where nothing is taken for it"
    if rare := _named(names, (trained > 0) & (shares < RARE)):
        yield (
            f"less than {RARE:.1%} of the training pixels are of class {rare}: task_options "
            "{class_weights: balanced} lets them count for more"
        )


def _named(names: tuple[str, ...], chosen: np.ndarray) -> str:
    indices = np.flatnonzero(chosen)
    shown = ", ".join(repr(names[index]) for index in indices[:_SHOWN])
    return f"{shown} and {indices.size - _SHOWN} more" if indices.size > _SHOWN else shown
