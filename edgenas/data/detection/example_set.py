"""From checked annotations to examples: images of one shape, and boxes in arrays of one length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.data.detection.annotations import AnnotatedImage, Annotations, class_names, normalised_boxes
from edgenas.data.examples import ArrayExamples, select
from edgenas.data.labels import check_class_names
from edgenas.data.task_data import ExampleSet
from edgenas.spaces.errors import InputError

#: Share of the examples that become the test part where there is none.
TEST_FRACTION = 0.2
#: Label and group of a row without a box.
NOTHING = -1


@dataclass(frozen=True)
class Part:
    """The images of a part as a column, each one's stored (height, width), and what is told of them."""

    images: Any
    sizes: Sequence[tuple[int, int]]
    annotations: Annotations

    def take(self, rows: np.ndarray) -> Part:
        told = Annotations(tuple(self.annotations.images[row] for row in rows), self.annotations.names)
        return Part(select(self.images, rows), [self.sizes[row] for row in rows], told)


def example_set(
    parts: Mapping[str, Part], *, name: str, licence: str, source: str, seed: int, classes: Sequence[str] = ()
) -> ExampleSet:
    """The data of the parts ``train`` and ``test``; without the latter one is split off, the same for the same seed.

    Targets are ``boxes`` (N, M, 4) float32 (top, left, bottom, right as shares of the sides), ``labels`` and ``groups``
    (N, M) int32, -1 where there is none, and ``ignored`` (N, M) uint8; M is the most boxes of an image. Remembers
    ``classes``, ``groups``, and ``boxes`` (of each class in the training part). Raises InputError naming file and box.
    """
    notes: tuple[str, ...] = ()
    if "test" not in parts:
        parts, notes = _split_off(parts["train"], seed, source)
    names = class_names({key: part.annotations for key, part in parts.items()}, classes, source)
    if not names:
        raise InputError(f"{source}: no boxes and no names of classes; expected at least one box")
    check_class_names(names, source)
    groups = tuple(sorted({box.group for part in parts.values() for box in _boxes(part) if box.group}))
    most = max(1, *(len(image.boxes) for part in parts.values() for image in part.annotations.images))
    examples, cut = {}, 0
    for key, part in parts.items():
        targets, some = _targets(part, names, groups, most)
        cut += some
        if not ((targets["labels"] >= 0) & (targets["ignored"] == 0)).any():
            raise InputError(f"{source}: no boxes in the {key} part; expected at least one, of {', '.join(names)}")
        examples[key] = ArrayExamples({"image": part.images}, targets)
    shapes = {key: tuple(one.inputs["image"].shape[1:]) for key, one in examples.items()}
    if shapes["train"] != shapes["test"]:
        raise InputError(
            f"{source}: training images are {shapes['train']}, test images {shapes['test']}; both must have one shape "
            "(image_size resizes)"
        )
    if cut:
        notes = (*notes, f"{cut} boxes that reached over the edge of their image by a pixel or 1 % were cut there")
    counts = class_boxes(examples["train"].targets, len(names))
    return ExampleSet(
        name,
        examples["train"],
        examples["test"],
        licence=licence,
        source=source,
        notes=notes,
        strata=_rarest(counts),
        facts={"classes": names, "groups": groups, "boxes": tuple(int(count) for count in counts.sum(axis=0))},
    )


def class_boxes(targets: Mapping[str, np.ndarray], classes: int) -> np.ndarray:
    """(N, classes) how many counted boxes of each class every image has."""
    labels = np.where(np.asarray(targets["ignored"]) == 0, targets["labels"], NOTHING)
    return np.asarray((labels[..., None] == np.arange(classes)).sum(axis=1))


def _boxes(part: Part) -> Any:
    return (box for image in part.annotations.images for box in image.boxes)


def _targets(part: Part, names: Sequence[str], groups: Sequence[str], most: int) -> tuple[dict[str, np.ndarray], int]:
    count, cut = len(part.annotations.images), 0
    boxes = np.zeros((count, most, 4), np.float32)
    labels, belongs = (np.full((count, most), NOTHING, np.int32) for _ in range(2))
    ignored = np.zeros((count, most), np.uint8)
    places = {name: place for place, name in enumerate(names)}
    of_groups = {name: place for place, name in enumerate(groups)}
    for row, (image, size) in enumerate(zip(part.annotations.images, part.sizes, strict=True)):
        edges, over = normalised_boxes(image, *size)
        cut += over
        kept = [index for index, box in enumerate(image.boxes) if box.label in places]
        drawn = [image.boxes[index] for index in kept]
        boxes[row, : len(kept)] = edges[kept]
        labels[row, : len(kept)] = [places[box.label] for box in drawn]
        belongs[row, : len(kept)] = [of_groups.get(box.group, NOTHING) for box in drawn]
        ignored[row, : len(kept)] = [box.ignored for box in drawn]
    return {"boxes": boxes, "labels": labels, "groups": belongs, "ignored": ignored}, cut


def _rarest(counts: np.ndarray) -> np.ndarray:
    """For each example the class that it has and the fewest others have: validation gets its share of rare ones.

    Examples without boxes are a stratum of their own.
    """
    has = counts > 0
    frequency = np.where(has, has.sum(axis=0), len(counts) + 1)
    return np.where(has.any(axis=1), frequency.argmin(axis=1), counts.shape[1])


def _split_off(part: Part, seed: int, source: str) -> tuple[dict[str, Part], tuple[str, ...]]:
    count = len(part.annotations.images)
    tested = round(TEST_FRACTION * count)
    if not tested:
        raise InputError(f"{source}: no test part, and too few images to split one off; expected at least 3")
    order = np.random.default_rng([seed, 0x7E57]).permutation(count)
    rows = {"train": np.sort(order[tested:]), "test": np.sort(order[:tested])}
    note = (
        f"there is no test part: {tested} of {count} images (drawn with seed {seed}) were kept out of training to test "
        "on"
    )
    return {name: part.take(chosen) for name, chosen in rows.items()}, (note,)


def check_images(images: Sequence[AnnotatedImage], place: str) -> None:
    """Raises InputError when there is none."""
    if not images:
        raise InputError(f"{place}: no images; expected at least one")
