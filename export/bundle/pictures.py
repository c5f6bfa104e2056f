"""Reading pictures as a viewer shows them: upright, in 8 bits, on a white ground, the first frame of an animation.

Training reads its images with this file, and ``run.py`` of every bundle holds a copy of it (all below the line), so a
model meets the same pixels when it is used as when it was trained. It needs NumPy and Pillow only, and Python 3.7.

Gamma chunks and colour profiles are set aside: pixels are taken as sRGB, as nearly all are.
"""

from __future__ import annotations

import os
import stat
import warnings
from typing import Any

import numpy as np

# ---- run.py holds what follows ----

#: Larger pictures are not decoded: this many pixels take some hundred megabytes.
MAX_PIXELS = 50_000_000
PICTURE_FORMATS = ("PNG", "JPEG", "MPO", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM")
_TURNS = {2: (0,), 3: (3,), 4: (1,), 5: (5,), 6: (4,), 7: (6,), 8: (2,)}  # EXIF orientation: Pillow's transpositions
_BITS, _SAMPLE_FORMAT = 258, 339  # tags of TIFF
_UNSIGNED, _SIGNED = 1, 2


class PictureError(ValueError):
    """A file that is no picture, or none that can be read; the message does not name the file."""


def read_picture(path: Any, channels: int | None, size: tuple[int, int] | None = None) -> tuple[np.ndarray, set[str]]:
    """(uint8 pixels ``(height, width, channels)``, what was converted: a set of short phrases).

    ``channels`` is 1 (grey) or 3 (RGB), None for what the picture has. ``size`` (height, width) resizes, bilinear.
    Raises PictureError.
    """
    with _opened(path) as image:
        notes: set[str] = set()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                picture = _as_shown(image, notes)
                if channels is None:
                    channels = 1 if picture.mode == "L" else 3
                picture = picture.convert("L" if channels == 1 else "RGB")
                if size is not None and picture.size != (size[1], size[0]):
                    picture = picture.resize((size[1], size[0]), 2)  # bilinear
        except PictureError:
            raise
        except MemoryError:
            raise PictureError("does not fit in memory; shrink it") from None
        except Exception as error:  # decoders meet damage in too many ways to list
            raise PictureError(f"a damaged image ({_words(error)}); remove or replace it") from None
    return np.asarray(picture, np.uint8).reshape(picture.height, picture.width, channels), notes


def picture_is_grey(path: Any) -> bool:
    """Whether a picture has no colour, by its kind. Reads its header only. Raises PictureError."""
    with _opened(path) as image:
        return image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")


def _opened(path: Any) -> Any:
    """An image whose header is read and whose size is bounded, as a context manager."""
    try:
        from PIL import Image
    except ImportError:
        raise PictureError("reading pictures needs Pillow: pip install pillow") from None

    try:
        state = os.stat(path)
    except (OSError, ValueError) as error:
        raise PictureError(f"cannot be read ({_words(error)})") from None
    if not stat.S_ISREG(state.st_mode):
        raise PictureError("not a readable image: it is no regular file (a folder, pipe, socket or device); remove it")
    if not state.st_size:
        raise PictureError("not a readable image: it is empty; remove or replace it")
    Image.init()
    formats = [name for name in PICTURE_FORMATS if name in Image.OPEN]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(path, formats=formats)
    except Image.DecompressionBombError as error:
        raise _too_large(str(error).partition("(")[2].partition(")")[0]) from None
    except Exception as error:  # UnidentifiedImageError, and what damaged headers raise
        if type(error).__name__ == "UnidentifiedImageError":
            error = ValueError(f"none of {', '.join(PICTURE_FORMATS)}")
        raise PictureError(f"not a readable image ({_words(error)}); remove or replace it") from None
    width, height = image.size
    if width * height > MAX_PIXELS or not width * height:
        image.close()
        raise _too_large(f"{width} x {height} pixels")
    return image


def _too_large(found: str) -> PictureError:
    return PictureError(
        f"a picture of {found}; from 1 to {MAX_PIXELS // 10**6} million are decoded: shrink it, or remove it"
    )


def _words(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def _as_shown(image: Any, notes: set) -> Any:
    """A picture in mode L or RGB. Adds what was converted to ``notes``."""
    if getattr(image, "is_animated", False) and image.format != "MPO":  # MPO: one photo and its thumbnails
        notes.add("only the first frame of an animation or of several pages was taken")
    if image.format == "PNG" and image.tile and "16" in str(image.tile[0][3]):
        notes.add("scaled from 16 to 8 bits")
        key = image.info.get("transparency")
        if isinstance(key, tuple):  # Pillow keeps the upper bytes of 16-bit colours
            image.info["transparency"] = tuple(value >> 8 for value in key)
    try:
        turn = image.getexif().get(0x0112, 1)
    except Exception:  # a damaged tag turns nothing
        turn = 1
    before = image.size
    image.load()
    if image.format == "TIFF" and turn in _TURNS and _turned_by_pillow(image, before, turn):
        turns: tuple = ()
    else:
        turns = _TURNS.get(turn, ())
    if turn in _TURNS:
        notes.add("turned upright by the EXIF orientation")
    picture = _flattened(_in_8_bits(image, notes), notes)
    for method in turns:
        picture = picture.transpose(method)
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


def _turned_by_pillow(image: Any, before: Any, turn: int) -> bool:
    """Whether loading a TIFF has turned it, as newer Pillows do: then the tag is gone."""
    try:
        return image.getexif().get(0x0112, 1) != turn
    except Exception:
        return bool(image.size != before)


def _in_8_bits(image: Any, notes: set) -> Any:
    """The same picture with at most 8 bits for each value; transparency is kept."""
    from PIL import Image

    if not (image.mode == "F" or image.mode.startswith("I")):
        if image.format == "TIFF" and max(_tag(image, _BITS), default=8) > 8:
            notes.add("scaled from 16 to 8 bits")
        return image
    values = np.asarray(image)
    if image.mode == "F":
        low, high = (float(values.min()), float(values.max())) if np.isfinite(values).all() else (np.nan, np.nan)
        if not (low >= 0 and high <= 1):
            raise PictureError(
                f"a picture of floats from {low:.4g} to {high:.4g}; expected 0 (black) to 1 (white): save it in 8 or "
                "16 bits"
            )
        notes.add("scaled from floats between 0 and 1")
        return Image.fromarray(np.round(values * np.float32(255)).astype(np.uint8))
    bits, kind = 16, _UNSIGNED
    if image.format == "TIFF":
        bits = max(_tag(image, _BITS), default=32 if image.mode == "I" else 16)
        kind = max(_tag(image, _SAMPLE_FORMAT), default=_UNSIGNED)
    if bits == 32 and kind == _UNSIGNED:
        values = values.view(np.uint32) if values.dtype == np.int32 else values
    white = 2 ** (bits - (kind == _SIGNED)) - 1
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > white or (bits > 16 and 0 < high < 2**16):
        raise PictureError(
            f"a picture of {bits}-bit whole numbers from {low} to {high}, where white should be {white}: save it in 8 "
            "or 16 bits"
        )
    notes.add(f"scaled from {bits} to 8 bits")
    scaled = (values.astype(np.float32 if bits <= 16 else np.float64) * (255 / white) + 0.5).astype(np.uint8)
    picture = Image.fromarray(scaled)
    key = image.info.get("transparency")
    if isinstance(key, int) and (values == key).any():
        picture.putalpha(Image.fromarray(((values != key) * 255).astype(np.uint8)))
    return picture


def _tag(image: Any, number: int) -> tuple:
    value = getattr(image, "tag_v2", {}).get(number, ())
    return value if isinstance(value, tuple) else (value,)


def _flattened(image: Any, notes: set) -> Any:
    """What shows on a white ground; pictures without transparency are only converted to L or RGB."""
    from PIL import Image

    grey = image.mode in ("1", "L", "LA", "La")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        if image.mode in ("La", "RGBa"):
            image = image.convert("LA" if image.mode == "La" else "RGBA")
        layered = image.convert("RGBA")
        if layered.getchannel("A").getextrema()[0] < 255:
            notes.add("transparency was put on white")
            ground = Image.new("RGBA", layered.size, (255, 255, 255, 255))
            layered = Image.alpha_composite(ground, layered)
        image = layered.convert("RGB")
    elif image.mode in ("CMYK", "YCbCr", "HSV", "LAB"):
        notes.add(f"converted from {image.mode} to RGB")
    return image.convert("L" if grey else "RGB")
