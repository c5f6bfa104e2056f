"""Reading sounds: 16-bit mono WAV files, cut or padded to one length.

Training reads its sounds with this file, and ``run.py`` of every bundle holds a copy of it (all below the line), so a
model hears the same samples when it is used as when it was trained. It needs NumPy and Python 3.7.
"""

from __future__ import annotations

import os
import wave

import numpy as np

# ---- run.py holds what follows ----


class SoundError(ValueError):
    """A file that is no sound, or none that can be taken; the message does not name the file."""


def conversion(rate: int) -> str:
    """What makes any sound one that can be read."""
    return "convert it: ffmpeg -i IN -ac 1 -ar {} -c:a pcm_s16le OUT.wav".format(rate or "RATE")


def sound_rate(path: str) -> int:
    """Samples a second of a WAV file. Raises SoundError for what cannot be read."""
    return _opened(path, 0, None)[0]


def read_sound(path: str, rate: int, samples: int | None) -> np.ndarray:
    """int16 samples of a WAV file of this rate: ``samples`` from its middle, with zeros behind a shorter one.

    All of them where ``samples`` is None. Raises SoundError for what is empty, damaged, compressed, or of another rate,
    width or number of channels.
    """
    found, values = _opened(path, rate, samples)
    if found != rate:
        raise SoundError(f"{found} Hz, expected {rate}; {conversion(rate)}")
    whole = np.frombuffer(values, "<i2").astype(np.int16)
    return whole if samples is None else np.pad(whole, (0, samples - len(whole)))


def _opened(path: str, rate: int, samples: int | None) -> tuple:
    """(rate, bytes of the samples that are wanted)."""
    if not os.path.isfile(path):
        raise SoundError("no such file, or no regular one")
    if not os.path.getsize(path):
        raise SoundError("is empty; remove or replace it")
    try:
        with wave.open(path, "rb") as file:
            found, width, channels, count = (
                file.getframerate(),
                file.getsampwidth(),
                file.getnchannels(),
                file.getnframes(),
            )
            if channels != 1:
                raise SoundError(f"{channels} channels, expected 1; {conversion(rate or found)}")
            if width != 2:
                raise SoundError(f"{8 * width}-bit samples, expected 16; {conversion(rate or found)}")
            if not count:
                raise SoundError("holds no samples; remove or replace it")
            wanted = count if samples is None else min(samples, count)
            first = (count - wanted) // 2
            file.setpos(first)
            values = file.readframes(wanted)
    except SoundError:
        raise
    except Exception as error:  # damage is met in more ways than can be listed
        what = " ".join(str(error).split())[:100] or type(error).__name__
        raise SoundError(f"not a readable WAV file of plain samples ({what}); {conversion(rate)}") from None
    if len(values) < 2 * wanted:
        raise SoundError(
            f"is cut off: its header tells of {count} samples, {first + len(values) // 2} are there; replace it"
        )
    return found, values
