"""From what a recipe says about its data to a :class:`Dataset`."""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.data.bundled import BUNDLED_NAMES, FASHION_MNIST_CLASSES, load_bundled
from edgenas.data.columns import Converted
from edgenas.data.dataset import Dataset
from edgenas.data.examples import is_streamed
from edgenas.data.folders import load_folder
from edgenas.data.keras_sets import load_keras_set
from edgenas.data.npz import load_npz
from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_path

DATA_DIR_VARIABLE = "EDGENAS_DATA_DIR"
#: What to use for a named set that is not in the data folder.
_BUNDLED_STAND_INS = {"fashion_mnist": "fashion_mnist_subset"}
_KNOWN_CLASSES = {"fashion_mnist": FASHION_MNIST_CLASSES}


def load_dataset(
    spec: str,
    data_dir: str | Path | None = None,
    *,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Loads the data set that ``spec`` names.

    - ``path/to/file.npz``: see :func:`edgenas.data.npz.load_npz`;
    - ``path/to/folder``: see :func:`edgenas.data.folders.load_folder`;
    - ``keras:cifar10``: downloaded by Keras;
    - a name such as ``fashion_mnist``: ``NAME.npz`` or the folder ``NAME`` in ``data_dir`` (default: the environment
      variable ``EDGENAS_DATA_DIR``), else a bundled set. ``fashion_mnist`` without a file of that name there is the
      bundled subset, and the result's ``name`` and ``source`` say so.

    ``image_size`` (height, width) resizes, ``channels`` (1 or 3) converts to grey or RGB.
    ``seed`` draws the test part of data that have none. Raises InputError when
    nothing of that name exists or the files are wrong.
    """
    _check_options(image_size, channels)
    if spec.startswith("keras:"):
        dataset = load_keras_set(spec.removeprefix("keras:"))
    elif spec.endswith(".npz"):
        dataset = load_npz(check_path(spec, "data"), seed=seed)
    elif "/" in spec or os.sep in spec or check_path(spec, "data").is_dir():
        return load_folder(check_path(spec, "data"), image_size=image_size, channels=channels, seed=seed)
    else:
        folder = data_directory(data_dir)
        if folder is not None and (folder / spec).is_dir():
            return load_folder(folder / spec, name=spec, image_size=image_size, channels=channels, seed=seed)
        dataset = _named(spec, folder, seed)
    return _converted(dataset, image_size, channels)


def data_directory(data_dir: str | Path | None = None) -> Path | None:
    """The folder of named data sets: the argument, else ``EDGENAS_DATA_DIR``, else None. InputError if missing."""
    value = data_dir or os.environ.get(DATA_DIR_VARIABLE)
    if not value:
        return None
    folder = check_path(value, "--data-dir" if data_dir else DATA_DIR_VARIABLE)
    if not folder.is_dir():
        origin = "--data-dir" if data_dir else DATA_DIR_VARIABLE
        raise InputError(f"{origin}: no folder {folder}; expected a folder of .npz files or image folders")
    return folder


def _named(name: str, folder: Path | None, seed: int) -> Dataset:
    if folder is not None and (folder / f"{name}.npz").is_file():
        return load_npz(folder / f"{name}.npz", name=name, class_names=_KNOWN_CLASSES.get(name), seed=seed)
    bundled = _BUNDLED_STAND_INS.get(name, name)
    if bundled in BUNDLED_NAMES:
        return load_bundled(bundled)
    looked = (
        f"looked for {folder / f'{name}.npz'} and {folder / name}/" if folder else "no --data-dir to look in was given"
    )
    raise InputError(
        f"data set {name!r} not found: {looked}; expected a bundled set ({', '.join(BUNDLED_NAMES)}), "
        "a path of an .npz file or of an image folder, or keras:NAME"
    )


def _check_options(image_size: tuple[int, int] | None, channels: int | None) -> None:
    if image_size is not None and (len(image_size) != 2 or min(image_size) < 1):
        raise InputError(f"image_size must be (height, width) in pixels, not {image_size!r}")
    if channels not in (None, 1, 3):
        raise InputError(f"channels must be 1 (grey) or 3 (RGB), not {channels!r}")


def _converted(dataset: Dataset, image_size: tuple[int, int] | None, channels: int | None) -> Dataset:
    if image_size in (None, dataset.image_shape[:2]) and channels in (None, dataset.image_shape[2]):
        return dataset
    size = image_size or dataset.image_shape[:2]
    return dataclasses.replace(
        dataset,
        images=convert_images(dataset.images, size, channels or dataset.image_shape[2]),
        test_images=convert_images(dataset.test_images, size, channels or dataset.image_shape[2]),
    )


def convert_images(images: Any, size: tuple[int, int], channels: int) -> Any:
    """Resized (bilinear) and converted copies of uint8 images, by Pillow; made when needed where they are read so."""
    from PIL import Image

    if is_streamed(images):
        change = functools.partial(convert_images, size=size, channels=channels)
        return Converted(images, (*size, channels), np.uint8, change)

    mode = "L" if channels == 1 else "RGB"
    result = np.empty((len(images), *size, channels), np.uint8)
    for index, image in enumerate(images):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).convert(mode)
        if picture.size != (size[1], size[0]):
            picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        result[index] = np.asarray(picture, np.uint8).reshape(*size, channels)
    return result
