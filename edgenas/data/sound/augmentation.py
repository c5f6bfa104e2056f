"""Random changes of sounds: moved in time, with noise mixed in, and with stretches of time or bands blanked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SoundChanges:
    """Which changes are made, each sound by its own draw.

    Attributes:
        time_shift: moves by up to this share of the sound, earlier or later; zeros come in.
        noise: largest volume of noise that is mixed in, as a share of the full scale.
        noise_share: share of the sounds that get noise.
        time_mask: longest stretch of time that is blanked, as a share of the sound (SpecAugment, arXiv 1904.08779).
        band_mask: most bands that are blanked, as a share of all.
    """

    time_shift: float
    noise: float
    noise_share: float
    time_mask: float
    band_mask: float


def change_sounds(
    sounds: np.ndarray, noise: np.ndarray | None, changes: SoundChanges, rng: np.random.Generator
) -> np.ndarray:
    """Changed copies of int16 sounds ``(N, samples)``; ``noise`` likewise, or white and pink noise is made up."""
    changed = shifted(sounds, changes.time_shift, rng) if changes.time_shift else sounds
    if not (changes.noise and changes.noise_share):
        return changed
    chosen = np.flatnonzero(rng.random(len(sounds)) < changes.noise_share)
    if not chosen.size:
        return changed
    mixed = noise_for(len(chosen), sounds.shape[1], noise, rng)
    volume = rng.uniform(0.0, changes.noise, (len(chosen), 1)).astype(np.float32)
    changed = changed.copy() if changed is sounds else changed
    total = changed[chosen] + volume * mixed
    changed[chosen] = np.clip(np.round(total), -32768, 32767).astype(np.int16)
    return changed


def shifted(sounds: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Each sound moved by its own number of samples, with zeros where nothing is."""
    count, samples = sounds.shape
    most = round(share * samples)
    moves = rng.integers(-most, most + 1, count)
    padded = np.pad(sounds, ((0, 0), (most, most)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, samples, axis=1)
    return np.ascontiguousarray(windows[np.arange(count), most - moves])


def noise_for(count: int, samples: int, noise: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """float32 noise ``(count, samples)`` at full scale: given sounds from any point on, or made up."""
    if noise is not None and len(noise):
        rows = noise[rng.integers(0, len(noise), count)].astype(np.float32)
        starts = rng.integers(0, samples, (count, 1))
        rows = np.take_along_axis(rows, (np.arange(samples) + starts) % samples, axis=1)
        # As loud as the made-up noise, however quiet the recording was; what is nothing but zeros stays so.
        level = np.sqrt((rows**2).mean(axis=1, keepdims=True))
        return np.asarray(rows * (_LEVEL / np.maximum(level, 1.0)), np.float32)
    white = rng.normal(0.0, 1.0, (count, samples)).astype(np.float32)
    spectrum = np.fft.rfft(white, axis=1)
    slope = np.where(rng.random((count, 1)) < 0.5, 0.0, 0.5)  # white or pink
    spectrum = spectrum / np.maximum(np.arange(spectrum.shape[1]), 1.0)[None] ** slope
    made = np.fft.irfft(spectrum, samples, axis=1)
    return np.asarray(made * (_LEVEL / np.sqrt((made**2).mean(axis=1, keepdims=True))), np.float32)


#: Root mean square of noise at volume 1: peaks of about the full scale.
_LEVEL = 32767 / 4


def drawn_masks(count: int, changes: SoundChanges, rng: np.random.Generator) -> np.ndarray | None:
    """(count, 4) shares [first and last of the time, first and last of the bands] that are blanked; None: none is."""
    if not (changes.time_mask or changes.band_mask):
        return None
    masks = np.empty((count, 4), np.float32)
    for place, most in ((0, changes.time_mask), (2, changes.band_mask)):
        length = rng.uniform(0.0, most, count) if most else np.zeros(count)
        masks[:, place] = rng.uniform(0.0, 1.0, count) * (1 - length)
        masks[:, place + 1] = masks[:, place] + length
    return masks
