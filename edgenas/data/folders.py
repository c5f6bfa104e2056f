"""Image folders: ``train/<class>/*.png`` and ``test/<class>/*.png`` (also .jpg, .bmp, .gif, .tif, .webp, .ppm)."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from edgenas.data.archive import memory_limit
from edgenas.data.columns import Read
from edgenas.data.dataset import Dataset, split_off_test
from edgenas.data.labels import check_class_names
from edgenas.export.bundle.pictures import PictureError, picture_is_grey, read_picture
from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_path
from edgenas.spaces.text import one_line

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
#: What operating systems leave in folders; names that begin with a point are left out, too.
_SYSTEM_NAMES = ("thumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "lost+found", "@eadir")

_Value = TypeVar("_Value")


def load_folder(
    root: Path,
    *,
    name: str | None = None,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Reads every image under ``root/train`` and ``root/test``; the folders there are the classes, sorted by name.

    Pictures are read as a viewer shows them (:mod:`edgenas.export.bundle.pictures`); the notes of the result say what
    was converted.
    Without ``root/test`` a test part is split off, the same for the same seed. ``image_size`` (height, width) resizes
    (bilinear, without keeping the aspect); without it all images must have one size. ``channels`` 1 or 3; without it
    1 if every image is grey, else 3. Raises InputError naming the folder or file that is wrong.
    """
    if not check_path(root).is_dir():
        raise InputError(f"{root}: no such folder; expected train/<class>/ and test/<class>/ in it")
    class_names = class_folders(root / "train")
    parts = ("train", "test") if os.path.lexists(root / "test") else ("train",)
    if "test" in parts:
        extra = sorted(set(class_folders(root / "test")) - set(class_names))
        if extra:
            raise InputError(f"{root / 'test' / extra[0]}: a class without training images; expected train/{extra[0]}/")
    files = {part: _files(root / part, class_names) for part in parts}
    every_file = [path for part in files.values() for path, _ in part]
    if channels is None:
        channels = 1 if all(_named(path, picture_is_grey) for path in every_file) else 3
    counted: Counter[str] = Counter()
    loaded = {}
    for part in parts:
        images = _stack(root, [path for path, _ in files[part]], image_size, channels, counted, len(every_file))
        loaded[part] = (images, np.array([label for _, label in files[part]], np.int64))
    notes = tuple(f"{count} of {len(every_file)} pictures: {done}" for done, count in sorted(counted.items()))
    if "test" not in loaded:
        loaded["train"], loaded["test"], said = split_off_test(*loaded["train"], seed, str(root))
        notes = said + notes
    licence = next((p for p in (root / "LICENSE", root / "LICENSE.txt") if p.is_file()), None)
    return Dataset(
        name=name or root.resolve().name,
        images=loaded["train"][0],
        labels=loaded["train"][1],
        test_images=loaded["test"][0],
        test_labels=loaded["test"][1],
        class_names=class_names,
        licence=f"see {licence}" if licence else "not stated in the folder",
        source=str(root),
        notes=notes,
    )


def _is_left_out(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def class_folders(folder: Path, content: str = "images") -> tuple[str, ...]:
    """Names of the folders in a folder, sorted. Raises InputError where there are none, or none that name a class."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one folder per class in it, with {content}")
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not _is_left_out(entry.name))
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from None
    if not names:
        raise InputError(f"{folder}: no class folders; expected one folder per class, with {content}")
    check_class_names(names, str(folder))
    return tuple(names)


def _files(folder: Path, class_names: tuple[str, ...]) -> list[tuple[Path, int]]:
    found = []
    for label, name in enumerate(class_names):
        class_folder = folder / name
        images = pictures_under(class_folder) if class_folder.is_dir() else []
        if not images and folder.name == "train":
            raise InputError(f"{class_folder}: no images; expected files ending in {', '.join(SUFFIXES)}")
        found += [(path, label) for path in images]
    if not found:
        raise InputError(f"{folder}: no images in any class; expected files ending in {', '.join(SUFFIXES)}")
    return found


def pictures_under(folder: Path) -> list[Path]:
    """All pictures of a folder and its folders, sorted."""
    return files_under(folder, SUFFIXES)


def files_under(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """All files of these endings in a folder and its folders, sorted; each folder once, however links lead there."""

    def fail(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}); mend its permissions or remove it")

    found, seen = [], set()
    for place, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        state = os.stat(place)
        if (state.st_dev, state.st_ino) in seen:
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        folders[:] = sorted(name for name in folders if not _is_left_out(name))
        found += [
            Path(place, name) for name in names if Path(name).suffix.lower() in suffixes and not _is_left_out(name)
        ]
    return sorted(found)


def _named(path: Path, read: Callable[[Path], _Value]) -> _Value:
    try:
        return read(path)
    except PictureError as error:
        raise InputError(one_line(f"{path}: {error}")) from None


def _stack(
    root: Path,
    paths: list[Path],
    image_size: tuple[int, int] | None,
    channels: int,
    counted: Counter[str],
    every: int,
) -> Any:
    """All pictures: in memory, or, where they are larger than it, read again when they are needed."""

    def read(path: Path) -> tuple[np.ndarray, set[str]]:
        return read_picture(path, channels, image_size)

    images: np.ndarray | None = None
    shape: tuple[int, ...] = ()
    for index, path in enumerate(paths):
        array, notes = _named(path, read)
        counted.update(notes)
        if not shape:
            shape = array.shape
            if every * array.nbytes <= memory_limit():
                images = np.empty((len(paths), *shape), np.uint8)
        if array.shape != shape:
            raise InputError(
                f"{path}: {array.shape[0]}x{array.shape[1]} pixels, but {paths[0].relative_to(root)} is "
                f"{shape[0]}x{shape[1]}; set image_size to resize all of them"
            )
        if images is not None:
            images[index] = array
    if images is not None:
        return images
    return Read(paths, shape, np.uint8, functools.partial(_picture, channels=channels, image_size=image_size))


def _picture(path: Path, *, channels: int, image_size: tuple[int, int] | None) -> np.ndarray:
    return _named(path, lambda place: read_picture(place, channels, image_size))[0]
