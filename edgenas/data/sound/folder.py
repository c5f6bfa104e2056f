"""Folders of WAV files: ``train/CLASS/*.wav``, and ``val/`` and ``test/`` likewise where there are such."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.data.archive import memory_limit
from edgenas.data.columns import Read
from edgenas.data.folders import class_folders, files_under
from edgenas.data.sound.sound_set import NO_GROUP, Part, SoundSet, sound_set
from edgenas.export.bundle.sounds import SoundError, read_sound, sound_rate
from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_path
from edgenas.spaces.text import one_line

SUFFIX = ".wav"
#: A folder of long sounds that are no class but noise, as Speech Commands has it.
NOISE_FOLDER = "_background_noise_"
#: Names of files as Speech Commands has them: what stands before is the speaker.
_SPEAKER = re.compile(r"(.+)_nohash_\d+")
_MOST_NOISE = 1000

_Files = list[tuple[Path, int]]


def load_sound_folder(
    root: Path, *, seconds: float, rate: int | None = None, name: str | None = None, seed: int = 0
) -> SoundSet:
    """Reads every ``.wav`` file under ``root/train``, ``root/val`` and ``root/test``; folders there are the classes.

    All must have 16 bits, one channel and one rate: ``rate``, or that of the first. Sounds are cut to their middle
    ``seconds``, or padded with zeros. Files in ``root/train/_background_noise_`` (or in ``root``) are noise to mix in.
    Where all names end in ``_nohash_N``, what stands before is the speaker, whose sounds stay on one side of a split.
    Raises InputError naming the folder or file that is wrong.
    """
    if not check_path(root).is_dir():
        raise InputError(f"{root}: no such folder; expected train/<class>/*.wav in it, and test/ likewise")
    names = tuple(each for each in class_folders(root / "train", "WAV files") if each != NOISE_FOLDER)
    if not names:
        raise InputError(f"{root / 'train'}: no class folders; expected one folder per class, with WAV files")
    parts = ("train", *(part for part in ("val", "test") if os.path.lexists(root / part)))
    for part in parts[1:]:
        extra = sorted(set(class_folders(root / part, "WAV files")) - {*names, NOISE_FOLDER})
        if extra:
            raise InputError(f"{root / part / extra[0]}: a class without training sounds; expected train/{extra[0]}/")
    files = {part: _files(root / part, names) for part in parts}
    first = files["train"][0][0]
    found = rate or named(first, sound_rate)
    samples = round(seconds * found)
    every = sum(map(len, files.values()))
    loaded = {
        part: Part(
            _stack([path for path, _ in each], found, samples, every),
            np.array([label for _, label in each], np.int64),
            _speakers(each),
        )
        for part, each in files.items()
    }
    licence = next((p for p in (root / "LICENSE", root / "LICENSE.txt") if p.is_file()), None)
    return sound_set(
        loaded,
        classes=names,
        rate=found,
        noise=_noise(root, found, samples, seed),
        name=name or root.resolve().name,
        licence=f"see {licence}" if licence else "not stated in the folder",
        source=str(root),
        seed=seed,
    )


def named(path: Path, function: Any, *arguments: Any) -> Any:
    """What a function makes of a sound's file. Raises InputError that names it."""
    try:
        return function(str(path), *arguments)
    except SoundError as error:
        raise InputError(one_line(f"{path}: {error}")) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); mend its permissions or remove it") from None


def _files(folder: Path, names: Sequence[str]) -> _Files:
    found: _Files = []
    for label, name in enumerate(names):
        sounds = files_under(folder / name, (SUFFIX,)) if (folder / name).is_dir() else []
        if not sounds and folder.name == "train":
            raise InputError(f"{folder / name}: no sounds; expected files ending in {SUFFIX}")
        found += [(path, label) for path in sounds]
    if not found:
        raise InputError(f"{folder}: no sounds in any class; expected files ending in {SUFFIX}")
    return found


def _speakers(files: _Files) -> np.ndarray | None:
    """A number for each file's speaker; None where names do not tell."""
    found = [_SPEAKER.fullmatch(path.stem) for path, _ in files]
    if not any(found):
        return None
    numbers: dict[str, int] = {}
    return np.array([NO_GROUP if one is None else numbers.setdefault(one[1], len(numbers)) for one in found], np.int64)


def _stack(paths: Sequence[Path], rate: int, samples: int, every: int) -> Any:
    """All sounds: in memory, or, where they are larger than it, read again when they are needed."""
    read = functools.partial(_read, rate=rate, samples=samples)
    if every * samples * 2 > memory_limit():
        for path in paths:
            read(path)
        return Read(paths, (samples,), np.int16, read)
    sounds = np.empty((len(paths), samples), np.int16)
    for index, path in enumerate(paths):
        sounds[index] = read(path)
    return sounds


def _read(path: Path, *, rate: int, samples: int) -> np.ndarray:
    return np.asarray(named(path, read_sound, rate, samples))


def _noise(root: Path, rate: int, samples: int, seed: int) -> np.ndarray | None:
    """Pieces of the noise's files, some of each; None where there are none."""
    folders = [folder for folder in (root / "train" / NOISE_FOLDER, root / NOISE_FOLDER) if folder.is_dir()]
    paths = [path for folder in folders for path in files_under(folder, (SUFFIX,))]
    rng = np.random.default_rng([seed, 0x4015E])
    pieces = []
    for path in paths:
        whole = np.asarray(named(path, read_sound, rate, None))
        whole = np.pad(whole, (0, max(0, samples - len(whole))))
        count = min(-(-len(whole) // samples), max(1, _MOST_NOISE // len(paths)))
        pieces += [whole[start : start + samples] for start in rng.integers(0, len(whole) - samples + 1, count)]
    return np.stack(pieces) if pieces else None
