"""What every reader of masks hands over: checked examples with what is remembered of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgenas.data.examples import ArrayExamples, chunks, select
from edgenas.data.segmentation.legend import VOID, check_classes
from edgenas.data.task_data import ExampleSet
from edgenas.spaces.errors import InputError

#: Share of the examples that become the test part where there is none.
TEST_FRACTION = 0.2
_CHUNK_ROWS = 64

#: Images (N, height, width, channels) and labels (N, height, width), uint8 each.
Part = tuple[Any, Any]


def example_set(
    parts: Mapping[str, Part], *, names: Sequence[str], name: str, licence: str, source: str, seed: int
) -> ExampleSet:
    """The data of the parts ``train`` and ``test``; without the latter one is split off, the same for the same seed.

    Remembers ``classes`` (their names) and ``pixels`` (of each in the training part). Raises InputError when a part is
    empty or the two have images of other shapes.
    """
    check_classes(names, source)
    notes: tuple[str, ...] = ()
    if "test" not in parts:
        parts, notes = _split_off(parts["train"], seed, source)
    for part in ("train", "test"):
        if not len(parts[part][0]):
            raise InputError(f"{source}: no {part} images; expected at least one, with its mask")
    shapes = {part: tuple(images.shape[1:]) for part, (images, _) in parts.items()}
    if shapes["train"] != shapes["test"]:
        raise InputError(
            f"{source}: training images are {shapes['train']}, test images {shapes['test']}; both must have one shape "
            "(image_size resizes)"
        )
    counts = class_pixels(parts["train"][1], len(names))
    train, test = (ArrayExamples({"image": parts[part][0]}, parts[part][1]) for part in ("train", "test"))
    return ExampleSet(
        name,
        train,
        test,
        licence=licence,
        source=source,
        notes=notes,
        strata=_rarest(counts),
        facts={"classes": tuple(names), "pixels": tuple(int(count) for count in counts.sum(axis=0))},
    )


def class_pixels(masks: Any, classes: int) -> np.ndarray:
    """(N, classes) how many pixels of each class every mask has."""
    found = [
        np.bincount(mask.ravel(), minlength=VOID + 1)[:classes] for rows in chunks(masks, _CHUNK_ROWS) for mask in rows
    ]
    return np.array(found, np.int64).reshape(-1, classes)


def _rarest(counts: np.ndarray) -> np.ndarray:
    """For each example the class that it has and the fewest others have: validation gets its share of rare ones."""
    has = counts > 0
    frequency = np.where(has, has.sum(axis=0), len(counts) + 1)
    return np.asarray(frequency.argmin(axis=1))


def _split_off(part: Part, seed: int, source: str) -> tuple[dict[str, Part], tuple[str, ...]]:
    images, masks = part
    tested = round(TEST_FRACTION * len(images))
    if not tested:
        raise InputError(f"{source}: no test part, and too few images to split one off; expected at least 3")
    order = np.random.default_rng([seed, 0x7E57]).permutation(len(images))
    rows = {"train": np.sort(order[tested:]), "test": np.sort(order[:tested])}
    note = (
        f"there is no test part: {tested} of {len(images)} images (drawn with seed {seed}) were kept out of training "
        "to test on"
    )
    return {name: (select(images, chosen), select(masks, chosen)) for name, chosen in rows.items()}, (note,)
