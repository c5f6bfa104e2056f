"""What a user should hear about images with boxes before a search is built on them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgenas.data.detection.example_set import class_boxes
from edgenas.data.task_data import ExampleSet

#: A class with fewer training boxes is told to be rare.
RARE = 20
#: Boxes whose shorter side has fewer pixels are hardly seen.
SMALL_PIXELS = 6.0
_SMALL_SHARE = 0.05
_SHOWN = 5


def remarks(data: ExampleSet) -> tuple[str, ...]:
    """One sentence each: classes without boxes, rare ones, boxes of few pixels, images without boxes."""
    return (*data.notes, *_about(data))


def _about(data: ExampleSet) -> Iterator[str]:
    names, trained = data.facts["classes"], np.array(data.facts["boxes"])
    tested = class_boxes(data.test.targets, len(names)).sum(axis=0)
    if missing := _named(names, trained == 0):
        yield f"no training box of class {missing}: nothing can be learned of it"
    if missing := _named(names, tested == 0):
        yield f"no test box of class {missing}: the mean average precision leaves it out"
    if rare := _named(names, (trained > 0) & (trained < RARE)):
        yield f"fewer than {RARE} training boxes of class {rare}: its figure will be rough"
    targets, (height, width) = data.train.targets, data.train.inputs["image"].shape[1:3]
    drawn = targets["boxes"][targets["labels"] >= 0]
    sides = np.minimum((drawn[:, 2] - drawn[:, 0]) * height, (drawn[:, 3] - drawn[:, 1]) * width)
    small = float((sides < SMALL_PIXELS).mean()) if len(sides) else 0.0
    if small > _SMALL_SHARE:
        yield (
            f"{small:.0%} of the training boxes are less than {SMALL_PIXELS:g} pixels high or wide at {height}x{width} "
            "pixels (height x width): a larger image_size lets them be seen"
        )
    if without := int((targets["labels"] < 0).all(axis=1).sum()):
        yield f"{without} of {len(data.train)} training images have no box: they teach what is none"


def _named(names: tuple[str, ...], chosen: np.ndarray) -> str:
    indices = np.flatnonzero(chosen)
    shown = ", ".join(repr(names[index]) for index in indices[:_SHOWN])
    return f"{shown} and {indices.size - _SHOWN} more" if indices.size > _SHOWN else shown
