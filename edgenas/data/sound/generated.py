"""Sounds made by a program: tones that stay, rise, fall or beat, and noise.

For examples and tests: they need no download, and a small network learns them in a minute. Nothing that is measured on
them says anything about speech.
"""

from __future__ import annotations

import numpy as np

from edgenas.data.sound.sound_set import Part, SoundSet, sound_set

GENERATED = "generated_tones"
CLASSES = ("silence", "steady", "rising", "falling", "beating")
RATE = 8000
_TRAIN, _TEST = 400, 100
_SEED = 2511


def generated_tones(seconds: float = 1.0, rate: int = RATE, train: int = _TRAIN, test: int = _TEST) -> SoundSet:
    """The same sounds every time, as many of each class."""
    parts = {
        part: _sounds(np.random.default_rng([_SEED, place]), count, round(seconds * rate), rate)
        for place, (part, count) in enumerate((("train", train), ("test", test)))
    }
    return sound_set(
        parts,
        classes=CLASSES,
        rate=rate,
        noise=None,
        name=GENERATED,
        licence="CC0",
        source="made by edgenas.data.sound.generated",
        seed=0,
    )


def _sounds(rng: np.random.Generator, count: int, samples: int, rate: int) -> Part:
    labels = np.arange(count) % len(CLASSES)
    time = np.arange(samples) / rate
    length = samples / rate
    sounds = np.empty((count, samples), np.int16)
    for index, label in enumerate(labels):
        low = rng.uniform(300, 900)
        turn = {"rising": 2.0, "falling": -0.5}.get(CLASSES[label], 0.0)
        phase = 2 * np.pi * (low * time + turn * low * time**2 / (2 * length)) + rng.uniform(0, 2 * np.pi)
        tone = np.sin(phase) * _envelope(rng, time, length)
        if CLASSES[label] == "beating":
            tone *= 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(5, 9) * time)
        volume = 0.0 if CLASSES[label] == "silence" else rng.uniform(0.1, 0.5)
        noise = rng.normal(0, rng.uniform(0.005, 0.05), samples)
        sounds[index] = np.round(32767 * np.clip(volume * tone + noise, -1, 1)).astype(np.int16)
    return Part(sounds, labels.astype(np.int64))


def _envelope(rng: np.random.Generator, time: np.ndarray, length: float) -> np.ndarray:
    """Loud for more than half of the sound, anywhere in it."""
    start, end = rng.uniform(0.0, 0.15) * length, rng.uniform(0.8, 1.0) * length
    return np.asarray(np.clip(np.minimum(time - start, end - time) / (0.05 * length), 0.0, 1.0))
