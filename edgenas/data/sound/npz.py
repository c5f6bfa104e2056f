"""Sounds in one ``.npz`` file.

| key | what it holds |
|---|---|
| ``x_train`` | sounds ``(N, samples)``: int16, or floats in [-1, 1]; or ``x_train_mulaw8`` instead, see below |
| ``y_train`` | a whole number for each: the place of its class in ``class_names`` |
| ``sample_rate`` | samples a second |
| ``x_val``, ``y_val``, ``x_test``, ``y_test`` | likewise, if there are such parts |
| ``class_names`` | names of the classes; numbers where it is left out |
| ``speaker_train`` | a whole number for each training sound: sounds of one number stay on one side of a split; -1, or the largest number of an unsigned type, is nobody |
| ``x_noise`` | sounds to mix into others |
| ``licence`` | a text |

``x_*_mulaw8`` are int8: a sample is ``sign(q) * (256 ** (abs(q) / 127) - 1) / 255``.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.data.archive import array_names, read_arrays
from edgenas.data.npz import check_class_list
from edgenas.data.sound.sound_set import NO_GROUP, Part, SoundSet, sound_set
from edgenas.spaces.errors import InputError
from edgenas.spaces.text import one_line

_PARTS = ("train", "val", "test")
_MULAW = "_mulaw8"
_OTHERS = ("sample_rate", "class_names", "speaker_train", "x_noise", f"x_noise{_MULAW}", "licence")
_MOST_CLASSES = 10**4
_RATES = (1_000, 384_000)


def load_sound_npz(
    path: Path, *, seconds: float, rate: int | None = None, name: str | None = None, seed: int = 0
) -> SoundSet:
    """Reads the file that this module describes; sounds are cut to their middle ``seconds``, or padded with zeros.

    Raises InputError naming the file and key.
    """
    sounds = [f"x_{part}{kind}" for part in _PARTS for kind in ("", _MULAW)]
    arrays = read_arrays(path, (*sounds, *(f"y_{part}" for part in _PARTS), *_OTHERS))
    found = _rate(path, arrays)
    if rate is not None and rate != found:
        raise InputError(
            f"{path}: its sample_rate is {found}, task_options say {rate}; resample the sounds, or remove it"
        )
    parts = {part: _part(path, part, arrays, round(seconds * found)) for part in _PARTS if _has(part, arrays)}
    if "train" not in parts:
        keys = ", ".join(sorted(array_names(path))[:20]) or "nothing"
        raise InputError(f"{path}: no key 'x_train'; found {keys}; expected x_train, y_train and sample_rate")
    names = check_class_list(path, arrays)
    most = max(int(part.labels.max(initial=0)) for part in parts.values()) + 1
    names = names or tuple(str(label) for label in range(most))
    for key, part in parts.items():
        wrong = np.flatnonzero((part.labels < 0) | (part.labels >= len(names)))
        if wrong.size:
            raise InputError(
                f"{path}: 'y_{key}' holds {part.labels[wrong[0]]} (sound {wrong[0]}); there are {len(names)} classes: "
                "expected places from 0 on"
            )
    noise = _sounds(path, "x_noise", arrays, round(seconds * found)) if _noise_key(arrays) else None
    return sound_set(
        parts,
        classes=names,
        rate=found,
        noise=noise,
        name=name or path.stem,
        licence=one_line(str(arrays["licence"]))[:500] if "licence" in arrays else "not stated in the file",
        source=str(path),
        seed=seed,
    )


def _has(part: str, arrays: Mapping[str, Any]) -> bool:
    return any(key in arrays for key in (f"x_{part}", f"x_{part}{_MULAW}", f"y_{part}"))


def _noise_key(arrays: Mapping[str, Any]) -> bool:
    return "x_noise" in arrays or f"x_noise{_MULAW}" in arrays


def _rate(path: Path, arrays: Mapping[str, np.ndarray]) -> int:
    value = arrays.get("sample_rate")
    if value is None:
        raise InputError(f"{path}: no key 'sample_rate'; save the samples a second, such as sample_rate=16000")
    number = value.reshape(-1)
    if number.size != 1 or number.dtype.kind not in "iuf" or not _RATES[0] <= number[0] <= _RATES[1] or number[0] % 1:
        raise InputError(
            f"{path}: 'sample_rate' is {value.dtype} {one_line(str(value))[:40]}; expected one whole number of samples "
            f"a second from {_RATES[0]} to {_RATES[1]}"
        )
    return int(number[0])


def _part(path: Path, part: str, arrays: Mapping[str, np.ndarray], samples: int) -> Part:
    sounds = _sounds(path, f"x_{part}", arrays, samples)
    labels = _whole(path, f"y_{part}", arrays, len(sounds))
    if labels.size and labels.max() >= _MOST_CLASSES:
        raise InputError(f"{path}: 'y_{part}' holds {labels.max()}; expected places of classes from 0 without gaps")
    groups = None
    if part == "train" and "speaker_train" in arrays:
        raw = arrays["speaker_train"]
        groups = _whole(path, "speaker_train", arrays, len(sounds))
        nobody = groups < 0
        if raw.dtype.kind == "u":
            nobody |= raw.reshape(-1) == np.iinfo(raw.dtype).max
        groups = np.where(nobody, NO_GROUP, groups)
    return Part(sounds, labels, groups)


def _whole(path: Path, key: str, arrays: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    values = arrays.get(key)
    if values is None:
        raise InputError(f"{path}: no key {key!r}; expected a whole number for each of {count} sounds")
    if values.shape != (count,) or values.dtype.kind not in "iu":
        raise InputError(
            f"{path}: {key!r} is {values.dtype} of shape {values.shape}; expected a whole number for each of {count} "
            f"sounds, shape ({count},)"
        )
    return values.astype(np.int64)


def _sounds(path: Path, key: str, arrays: Mapping[str, np.ndarray], samples: int) -> np.ndarray:
    """int16 of one length."""
    packed = key not in arrays
    key = f"{key}{_MULAW}" if packed else key
    values = arrays.get(key)
    if values is None:
        raise InputError(f"{path}: no key {key.removesuffix(_MULAW)!r}; expected sounds (N, samples)")
    if values.ndim != 2 or not values.shape[1]:
        raise InputError(f"{path}: {key!r} has shape {values.shape}; expected (N, samples)")
    first = max(0, values.shape[1] - samples) // 2
    values = values[:, first : first + samples]
    if packed:
        if values.dtype != np.int8:
            raise InputError(f"{path}: {key!r} is {values.dtype}; expected int8 (mu-law), or int16 samples as 'x_...'")
        table = np.arange(-128, 128, dtype=np.float64)
        table = np.sign(table) * (256.0 ** (np.minimum(np.abs(table), 127) / 127) - 1) / 255
        found = np.round(32767 * table).astype(np.int16)[values.astype(np.int16) + 128]
    elif values.dtype == np.int16:
        found = values
    elif values.dtype.kind == "f":
        found = _from_real(path, key, values)
    else:
        raise InputError(f"{path}: {key!r} is {values.dtype}; expected int16 samples, or floats in [-1, 1]")
    return np.pad(found, ((0, 0), (0, samples - found.shape[1])))


def _from_real(path: Path, key: str, values: np.ndarray) -> np.ndarray:
    wrong = ~(np.abs(values) <= 1)
    if wrong.any():
        row = int(np.flatnonzero(wrong.any(axis=1))[0])
        raise InputError(
            f"{path}: {key!r} holds {values[row][wrong[row]][0]:g} (sound {row}); expected floats in [-1, 1], or int16"
        )
    return np.round(values * 32767).astype(np.int16)
