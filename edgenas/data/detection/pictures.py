"""The pictures of a part: all of one shape, in memory, or read again when they are needed."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.data.archive import memory_limit
from edgenas.data.columns import Read
from edgenas.data.detection.annotations import AnnotatedImage
from edgenas.export.bundle.pictures import MAX_PIXELS, PictureError, read_picture
from edgenas.spaces.errors import InputError
from edgenas.spaces.text import one_line

Size = tuple[int, int]


def picture_stack(
    images: Sequence[AnnotatedImage], size: Size | None, channels: int, every: int
) -> tuple[Any, list[Size]]:
    """(column of uint8 images, stored (height, width) of each).

    ``size`` (height, width) resizes; without it all must have one. ``every`` counts the images of all parts, which
    decides about the memory. ``image`` of each is a path, or the bytes of a JPEG. Raises InputError naming the image.
    """
    stack: np.ndarray | None = None
    shape: tuple[int, ...] = ()
    sizes = []
    for index, one in enumerate(images):
        pixels = _read(one, channels)
        sizes.append((pixels.shape[0], pixels.shape[1]))
        if size not in (None, pixels.shape[:2]):
            pixels = _resized(pixels, size)
        if not shape:
            shape = pixels.shape
            if every * pixels.nbytes <= memory_limit():
                stack = np.empty((len(images), *shape), np.uint8)
        if pixels.shape != shape:
            raise InputError(
                f"{one.name}: {pixels.shape[0]}x{pixels.shape[1]} pixels (height x width), but {images[0].name} has "
                f"{shape[0]}x{shape[1]}; set image_size to resize all of them"
            )
        if stack is not None:
            stack[index] = pixels
    if stack is not None:
        return stack, sizes
    return Read(images, shape, np.uint8, functools.partial(_picture, channels=channels, size=size)), sizes


def _picture(one: AnnotatedImage, *, channels: int, size: Size | None) -> np.ndarray:
    pixels = _read(one, channels)
    return pixels if size in (None, pixels.shape[:2]) else _resized(pixels, size)


def _read(one: AnnotatedImage, channels: int) -> np.ndarray:
    try:
        return read_picture(one.image, channels)[0] if isinstance(one.image, Path) else _decoded(one.image, channels)
    except PictureError as error:
        place = one.image if isinstance(one.image, Path) else f"{one.file}: image {one.name}"
        raise InputError(one_line(f"{place}: {error}")) from None


def _decoded(content: bytes, channels: int) -> np.ndarray:
    """The pixels of a JPEG file's bytes."""
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(content), formats=["JPEG"])
        if not 0 < picture.width * picture.height <= MAX_PIXELS:
            raise PictureError(f"a picture of {picture.width} x {picture.height} pixels; shrink it")
        pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"), np.uint8)
    except PictureError:
        raise
    except Exception as error:  # decoders meet damage in too many ways to list
        raise PictureError(f"not a readable JPEG ({error}); make the file anew") from None
    return pixels[..., None] if channels == 1 else pixels


def _resized(pixels: np.ndarray, size: Size | None) -> np.ndarray:
    from edgenas.data.segmentation.folder import resize_image

    assert size is not None
    return resize_image(pixels, size)
