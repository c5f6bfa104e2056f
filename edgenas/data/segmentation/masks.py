"""Masks out of files: pictures whose pixels are indices, or colours that a legend explains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgenas.data.segmentation.legend import LEGEND_FILE, VOID_NAME, Legend, UnknownCodeError, colour_words
from edgenas.export.bundle.pictures import MAX_PIXELS, PictureError
from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_regular_file
from edgenas.spaces.text import one_line

MASK_SUFFIXES = (".png", ".bmp", ".gif", ".tif", ".tiff")
_INDEXED = ("P", "L", "1")


def read_indices(path: Path) -> np.ndarray:
    """The indices of a mask without a legend, uint8. Raises InputError naming the file."""
    image = _opened(path)
    if image.mode not in _INDEXED:
        raise InputError(
            f"{path}: a mask of colours ({image.mode}) and no {LEGEND_FILE} beside images/ and masks/; expected an "
            f"indexed picture, or a {LEGEND_FILE} with the header name,red,green,blue"
        )
    return np.asarray(image.convert("L") if image.mode == "1" else image, np.uint8)


def read_mask(path: Path, legend: Legend) -> np.ndarray:
    """uint8 labels ``(height, width)`` of a mask. Raises InputError naming the file, the pixel, and what to do."""
    codes = _colours(path) if legend.is_colour else read_indices(path)
    try:
        return legend.labels(codes)
    except UnknownCodeError as error:
        raise InputError(f"{path}: {unknown_words(legend, error)}") from None


def unknown_words(legend: Legend, error: UnknownCodeError) -> str:
    """What is wrong with a pixel that is of no class, and what to do."""
    if legend.is_colour:
        what, row = f"the colour {colour_words(error.code)} {error.place} is not in {LEGEND_FILE}", "a row for it"
    else:
        what = f"the label {error.code} {error.place} is of no class: there are {len(legend.names)}"
        row = "a class for it"
    if legend.has_void:
        return f"{what}; add {row}, or mend the mask"
    return f"{what}, and no void is named; add {row}, or say that it is {VOID_NAME}: pixels that do not count"


def resize_mask(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Labels in another size (height, width): each pixel that of the nearest one."""
    from PIL import Image

    height, width = size
    return np.asarray(Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST), np.uint8)


def _colours(path: Path) -> np.ndarray:
    pixels = np.asarray(_opened(path).convert("RGB"), np.int64)
    return np.asarray(pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2])


def _opened(path: Path) -> Any:
    from PIL import Image

    check_regular_file(path, "a mask")
    try:
        image = Image.open(path)
        if image.format == "JPEG":
            raise PictureError("a JPEG changes the pixels of a mask; save it as PNG")
        if not 0 < image.width * image.height <= MAX_PIXELS:
            raise PictureError(f"a mask of {image.width} x {image.height} pixels; shrink it")
        image.load()
    except PictureError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # decoders meet damage in too many ways to list
        raise InputError(one_line(f"{path}: not a readable mask ({error}); remove or replace it")) from None
    return image
