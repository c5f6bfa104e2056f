"""From what a recipe says about its sounds to a :class:`SoundSet`."""

from __future__ import annotations

import functools
import os

from edgenas.data.loading import data_directory
from edgenas.data.sound.folder import load_sound_folder
from edgenas.data.sound.generated import GENERATED, RATE, generated_tones
from edgenas.data.sound.npz import load_sound_npz
from edgenas.data.sound.sound_set import SoundSet
from edgenas.data.task_data import DataRequest
from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_path


def load_sounds(request: DataRequest, *, seconds: float = 1.0, rate: int | None = None) -> SoundSet:
    """The data of a path (an ``.npz`` file or a folder) or of a name; ``generated_tones`` comes with EdgeNAS.

    Raises InputError when nothing of that name exists or the files are wrong.
    """
    spec = request.spec
    for option in ("image_size", "channels"):
        if getattr(request, option) is not None:
            raise InputError(f"data.{option} is for images; remove it")
    if spec == GENERATED:
        return generated_tones(seconds, rate or RATE)
    folder = functools.partial(load_sound_folder, seconds=seconds, rate=rate, seed=request.seed)
    archive = functools.partial(load_sound_npz, seconds=seconds, rate=rate, seed=request.seed)
    if spec.endswith(".npz"):
        return archive(check_path(spec, "data"))
    if "/" in spec or os.sep in spec or check_path(spec, "data").is_dir():
        return folder(check_path(spec, "data"))
    directory = data_directory(request.directory)
    if directory is not None and (directory / f"{spec}.npz").is_file():
        return archive(directory / f"{spec}.npz", name=spec)
    if directory is not None and (directory / spec).is_dir():
        return folder(directory / spec, name=spec)
    looked = (
        f"looked for {directory / f'{spec}.npz'} and {directory / spec}/" if directory else "no --data-dir was given"
    )
    raise InputError(
        f"data set {spec!r} not found: {looked}; expected {GENERATED}, or a path of an .npz file or of a folder with "
        "train/<class>/*.wav"
    )
