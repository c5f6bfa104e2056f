"""Writing files whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from edgenas.spaces.errors import InputError, WorkError


def write_atomically(path: Path, content: bytes | str) -> None:
    """Writes a temporary file beside ``path``, then renames it, so that a reader never sees half a file.

    Makes missing folders. Raises InputError when ``path`` is a folder, and WorkError naming the file when the disk is
    full or the folder cannot be written; what was there before is then still there.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file, such as {path / 'NAME'}; nothing was changed")
    data = content.encode() if isinstance(content, str) else content
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise WorkError(f"{path}: cannot be written ({error.strerror}); nothing was changed") from error
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def file_name(text: str) -> str:
    """A text, such as a device's name, as part of a file's name.

    >>> file_name("my board/2")
    'my-board-2'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)
