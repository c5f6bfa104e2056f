"""Arrays of ``.npz`` files, read so that a damaged or malicious file costs neither memory nor a traceback."""

from __future__ import annotations

import math
import os
import shutil
import struct
import tempfile
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
MEMORY_VARIABLE = "EDGENAS_DATA_MEMORY_MB"
_CHUNK_BYTES = 2**24
_MAGIC = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def memory_limit() -> int:
    """Bytes that a data set may take: half of the machine's memory, or ``EDGENAS_DATA_MEMORY_MB`` megabytes.

    Images that take more are read from the disk when they are needed.
    """
    if wanted := os.environ.get(MEMORY_VARIABLE):
        if not wanted.isdecimal() or not int(wanted):
            raise InputError(f"{MEMORY_VARIABLE}: expected a whole number of megabytes, found {wanted!r}")
        return int(wanted) * 10**6
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (ValueError, OSError, AttributeError):
        return 4 * 2**30


def array_names(path: Path) -> list[str]:
    """The keys of an ``.npz`` file, in its order. Raises InputError when it is none."""
    with _archive(path) as archive:
        return [_key(info) for info in archive.infolist()]


def read_arrays(
    path: Path, keys: Collection[str] | None = None, streamed: Collection[str] = ()
) -> Mapping[str, np.ndarray]:
    """The arrays of an ``.npz`` file by key: those of ``keys`` that it has, or all.

    Where all together are larger than :func:`memory_limit`, those named in ``streamed`` are mapped from the disk:
    from the file itself, or, where it is packed, from a temporary copy that is gone with the process.

    Python objects are never unpickled. Nothing is allocated before the file's own figures have been compared: the
    shape with the bytes that are there, and these with :func:`memory_limit`. Raises InputError naming file and key.
    """
    arrays: dict[str, np.ndarray] = {}
    with _archive(path) as archive:
        chosen = [info for info in archive.infolist() if keys is None or _key(info) in keys]
        mapped = {_key(info) for info in chosen if _key(info) in streamed and _total(chosen) > memory_limit()}
        _check_members(path, chosen, mapped)
        for info in chosen:
            arrays[_key(info)] = (map_array if _key(info) in mapped else _read)(path, archive, info)
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


def _total(members: list[zipfile.ZipInfo]) -> int:
    return sum(info.file_size for info in members)


def _check_members(path: Path, members: list[zipfile.ZipInfo], mapped: Collection[str]) -> None:
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
    total, limit = _total([info for info in members if _key(info) not in mapped]), memory_limit()
    if total > limit:
        raise InputError(
            f"{path}: its arrays take {total / 2**30:.1f} GiB, more than half of this machine's memory "
            f"({limit / 2**30:.1f} GiB); save fewer or smaller images"
        )


def _read(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    key = _key(info)
    try:
        with archive.open(info) as stream:
            shape, fortran_order, dtype = checked_header(path, stream, info)
            size = math.prod(shape) * dtype.itemsize
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


def checked_header(path: Path, stream: IO[bytes], info: zipfile.ZipInfo) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, Fortran order, type) of an array whose bytes follow. Raises InputError when they cannot."""
    shape, fortran_order, dtype = _header(stream)
    key = _key(info)
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
    return shape, fortran_order, dtype


def map_array(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """An array of an archive as a memory map: nothing of it takes memory before it is read."""
    key = _key(info)
    try:
        with archive.open(info) as stream:
            shape, fortran_order, dtype = checked_header(path, stream, info)
            start = stream.tell()
            place: Any = path
            if info.compress_type == zipfile.ZIP_STORED:
                start += _content_start(path, info)
                while stream.read(_CHUNK_BYTES):  # to the end, where the checksum is compared
                    pass
            else:
                place, start = tempfile.TemporaryFile(), 0  # noqa: SIM115  (the map keeps it; it has no name)
                shutil.copyfileobj(stream, place, _CHUNK_BYTES)
                place.flush()
        return np.memmap(place, dtype, "r", start, shape, "F" if fortran_order else "C")
    except InputError:
        raise
    except OSError as error:
        raise InputError(
            f"{path}: {key!r} takes {info.file_size:,} bytes, which cannot be unpacked to {tempfile.gettempdir()} "
            f"({error.strerror or error}); save it with numpy.savez, which does not pack, or set TMPDIR"
        ) from None
    except Exception as error:
        raise InputError(f"{path}: {key!r} is damaged ({_words(error)}); make the file anew with numpy.savez") from None


def _content_start(path: Path, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a member begin: behind its own header, which repeats its name."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        name_bytes, extra_bytes = struct.unpack("<26x2H", file.read(30))
    return info.header_offset + 30 + int(name_bytes) + int(extra_bytes)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    if version not in _MAGIC:
        raise ValueError(f"an array in format {version}; expected plain numbers or strings")
    shape, fortran_order, dtype = _MAGIC[version](stream)
    return shape, fortran_order, dtype


def _words(error: BaseException) -> str:
    return one_line(str(error) or type(error).__name__)[:200]
