"""The constants of a sound's features: they are fitted once, and travel with the shipped model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.export.bundle.sound_features import FULL_SCALE, frame_count, log_mel, mel_weights, normalised
from edgenas.spaces.errors import InputError

FEATURES = ("mfcc", "log_mel")
#: Sounds whose features are computed at once.
_ROWS = 256
_MOST_SAMPLES = 10**7


@dataclass(frozen=True)
class SoundPreprocessing:
    """What :mod:`edgenas.export.bundle.sound_features` computes. Raises InputError for settings that do not fit.

    Attributes:
        features: ``mfcc`` or ``log_mel``.
        sample_rate: samples a second.
        samples: of a sound.
        frame_samples: of a frame.
        hop_samples: from one frame to the next.
        fft_samples: a frame is padded to so many.
        bands: of the mel scale.
        coefficients: that are kept of the DCT; of ``log_mel``, the bands.
        low_hz: where the first band begins.
        high_hz: where the last one ends.
        mean: of each coefficient.
        std: likewise.
        inside: whether the shipped file computes the features itself, from samples in [-1, 1].
    """

    features: str
    sample_rate: int
    samples: int
    frame_samples: int
    hop_samples: int
    fft_samples: int
    bands: int
    coefficients: int
    low_hz: float
    high_hz: float
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    inside: bool = False

    def __post_init__(self) -> None:
        if self.features not in FEATURES:
            raise InputError(f"preprocessing: features must be one of {', '.join(FEATURES)}, not {self.features!r}")
        for name in ("sample_rate", "samples", "frame_samples", "hop_samples", "fft_samples", "bands", "coefficients"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_SAMPLES:
                raise InputError(f"preprocessing: {name} must be a whole number above 0, not {value!r}")
        if self.fft_samples < self.frame_samples or self.samples < self.frame_samples:
            raise InputError(
                f"preprocessing: a frame of {self.frame_samples} samples does not fit a transform of "
                f"{self.fft_samples} and sounds of {self.samples}"
            )
        if self.coefficients > self.bands or (self.features == "log_mel" and self.coefficients != self.bands):
            raise InputError(f"preprocessing: {self.coefficients} coefficients of {self.bands} bands")
        if not 0 <= self.low_hz < self.high_hz <= self.sample_rate / 2:
            raise InputError(
                f"preprocessing: bands from {self.low_hz:g} to {self.high_hz:g} Hz do not fit sounds of "
                f"{self.sample_rate} Hz, which hold up to {self.sample_rate / 2:g}"
            )
        mean, std = self.mean or (0.0,) * self.coefficients, self.std or (1.0,) * self.coefficients
        object.__setattr__(self, "mean", tuple(float(value) for value in mean))
        object.__setattr__(self, "std", tuple(float(value) for value in std))
        if not len(self.mean) == len(self.std) == self.coefficients:
            raise InputError(f"preprocessing: expected {self.coefficients} means and standard deviations")
        if not np.isfinite(self.mean).all() or not all(0 < value < np.inf for value in self.std):
            raise InputError("preprocessing: means must be finite and standard deviations above 0")
        weights = mel_weights(self.sample_rate, self.fft_samples, self.bands, self.low_hz, self.high_hz)
        if not weights.any(axis=0).all():
            raise InputError(
                f"preprocessing: {self.bands} bands are too many for a transform of {self.fft_samples} samples: some "
                "lie between two of its frequencies; use fewer bands, longer frames, or a higher low_hz"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(frames, coefficients, 1): what the network is given."""
        return frame_count(self.samples, self.frame_samples, self.hop_samples), self.coefficients, 1

    def fitted(self, sounds: Any) -> SoundPreprocessing:
        """The same with the means and standard deviations of these int16 sounds ``(N, samples)``."""
        plain = dataclasses.replace(self, mean=(), std=())
        sums = np.zeros((2, self.coefficients))
        count = 0
        for start in range(0, len(sounds), _ROWS):
            values = plain.apply(np.asarray(sounds[start : start + _ROWS]))[..., 0].astype(np.float64)
            sums += [values.sum(axis=(0, 1)), (values**2).sum(axis=(0, 1))]
            count += values.shape[0] * values.shape[1]
        mean = sums[0] / max(1, count)
        std = np.sqrt(np.maximum(sums[1] / max(1, count) - mean**2, 0.0))
        return dataclasses.replace(
            self, mean=tuple(np.round(mean, 6)), std=tuple(np.round(np.where(std > 1e-6, std, 1.0), 6))
        )

    def apply(self, sounds: np.ndarray, masks: np.ndarray | None = None) -> np.ndarray:
        """(N, frames, coefficients, 1) float32 of int16 sounds.

        ``masks`` (N, 4) are shares [first and last of the time, first and last of the bands] that are blanked in the
        log-mel energies with the mean of each band (SpecAugment, arXiv 1904.08779).
        """
        if sounds.dtype != np.int16 or sounds.ndim != 2 or sounds.shape[1] != self.samples:
            raise InputError(
                f"preprocessing takes int16 sounds of {self.samples} samples, not {sounds.dtype} of {sounds.shape}"
            )
        settings = self.to_dict()
        energies = log_mel(sounds, settings)
        return normalised(energies if masks is None else _masked(energies, masks), settings)

    def samples_of(self, sounds: np.ndarray) -> np.ndarray:
        """(N, samples) float32 in [-1, 1] of int16 sounds: what a file takes that computes the features itself."""
        return sounds.astype(np.float32) * np.float32(1 / FULL_SCALE)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that :meth:`from_dict` reads back."""
        return {**vars(self), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SoundPreprocessing:
        """The inverse of :meth:`to_dict`. Raises InputError when that is not what it wrote."""
        try:
            return cls(**{**data, "mean": tuple(data["mean"]), "std": tuple(data["std"])})
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"preprocessing of sounds: not what was written (problem: {error!r})") from None


def _masked(energies: np.ndarray, masks: np.ndarray) -> np.ndarray:
    _, frames, bands = energies.shape
    times, places = ((np.arange(count) + 0.5) / count for count in (frames, bands))
    blank = (times >= masks[:, :1]) & (times < masks[:, 1:2])
    blank = blank[:, :, None] | ((places >= masks[:, 2:3]) & (places < masks[:, 3:4]))[:, None, :]
    return np.asarray(np.where(blank, energies.mean(axis=1, keepdims=True), energies), np.float32)
