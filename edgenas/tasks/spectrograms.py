"""Pictures of sounds, for people to look at: the waveform above the spectrogram."""

from __future__ import annotations

import numpy as np

#: Pixels: of both parts' width, of the waveform's height, of the spectrogram's.
WIDTH, WAVE_HEIGHT, BAND_HEIGHT = 96, 32, 62
_FLOOR_DB = -70.0
_PAPER, _INK = 250, 60


def spectrogram_pictures(sounds: np.ndarray) -> np.ndarray:
    """(N, height, width, 1) uint8 of int16 sounds ``(N, samples)``: low frequencies below, loud ones dark."""
    lines = np.full((len(sounds), 2, WIDTH, 1), _PAPER, np.uint8)
    return np.concatenate([_waveforms(sounds), lines, _spectrograms(sounds)], axis=1)


def _waveforms(sounds: np.ndarray) -> np.ndarray:
    """From the lowest to the highest sample of each column, on the scale of the loudest."""
    samples = sounds.shape[1] // WIDTH * WIDTH
    padded = sounds if samples else np.pad(sounds, ((0, 0), (0, WIDTH - sounds.shape[1])))
    columns = padded[:, : max(samples, WIDTH)].reshape(len(sounds), WIDTH, -1).astype(np.float32)
    loudest = np.maximum(np.abs(columns).max(axis=(1, 2), keepdims=True), 1.0)
    low, high = ((1 - each(columns / loudest, axis=2)) / 2 * (WAVE_HEIGHT - 1) for each in (np.min, np.max))
    rows = np.arange(WAVE_HEIGHT)[None, :, None]
    drawn = (rows >= np.floor(high)[:, None]) & (rows <= np.ceil(low)[:, None])
    return np.where(drawn, _INK, _PAPER).astype(np.uint8)[..., None]


def _spectrograms(sounds: np.ndarray) -> np.ndarray:
    samples = sounds.shape[1]
    frame = max(2 * BAND_HEIGHT, samples // 40)
    padded = np.pad(sounds.astype(np.float32), ((0, 0), (0, max(0, frame - samples))))
    starts = np.linspace(0, padded.shape[1] - frame, WIDTH).astype(int)
    frames = padded[:, starts[:, None] + np.arange(frame)] * np.hanning(frame).astype(np.float32)
    power = np.abs(np.fft.rfft(frames, axis=2))[:, :, 1:] ** 2
    usable = power.shape[2] // BAND_HEIGHT * BAND_HEIGHT
    bands = power[:, :, :usable].reshape(*power.shape[:2], BAND_HEIGHT, -1).mean(axis=3)
    level = 10 * np.log10(bands / np.maximum(bands.max(axis=(1, 2), keepdims=True), 1e-9) + 1e-12)
    share = np.clip(1 - level / _FLOOR_DB, 0, 1)
    picture = _PAPER - (_PAPER - 20) * share
    return np.ascontiguousarray(picture.transpose(0, 2, 1)[:, ::-1]).astype(np.uint8)[..., None]
