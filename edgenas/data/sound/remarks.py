"""What a user should hear about sounds before a search is built on them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgenas.data.labels import alike
from edgenas.data.remarks import MAX_HALF_WIDTH, wilson_half_width
from edgenas.data.sound.sound_set import SoundSet

_SHOWN = 5
_CHUNK = 1024


def remarks(data: SoundSet, validation_fraction: float, seed: int) -> tuple[str, ...]:
    """One sentence each: classes that a part lacks, small parts, sounds that are nothing but silence."""
    return (*data.notes, *_about_classes(data), *_about_sizes(data, validation_fraction, seed))


def _about_classes(data: SoundSet) -> Iterator[str]:
    for one, other in alike(data.classes)[:_SHOWN]:
        yield f"the classes {one!r} and {other!r} differ in case or accents only; are they one class?"
    tested = np.bincount(data.test.targets, minlength=len(data.classes))
    if (tested == 0).any():
        missing = ", ".join(repr(data.classes[index]) for index in np.flatnonzero(tested == 0)[:_SHOWN])
        yield f"no test sound of class {missing}: the accuracy says nothing about these"
    sounds = data.train.inputs["sound"]
    mute = sum(
        int((~sounds[start : start + _CHUNK].any(axis=1)).sum())
        for start in range(0, len(sounds), _CHUNK)
        if isinstance(sounds, np.ndarray)
    )
    if mute:
        yield f"{mute} of {len(sounds)} training sounds hold zeros alone"


def _about_sizes(data: SoundSet, validation_fraction: float, seed: int) -> Iterator[str]:
    held_out = len(data.split(validation_fraction, seed)[1])
    for part, count in (("validation", held_out), ("test", len(data.test))):
        width = wilson_half_width(count)
        if width > MAX_HALF_WIDTH:
            yield (
                f"{count} {part} sounds: an accuracy on them is known to within {100 * width:.0f} points only (95 % "
                "Wilson interval)"
            )
