"""Disks that are full: what is said then, and how much a run needs."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

from edgenas.spaces.errors import WorkError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_WORDS = ("no space left on device", "disk quota exceeded", "disk is full", "errno = 28", "no usable temporary")
#: What a run's temporary files (models that are measured and converted) take at most, usually.
TEMPORARY_BYTES = 8 << 20


def is_full(error: BaseException | str) -> bool:
    """Whether an error (or its words, from another process or a library) is about a full disk."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    words = str(error).lower()
    return any(text in words for text in _FULL_WORDS)


def no_space(path: Path | str) -> str:
    """What is said when something cannot be written because the disk is full."""
    return (
        f"{path}: cannot be written (no space left on the disk); everything finished so far is kept. Free space, then "
        "continue with --resume"
    )


def check_space(folder: Path, needed: int) -> None:
    """Raises WorkError when a run's folder or the folder of temporary files has too little space or takes no file."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    _check_free(existing, needed, f"{folder}: a run", "free space, or choose another --output")
    try:
        temporary = Path(tempfile.gettempdir())
        with tempfile.TemporaryFile(dir=temporary) as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise WorkError(
            f"{os.environ.get('TMPDIR', '/tmp')}: temporary files cannot be written ({error.strerror or error}); free "
            "space there, or name another folder in the variable TMPDIR"
        ) from None
    _check_free(
        temporary,
        TEMPORARY_BYTES,
        f"{temporary}: the work with temporary files",
        "free space there, or name another folder in the variable TMPDIR",
    )


def _check_free(folder: Path, needed: int, what: str, advice: str) -> None:
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return  # a file system that does not tell
    if free < needed:
        raise WorkError(f"{what} needs about {needed / 1e6:.0f} MB, {free / 1e6:.1f} MB are free; {advice}")
