"""What every reader of sounds hands over: labelled sounds of one length and rate, with noise to mix into them."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.data.dataset import stratified_choice, stratified_holdout
from edgenas.data.examples import Examples, Tree, select
from edgenas.data.labels import check_class_names
from edgenas.data.task_data import ExampleSet
from edgenas.spaces.errors import InputError

#: Share of the sounds that become the test part where there is none.
TEST_FRACTION = 0.2
#: Names of classes that are noise: what is in them is mixed into other sounds.
NOISE_CLASSES = ("_silence_", "silence", "_background_noise_", "background_noise", "_noise_", "noise")
#: The group of a sound that belongs to no speaker.
NO_GROUP = -1
_SHOWN = 5


@dataclass(frozen=True)
class SoundExamples(Examples):
    """int16 sounds ``(N, samples)`` with labels ``(N,)`` int64; the input is called ``sound``.

    Attributes:
        sounds: the samples.
        labels: of the classes.
        rate: samples a second.
        noise: int16 ``(M, samples)`` to mix in, for the random changes of a training; None: made up.
    """

    sounds: Any
    labels: np.ndarray
    rate: int
    noise: np.ndarray | None = None

    def __post_init__(self) -> None:
        if len(self.sounds.shape) != 2 or self.sounds.dtype != np.int16:
            raise InputError(f"sounds must be int16 (N, samples), found {self.sounds.dtype} of {self.sounds.shape}")
        if self.labels.shape != (len(self.sounds),) or self.labels.dtype != np.int64:
            raise InputError(
                f"labels must be int64 ({len(self.sounds)},), found {self.labels.dtype} {self.labels.shape}"
            )

    @property
    def inputs(self) -> Mapping[str, Any]:
        return {"sound": self.sounds}

    @property
    def targets(self) -> np.ndarray:
        return self.labels

    def take(self, rows: np.ndarray) -> SoundExamples:
        return dataclasses.replace(self, sounds=select(self.sounds, rows), labels=self.labels[rows])

    def subset(self, count: int, seed: int) -> SoundExamples:
        """At most ``count`` sounds, drawn so that the classes keep their shares."""
        return self if count >= len(self) else self.take(stratified_choice(self.labels, count, seed))

    def batch(self, rows: Any) -> tuple[dict[str, np.ndarray], Tree]:
        """Sounds and labels of some rows, and all the ``noise`` beside them."""
        inputs, labels = super().batch(rows)
        return inputs if self.noise is None else {**inputs, "noise": self.noise}, labels

    def checksum(self) -> int:
        noise = b"" if self.noise is None else np.ascontiguousarray(self.noise).tobytes()
        return zlib.crc32(noise, super().checksum())


@dataclass(frozen=True)
class SoundSet(ExampleSet):
    """Data of sounds. ``facts`` holds ``classes``.

    Attributes:
        groups: a number for each training sound; those of one number, such as of one speaker, stay on one side of a
            split into training and validation. :data:`NO_GROUP`: alone.
        validation: which training sounds are for validation, where the data say it.
    """

    groups: np.ndarray | None = None
    validation: np.ndarray | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.facts["classes"])

    def split(self, validation_fraction: float, seed: int) -> tuple[Examples, Examples]:
        if not 0 < validation_fraction < 1:
            raise InputError(f"validation_fraction must be between 0 and 1, not {validation_fraction!r}")
        if self.validation is not None:
            held_out = self.validation
        elif self.groups is not None:
            held_out = held_out_groups(self.groups, self.train.targets, validation_fraction, seed)
        else:
            return super().split(validation_fraction, seed)
        if not held_out.any() or held_out.all():
            raise InputError(f"data set {self.name!r} ({self.source}): too few sounds for a validation part")
        return self.train.take(~held_out), self.train.take(held_out)


def held_out_groups(groups: np.ndarray, labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Which sounds to hold out: whole groups, until they are their share; of those of no group, a share of each class.

    >>> groups = np.array([0, 0, 1, 1, 2, 2])
    >>> held_out = held_out_groups(groups, np.zeros(6, np.int64), 0.3, seed=0)
    >>> int(held_out.sum()), len(set(groups[held_out]))
    (2, 1)
    """
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(groups), bool)
    grouped = groups != NO_GROUP
    wanted = fraction * grouped.sum()
    for group in rng.permutation(np.unique(groups[grouped])):
        members = groups == group
        if held_out[grouped].sum() + members.sum() / 2 <= wanted:
            held_out |= members
    alone = np.flatnonzero(~grouped)
    held_out[alone] = stratified_holdout(labels[alone], fraction, rng)
    return held_out


@dataclass(frozen=True)
class Part:
    """Sounds of one part as a reader found them; ``groups`` where they are known."""

    sounds: Any
    labels: np.ndarray
    groups: np.ndarray | None = None


def sound_set(
    parts: Mapping[str, Part],
    *,
    classes: Sequence[str],
    rate: int,
    noise: np.ndarray | None,
    name: str,
    licence: str,
    source: str,
    seed: int,
    notes: Sequence[str] = (),
) -> SoundSet:
    """The data of the parts ``train``, and ``val`` and ``test`` where there are such.

    Without a test part one is split off, the same for the same seed. Without ``noise``, the training sounds of a class
    of noise are (:data:`NOISE_CLASSES`). Raises InputError when a part is empty, or a class has no training sound.
    """
    check_class_names(classes, f"data set {name!r} ({source})")
    train, validation, notes = parts["train"], None, tuple(notes)
    if "test" not in parts:
        train, test, note = _test_split_off(train, seed, source)
        notes = (*notes, note)
    else:
        test = parts["test"]
    for part, found in (("train", train), ("test", test)):
        if not len(found.labels):
            raise InputError(f"{source}: no {part} sounds; expected at least one")
    counts = np.bincount(train.labels, minlength=len(classes))
    if (counts == 0).any():
        missing = ", ".join(classes[index] for index in np.flatnonzero(counts == 0)[:_SHOWN])
        raise InputError(f"{source}: no training sound of class {missing}; add sounds or leave the class out")
    if noise is None:
        noise = _noise_of(train, classes)
    if "val" in parts:
        train, validation = _joined(train, parts["val"])
    examples, tested = (SoundExamples(part.sounds, part.labels, rate) for part in (train, test))
    return SoundSet(
        name,
        dataclasses.replace(examples, noise=noise),
        tested,
        licence=licence,
        source=source,
        notes=notes,
        strata=train.labels,
        facts={"classes": tuple(classes)},
        groups=train.groups,
        validation=validation,
    )


def _noise_of(train: Part, classes: Sequence[str]) -> np.ndarray | None:
    labels = [label for label, name in enumerate(classes) if name.lower() in NOISE_CLASSES]
    rows = np.flatnonzero(np.isin(train.labels, labels))[:1000]
    return np.asarray(train.sounds[rows]) if rows.size else None


def _joined(train: Part, validation: Part) -> tuple[Part, np.ndarray]:
    """Both in one, and which are for validation."""
    from edgenas.data.columns import Joined

    held_out = np.repeat([False, True], [len(train.labels), len(validation.labels)])
    both = (train.sounds, validation.sounds)
    in_memory = all(isinstance(sounds, np.ndarray) for sounds in both)
    sounds: Any = np.concatenate(both) if in_memory else Joined(both)
    return Part(sounds, np.concatenate([train.labels, validation.labels])), held_out


def _test_split_off(train: Part, seed: int, source: str) -> tuple[Part, Part, str]:
    rng_seed = int(np.random.SeedSequence([seed, 0x7E57]).generate_state(1)[0])
    if train.groups is None:
        held_out = stratified_holdout(train.labels, TEST_FRACTION, np.random.default_rng(rng_seed))
    else:
        held_out = held_out_groups(train.groups, train.labels, TEST_FRACTION, rng_seed)
    if not held_out.any() or held_out.all():
        raise InputError(
            f"{source}: no test part, and too few sounds to split one off; expected two or more of a class"
        )
    what = "" if train.groups is None else ", whole speakers"
    note = (
        f"there is no test part: {held_out.sum()} of {len(held_out)} sounds (drawn with seed {seed}{what}) were kept "
        "out of training to test on"
    )
    kept, tested = (
        Part(select(train.sounds, rows), train.labels[rows], None if train.groups is None else train.groups[rows])
        for rows in (~held_out, held_out)
    )
    return kept, tested, note
