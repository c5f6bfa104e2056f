"""From what a recipe says about its data to images with boxes."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path

from edgenas.data.detection.drawn import GENERATED, generated
from edgenas.data.detection.folder import load_box_folder
from edgenas.data.detection.packed import images_file, load_packed
from edgenas.data.loading import data_directory
from edgenas.data.task_data import DataRequest, ExampleSet
from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_path


def load_detection(request: DataRequest, classes: Sequence[str] = ()) -> ExampleSet:
    """The data of a path (a folder, or a ``.json`` file) or of a name, with the named classes only when any are.

    A folder whose only JSON file has its images in an ``.npz`` file beside it is that file. ``NAME`` is ``NAME.json``
    (with its ``.npz``) or the folder ``NAME`` in the data folder, or one of the generated sets. Raises InputError when
    nothing of that name exists or the files are wrong.
    """
    spec = request.spec
    packed, folder = (
        functools.partial(
            load,
            image_size=request.image_size,
            channels=request.channels,
            seed=request.seed,
            classes=classes,
        )
        for load in (load_packed, load_box_folder)
    )
    if spec in GENERATED:
        return generated(spec, request.image_size, request.channels or 3, classes)
    if spec.endswith(".json"):
        return packed(_existing(check_path(spec, "data")))
    if spec.endswith(".npz"):
        raise InputError(f"{spec}: images without boxes; name the .json file beside it, which tells the boxes")
    if "/" in spec or os.sep in spec or check_path(spec, "data").is_dir():
        path = check_path(spec, "data")
        only = _only_packed(path)
        return folder(path) if only is None else packed(only, name=path.resolve().name)
    directory = data_directory(request.directory)
    if directory is not None and (directory / f"{spec}.json").is_file():
        return packed(directory / f"{spec}.json", name=spec)
    if directory is not None and (directory / spec).is_dir():
        only = _only_packed(directory / spec)
        return folder(directory / spec, name=spec) if only is None else packed(only, name=spec)
    looked = (
        f"looked for {directory / f'{spec}.json'} and {directory / spec}/" if directory else "no --data-dir was given"
    )
    raise InputError(
        f"data set {spec!r} not found: {looked}; expected one of {', '.join(GENERATED)}, or a path of a folder or of a "
        ".json file"
    )


def _only_packed(folder: Path) -> Path | None:
    """The only JSON file of a folder, where its images are in an ``.npz`` file beside it."""
    found = list(folder.glob("*.json")) if folder.is_dir() else []
    return found[0] if len(found) == 1 and images_file(found[0]) is not None else None


def _existing(path: Path) -> Path:
    if path.is_file() and images_file(path) is None:
        raise InputError(
            f"{path}: no {path.stem}_images.npz or {path.stem}.npz beside it; for COCO's files name the folder "
            f"instead: {path.parent}/"
        )
    return path
