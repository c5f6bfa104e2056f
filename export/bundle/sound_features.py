"""From samples to what a network eats: log-mel energies or MFCC of short frames, in NumPy.

Training computes its features with this file, and ``run.py`` of every bundle holds a copy of it (all below the line).
The definitions are those of ``tf.signal``: a periodic Hann window, magnitudes of the Fourier transform, the HTK mel
scale, ``log(mel + 1e-6)``, and a DCT-II by the square root of half the number of bands. It needs NumPy and Python 3.7.
"""

from __future__ import annotations

import numpy as np

# ---- run.py holds what follows ----

#: Added before the logarithm.
FLOOR = 1e-6
#: What an int16 sample is divided by.
FULL_SCALE = 32768


def frame_count(samples: int, frame: int, hop: int) -> int:
    """Whole frames in so many samples."""
    return 0 if samples < frame else 1 + (samples - frame) // hop


def hann_window(frame: int) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / frame)).astype(np.float32)


def mel_weights(rate: int, fft: int, bands: int, low: float, high: float) -> np.ndarray:
    """(fft / 2 + 1, bands) triangles on the HTK mel scale; the constant part of a spectrum is left out."""

    def mel(hertz: object) -> np.ndarray:
        return np.asarray(1127.0 * np.log1p(np.asarray(hertz, np.float64) / 700.0))

    places = mel(np.arange(fft // 2 + 1) * rate / fft)[:, np.newaxis]
    edges = np.linspace(mel(low), mel(high), bands + 2)
    left, middle, right = edges[np.newaxis, :-2], edges[np.newaxis, 1:-1], edges[np.newaxis, 2:]
    rising, falling = (places - left) / (middle - left), (right - places) / (right - middle)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights[0] = 0.0
    return weights.astype(np.float32)


def dct_weights(bands: int, coefficients: int) -> np.ndarray:
    """(bands, coefficients) of a DCT-II, times ``sqrt(2 / bands)``."""
    angles = np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(coefficients))
    return (np.cos(angles) * np.sqrt(2.0 / bands)).astype(np.float32)


def log_mel(sounds: np.ndarray, settings: dict) -> np.ndarray:
    """(N, frames, bands) float32 of int16 sounds (N, samples)."""
    frame, hop = settings["frame_samples"], settings["hop_samples"]
    count = frame_count(sounds.shape[1], frame, hop)
    values = np.ascontiguousarray(sounds, np.float32) * np.float32(1 / FULL_SCALE)
    step = values.strides[1]
    frames = np.lib.stride_tricks.as_strided(
        values, (len(values), count, frame), (values.strides[0], hop * step, step), writeable=False
    )
    spectrum = np.abs(np.fft.rfft(frames * hann_window(frame), settings["fft_samples"])).astype(np.float32)
    limits = settings["low_hz"], settings["high_hz"]
    weights = mel_weights(settings["sample_rate"], settings["fft_samples"], settings["bands"], *limits)
    return np.log(spectrum @ weights + np.float32(FLOOR))


def normalised(values: np.ndarray, settings: dict) -> np.ndarray:
    """(N, frames, coefficients, 1) float32: the DCT of MFCC, then each coefficient less its mean, by its deviation."""
    if settings["features"] == "mfcc":
        values = values @ dct_weights(settings["bands"], settings["coefficients"])
    mean, std = np.array(settings["mean"], np.float32), np.array(settings["std"], np.float32)
    return ((values - mean) / std)[..., np.newaxis].astype(np.float32)
