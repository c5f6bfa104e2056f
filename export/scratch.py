"""Temporary folders, with one clear line when there is no room for what goes into them."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spaces.errors import WorkError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG)


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """A folder for temporary files, removed afterwards.

    Raises WorkError that names the folder and the variable to set when it cannot be made or what is written into it
    does not fit.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    except OSError as error:
        raise no_scratch(tempfile.gettempdir() if tempfile.tempdir else "the temporary folder", error) from None
    with folder as name:
        try:
            yield Path(name)
        except OSError as error:
            # Of other trouble its own place knows better words.
            if error.errno not in _NO_ROOM or not _is_within(error, name):
                raise
            raise no_scratch(name, error) from None


def no_scratch(folder: str, error: OSError) -> WorkError:
    """What to say when temporary files cannot be written."""
    return WorkError(
        f"{folder}: temporary files cannot be written ({error.strerror or error}): make room there, or set TMPDIR to a "
        f"folder with room"
    )


def _is_within(error: OSError, folder: str) -> bool:
    """Whether the trouble is in the folder; a write to an open file does not say where it failed."""
    return error.filename is None or str(error.filename).startswith(folder)
