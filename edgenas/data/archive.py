"""Arrays of ``.npz`` files, read so that a damaged or malicious file costs neither memory nor a traceback."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_regular_file
from edgenas.spaces.text import one_line

#: Arrays that unpack to more than this must not be packed more than MAX_RATIO-fold: no pictures are.
_SMALL_BYTES, MAX_RATIO = 256 * 2**20, 200
_ENCRYPTED = 1
_MAGIC = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def memory_limit() -> int:
    """Bytes that a data set may take: half of the machine's memory."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (ValueError, OSError, AttributeError):
        return 4 * 2**30


def array_names(path: Path) -> list[str]:
    """The keys of an ``.npz`` file, in its order. Raises InputError when it is none."""
    with _archive(path) as archive:
        return [_key(info) for info in archive.infolist()]


def read_arrays(path: Path, keys: Collection[str] | None = None) -> Mapping[str, np.ndarray]:
    """The arrays of an ``.npz`` file by key: those of ``keys`` that it has, or all.

    Python objects are never unpickled. Nothing is allocated before the file's own figures have been compared: the
    shape with the bytes that are there, and these with :func:`memory_limit`. Raises InputError naming file and key.
    """
    arrays: dict[str, np.ndarray] = {}
    with _archive(path) as archive:
        chosen = [info for info in archive.infolist() if keys is None or _key(info) in keys]
        _check_members(path, chosen)
        for info in chosen:
            arrays[_key(info)] = _read(path, archive, info)
    return arrays


def _archive(path: Path) -> zipfile.ZipFile:
    check_regular_file(path, "an .npz file")
    try:
        with path.open("rb") as file:
            if file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX:
                raise InputError(f"{path}: found a single array; expected an .npz archive made by numpy.savez")
        return zipfile.ZipFile(path)
    except InputError:
        raise
    except Exception as error:  # a damaged directory fails in many ways
        raise InputError(f"{path}: not a readable .npz file ({_words(error)}); make it with numpy.savez") from None


def _key(info: zipfile.ZipInfo) -> str:
    return info.filename.removesuffix(".npy")


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    for info in members:
        key = _key(info)
        if key in seen:
            raise InputError(f"{path}: {key!r} is there twice; make the file anew with numpy.savez")
        seen.add(key)
        if info.flag_bits & _ENCRYPTED:
            raise InputError(f"{path}: {key!r} is encrypted; save it without a password, with numpy.savez")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(
                f"{path}: {key!r} is packed by method {info.compress_type}; expected numpy.savez or savez_compressed"
            )
        if info.file_size > max(_SMALL_BYTES, MAX_RATIO * info.compress_size):
            raise InputError(
                f"{path}: {key!r} would unpack from {info.compress_size:,} bytes to {info.file_size:,}; nothing with "
                "content does: make the file anew, or save it with numpy.savez, which does not pack"
            )
    total, limit = sum(info.file_size for info in members), memory_limit()
    if total > limit:
        raise InputError(
            f"{path}: its arrays take {total / 2**30:.1f} GiB, more than half of this machine's memory "
            f"({limit / 2**30:.1f} GiB); save fewer or smaller images"
        )


def _read(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    key = _key(info)
    try:
        with archive.open(info) as stream:
            shape, fortran_order, dtype = _header(stream)
            if dtype.hasobject:
                raise InputError(
                    f"{path}: {key!r} holds Python objects, which are not loaded because they can run code; "
                    "save it as a plain array of numbers or strings"
                )
            size, left = math.prod(shape) * dtype.itemsize, info.file_size - stream.tell()
            if size != left or any(side < 0 for side in shape):
                raise InputError(
                    f"{path}: {key!r} says shape {shape} of {dtype}, {size:,} bytes, but {left:,} bytes follow; "
                    "the file is damaged: make it anew with numpy.savez"
                )
            content = np.frombuffer(stream.read(size), np.uint8).copy()  # reading to the end compares the checksum
            if content.size != size or stream.read(1):
                raise ValueError(f"{content.size:,} of {size:,} bytes are there")
            flat = content.view(dtype) if size else np.empty(shape, dtype).ravel()
            return flat.reshape(shape[::-1]).T if fortran_order else flat.reshape(shape)
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{path}: {key!r} takes {info.file_size:,} bytes, for which there is no memory") from None
    except Exception as error:  # damaged headers and streams fail in more ways than can be listed
        raise InputError(f"{path}: {key!r} is damaged ({_words(error)}); make the file anew with numpy.savez") from None


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    if version not in _MAGIC:
        raise ValueError(f"an array in format {version}; expected plain numbers or strings")
    shape, fortran_order, dtype = _MAGIC[version](stream)
    return shape, fortran_order, dtype


def _words(error: BaseException) -> str:
    return one_line(str(error) or type(error).__name__)[:200]
