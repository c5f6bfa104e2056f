"""Folders: ``images/`` and ``masks/`` with files of the same names, under ``train/`` and ``test/`` or directly."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgenas.data.archive import memory_limit
from edgenas.data.columns import Read
from edgenas.data.folders import SUFFIXES, pictures_under
from edgenas.data.segmentation.example_set import Part, example_set
from edgenas.data.segmentation.legend import LEGEND_FILE, VOID, Legend, numbered_legend, read_legend
from edgenas.data.segmentation.masks import MASK_SUFFIXES, read_indices, read_mask, resize_mask
from edgenas.data.task_data import ExampleSet
from edgenas.export.bundle.pictures import PictureError, read_picture
from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_path
from edgenas.spaces.text import one_line

_Pair = tuple[Path, Path]
_Size = tuple[int, int] | None


def load_mask_folder(
    root: Path, *, name: str | None = None, image_size: _Size = None, channels: int | None = None, seed: int = 0
) -> ExampleSet:
    """Reads ``root/{train,test}/{images,masks}``, or ``root/{images,masks}``, of which a test part is split off.

    A mask has the name of its image but for the ending. Its pixels are indices, or colours that ``legend.csv`` in
    ``root`` explains (:mod:`edgenas.data.segmentation.legend`). Without a legend classes have numbers for names, and
    the index 255 is void. ``image_size`` (height, width) resizes images (bilinear) and masks (nearest). Raises
    InputError naming the file that is wrong.
    """
    if not check_path(root).is_dir():
        raise InputError(f"{root}: no such folder; expected images/ and masks/ in it, or train/ and test/ with these")
    folders = {"train": root} if (root / "images").is_dir() else {part: root / part for part in ("train", "test")}
    if "test" in folders and not folders["test"].exists():
        del folders["test"]
    pairs = {part: _pairs(folder) for part, folder in folders.items()}
    legend_path = root / LEGEND_FILE
    legend = read_legend(legend_path) if legend_path.exists() else _numbers([m for p in pairs.values() for _, m in p])
    channels = channels or 3
    every = sum(map(len, pairs.values()))
    parts = {part: _stack(found, legend, image_size, channels, every) for part, found in pairs.items()}
    licence = next((p for p in (root / "LICENSE", root / "LICENSE.txt") if p.is_file()), None)
    return example_set(
        parts,
        names=legend.names,
        name=name or root.resolve().name,
        licence=f"see {licence}" if licence else "not stated in the folder",
        source=str(root),
        seed=seed,
    )


def _pairs(folder: Path) -> list[_Pair]:
    """Every image with its mask. Raises InputError naming the one that is alone."""
    found = []
    for kind in ("images", "masks"):
        if not (folder / kind).is_dir():
            raise InputError(f"{folder / kind}: no such folder; expected images/ and masks/ side by side")
        found.append(pictures_under(folder / kind))
    images, masks = found
    of_masks = {_key(path, folder / "masks"): path for path in masks if path.suffix.lower() in MASK_SUFFIXES}
    pairs = []
    for path in images:
        mask = of_masks.pop(_key(path, folder / "images"), None)
        if mask is None:
            wanted = (folder / "masks" / path.relative_to(folder / "images")).with_suffix(".png")
            raise InputError(f"{path}: has no mask; expected {wanted}")
        pairs.append((path, mask))
    if of_masks:
        left = min(of_masks.values())
        raise InputError(
            f"{left}: a mask of no image; expected an image of that name in {folder / 'images'}, or remove it"
        )
    if not pairs:
        raise InputError(f"{folder / 'images'}: no images; expected files ending in {', '.join(SUFFIXES)}")
    return pairs


def _key(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder).with_suffix(""))


def _numbers(masks: Sequence[Path]) -> Legend:
    """Without a legend: as many classes as the largest index says, and 255 for void."""
    largest = 0
    for path in masks:
        indices = read_indices(path)
        largest = max(largest, int(indices[indices != VOID].max(initial=0)))
    return numbered_legend([str(index) for index in range(largest + 1)], VOID)


def _stack(pairs: Sequence[_Pair], legend: Legend, image_size: _Size, channels: int, every: int) -> Part:
    """All examples: in memory, or, where they are larger than it, read again when they are needed."""
    images: np.ndarray | None = None
    masks: np.ndarray | None = None
    shape: tuple[int, ...] = ()
    for index, pair in enumerate(pairs):
        pixels, labels = read_pair(pair, legend, image_size, channels)
        if not shape:
            shape = pixels.shape
            if every * (pixels.nbytes + labels.nbytes) <= memory_limit():
                images = np.empty((len(pairs), *shape), np.uint8)
                masks = np.empty((len(pairs), *shape[:2]), np.uint8)
        if pixels.shape != shape:
            raise InputError(
                f"{pair[0]}: {pixels.shape[0]}x{pixels.shape[1]} pixels, but {pairs[0][0].name} has "
                f"{shape[0]}x{shape[1]}; set image_size to resize all of them"
            )
        if images is not None and masks is not None:
            images[index], masks[index] = pixels, labels
    if images is not None and masks is not None:
        return images, masks
    read = functools.partial(_part_of_pair, legend=legend, image_size=image_size, channels=channels)
    return (
        Read(pairs, shape, np.uint8, functools.partial(read, place=0)),
        Read(pairs, shape[:2], np.uint8, functools.partial(read, place=1)),
    )


def _part_of_pair(pair: _Pair, *, legend: Legend, image_size: _Size, channels: int, place: int) -> np.ndarray:
    return read_pair(pair, legend, image_size, channels)[place]


def read_pair(pair: _Pair, legend: Legend, image_size: _Size, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """(image, labels), of one size. Raises InputError naming the file."""
    image, mask = pair
    try:
        pixels, _ = read_picture(image, channels)
    except PictureError as error:
        raise InputError(one_line(f"{image}: {error}")) from None
    labels = read_mask(mask, legend)
    if labels.shape != pixels.shape[:2]:
        raise InputError(
            f"{mask}: {labels.shape[0]}x{labels.shape[1]} pixels (height x width), its image {image.name} has "
            f"{pixels.shape[0]}x{pixels.shape[1]}; make the mask anew at the size of the image"
        )
    if image_size in (None, labels.shape):
        return pixels, labels
    assert image_size is not None
    return resize_image(pixels, image_size), resize_mask(labels, image_size)


def resize_image(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A uint8 image of 1 or 3 channels in another size (height, width), bilinear."""
    from PIL import Image

    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR), np.uint8).reshape(
        *size, pixels.shape[-1]
    )
