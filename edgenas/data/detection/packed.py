"""One JSON file with COCO's lists, and the images in one ``.npz`` file beside it.

``NAME.json`` is as :mod:`edgenas.data.detection.coco` reads it, with a key ``split`` (``train``, ``val`` or ``test``)
of each image; ``val`` is part of the training images. The images are in ``NAME_images.npz`` or ``NAME.npz``, in the
order of the list: as ``images`` (N, height, width, 1 or 3) uint8, or as JPEG files one after the other in ``jpeg``
(uint8) with the bytes of each in ``len``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgenas.data.archive import array_names, read_arrays
from edgenas.data.detection.annotations import Annotations
from edgenas.data.detection.coco import read_coco
from edgenas.data.detection.documents import read_json
from edgenas.data.detection.example_set import Part, check_images, example_set
from edgenas.data.detection.pictures import Size, picture_stack
from edgenas.data.loading import convert_images
from edgenas.data.npz import check_images as check_pixels
from edgenas.data.task_data import ExampleSet
from edgenas.spaces.errors import InputError
from edgenas.spaces.text import one_line

SPLITS = {"train": "train", "val": "train", "test": "test"}
_KEYS = ("images", "jpeg", "len")


def images_file(path: Path) -> Path | None:
    """The file with the images of a JSON file; None when there is none."""
    candidates = (path.with_name(f"{path.stem}_images.npz"), path.with_suffix(".npz"))
    return next((one for one in candidates if one.is_file()), None)


def load_packed(
    path: Path,
    *,
    name: str | None = None,
    image_size: Size | None = None,
    channels: int | None = None,
    seed: int = 0,
    classes: Sequence[str] = (),
) -> ExampleSet:
    """Reads ``NAME.json`` with its images. Raises InputError naming file, key and place."""
    document = read_json(path)
    told = read_coco(path, lambda record, index: index, document)
    check_images(told.images, str(path))
    place = images_file(path)
    if place is None:
        raise InputError(f"{path}: no images; expected {path.stem}_images.npz or {path.stem}.npz beside it")
    contents = _contents(place, len(told.images), path)
    rows: dict[str, list[int]] = {}
    for index, record in enumerate(document["images"]):
        split = record.get("split", "train")
        if not isinstance(split, str) or split not in SPLITS:
            raise InputError(f"{path}: images[{index}]: split is {split!r}; expected one of {', '.join(SPLITS)}")
        rows.setdefault(SPLITS[split], []).append(index)
    if "train" not in rows:
        raise InputError(f"{path}: no image of split train; expected at least one")
    parts = {}
    for part, chosen in rows.items():
        some = Annotations(tuple(told.images[index] for index in chosen), told.names)
        if isinstance(contents, np.ndarray):
            parts[part] = _array_part(contents[chosen], some, image_size, channels)
        else:
            held = tuple(replace(image, image=contents[image.image]) for image in some.images)
            pixels, sizes = picture_stack(held, image_size, channels or 3, len(told.images))
            parts[part] = Part(pixels, sizes, some)
    info = document.get("info")
    licence = info.get("licence", info.get("license")) if isinstance(info, dict) else None
    return example_set(
        parts,
        name=name or path.stem,
        licence=one_line(str(licence))[:500] if licence else "not stated in the file",
        source=str(path),
        seed=seed,
        classes=classes,
    )


def _array_part(pixels: np.ndarray, told: Annotations, size: Size | None, channels: int | None) -> Part:
    stored = (int(pixels.shape[1]), int(pixels.shape[2]))
    if size not in (None, stored) or channels not in (None, pixels.shape[3]):
        pixels = convert_images(pixels, size or stored, channels or pixels.shape[3])
    return Part(pixels, [stored] * len(told.images), told)


def _contents(path: Path, count: int, annotations: Path) -> np.ndarray | list[bytes]:
    """All images: as an array, or as JPEG files."""
    arrays = read_arrays(path, _KEYS, ("images",))
    if "images" in arrays:
        pixels = check_pixels(path, "images", arrays["images"])
        found = len(pixels)
    elif "jpeg" in arrays and "len" in arrays:
        lengths, content = arrays["len"], arrays["jpeg"]
        whole = lengths.ndim == 1 and np.issubdtype(lengths.dtype, np.integer) and content.dtype == np.uint8
        if not whole or content.ndim != 1 or (lengths < 0).any() or int(lengths.sum(dtype=np.int64)) != content.size:
            raise InputError(
                f"{path}: 'len' must hold the bytes of each JPEG file in 'jpeg' (uint8), {content.size:,} together"
            )
        found = len(lengths)
    else:
        names = ", ".join(array_names(path)[:10]) or "nothing"
        raise InputError(f"{path}: found {names}; expected 'images', or 'jpeg' and 'len'")
    if found != count:
        raise InputError(f"{path}: {found} images, but {annotations.name} lists {count}; expected one for each")
    if "images" in arrays:
        return pixels
    ends = np.cumsum(lengths.astype(np.int64))
    return [content[end - length : end].tobytes() for end, length in zip(ends, lengths.astype(np.int64), strict=True)]
