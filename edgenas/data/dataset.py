"""Labelled images: the training part, the official test part, and the names of the classes.

Images are arrays in memory, or columns that are read when they are needed (:mod:`edgenas.data.columns`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.data.examples import Examples, select
from edgenas.data.labels import check_class_names
from edgenas.spaces.errors import InputError

#: Images and labels of a part that is not checked yet.
Part = tuple[Any, np.ndarray]
#: Share of the images that become the test part where there is none.
TEST_FRACTION = 0.2
#: Largest number of images named in an error message about wrong labels.
_SHOWN = 5


@dataclass(frozen=True)
class Split(Examples):
    """Images ``(N, height, width, channels)`` uint8 with labels ``(N,)`` int64: the input ``image`` and its target."""

    images: Any
    labels: np.ndarray

    def __post_init__(self) -> None:
        if len(self.images.shape) != 4 or self.images.dtype != np.uint8:
            raise InputError(
                f"images must be uint8 of shape (N, height, width, channels), "
                f"found {self.images.dtype} of shape {self.images.shape}"
            )
        if self.labels.shape != (len(self.images),) or self.labels.dtype != np.int64:
            raise InputError(
                f"labels must be int64 of shape ({len(self.images)},), "
                f"found {self.labels.dtype} of shape {self.labels.shape}"
            )

    @property
    def inputs(self) -> Mapping[str, Any]:
        return {"image": self.images}

    @property
    def targets(self) -> np.ndarray:
        return self.labels

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> Split:
        return Split(select(self.images, rows), self.labels[rows])

    def subset(self, count: int, seed: int) -> Split:
        """At most ``count`` examples, drawn so that the classes keep their shares; the same for the same seed."""
        if count >= len(self):
            return self
        return self.take(stratified_choice(self.labels, count, seed))


@dataclass(frozen=True)
class Dataset:
    """A classification data set. ``images``/``labels`` are for training and validation, ``test_*`` for the end.

    Images are uint8 NHWC, labels int64 from 0 to ``classes - 1``. ``source`` says where the data came from, and
    ``name`` never claims more than was loaded. Raises InputError when the parts do not fit each other, a label is out
    of range, or a class has no training image.
    """

    name: str
    images: Any
    labels: np.ndarray
    test_images: Any
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    licence: str
    source: str
    notes: tuple[str, ...] = ()
    """What was done to the files on reading, and what of them is unusual: one sentence each."""

    def __post_init__(self) -> None:
        check_class_names(self.class_names, f"data set {self.name!r} ({self.source})")
        for part, split in (("train", self.train), ("test", self.test)):
            if not len(split):
                raise InputError(f"data set {self.name!r} ({self.source}): no {part} images; expected at least one")
            _check_labels(self, part, split.labels)
        if self.images.shape[1:] != self.test_images.shape[1:]:
            raise InputError(
                f"data set {self.name!r} ({self.source}): training images are {self.images.shape[1:]}, "
                f"test images {self.test_images.shape[1:]}; both must have one shape (the option image_size resizes)"
            )
        counts = np.bincount(self.labels, minlength=self.classes)
        if (counts == 0).any():
            empty = [self.class_names[index] for index in np.flatnonzero(counts == 0)[:_SHOWN]]
            raise InputError(
                f"data set {self.name!r} ({self.source}): no training image of class {', '.join(empty)}; "
                "add images or leave the class out"
            )

    @property
    def classes(self) -> int:
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every image."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    @property
    def train(self) -> Split:
        """All training examples."""
        return Split(self.images, self.labels)

    @property
    def test(self) -> Split:
        """The official test part: for the final figure only, never for choosing between networks."""
        return Split(self.test_images, self.test_labels)

    def split(self, validation_fraction: float, seed: int) -> tuple[Split, Split]:
        """(train, validation) out of the training part, stratified by class and the same for the same seed.

        Every class keeps at least one image on each side when it has two or more.
        """
        if not 0 < validation_fraction < 1:
            raise InputError(f"validation_fraction must be between 0 and 1, not {validation_fraction!r}")
        held_out = stratified_holdout(self.labels, validation_fraction, np.random.default_rng(seed))
        if not held_out.any():
            raise InputError(
                f"data set {self.name!r} ({self.source}): too few images for a validation part; "
                "expected two or more of some class"
            )
        return self.train.take(~held_out), self.train.take(held_out)

    def describe(self) -> Mapping[str, Any]:
        """What a record of a run keeps about its data."""
        return {
            "name": self.name,
            "train_images": len(self.labels),
            "test_images": len(self.test_labels),
            "image_shape": list(self.image_shape),
            "classes": self.classes,
            "licence": self.licence,
            "source": self.source,
            "notes": list(self.notes),
        }


def stratified_holdout(labels: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Which examples to hold out: of every class its share, at least one, and never its last one.

    >>> stratified_holdout(np.array([0, 0, 0, 0, 1]), 0.5, np.random.default_rng(0)).sum()
    np.int64(2)
    """
    held_out = np.zeros(len(labels), bool)
    for label in range(int(labels.max(initial=-1)) + 1):
        members = rng.permutation(np.flatnonzero(labels == label))
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        held_out[members[: max(count, 0)]] = True
    return held_out


def split_off_test(images: Any, labels: np.ndarray, seed: int, place: str) -> tuple[Part, Part, tuple[str, ...]]:
    """(training part, test part, notes) where there is no test part: :data:`TEST_FRACTION` of every class.

    Raises InputError when no class has two images.
    """
    held_out = stratified_holdout(labels, TEST_FRACTION, np.random.default_rng([seed, 0x7E57]))
    if not held_out.any():
        raise InputError(f"{place}: no test images, and too few to split some off; expected two or more of some class")
    note = (
        f"there is no test part: {held_out.sum()} of {len(labels)} images ({TEST_FRACTION:.0%} of every class, drawn "
        f"with seed {seed}) were kept out of training to test on"
    )
    kept, tested = ((select(images, rows), labels[rows]) for rows in (~held_out, held_out))
    return kept, tested, (note,)


def stratified_choice(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Sorted indices of ``count`` labels in which every class has its share, within one example.

    >>> stratified_choice(np.array([0, 0, 0, 0, 1, 1]), 3, seed=0).size
    3
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    # Position of each example within its class, as a share of the class: taking the smallest shares takes from
    # all classes alike.
    position = np.empty(len(labels))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        position[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.sort(order[np.argsort(position[order], kind="stable")][:count])


def _check_labels(dataset: Dataset, part: str, labels: np.ndarray) -> None:
    wrong = np.flatnonzero((labels < 0) | (labels >= dataset.classes))
    if wrong.size:
        found = ", ".join(f"{labels[index]} (image {index})" for index in wrong[:_SHOWN])
        raise InputError(
            f"data set {dataset.name!r} ({dataset.source}): {wrong.size} {part} labels out of range: {found}; "
            f"expected 0 to {dataset.classes - 1} for {dataset.classes} classes"
        )
