"""Paths as users write them: what cannot name a file is refused before anything is opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edgenas.spaces.errors import InputError
from edgenas.spaces.text import unprintable

#: Longest name of a file or folder that common file systems take, in bytes.
LONGEST_NAME = 255

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_path(text: str | Path, what: str = "path") -> Path:
    """A path with ``~`` and ``~user`` replaced.

    Raises InputError for control characters, for a name over :data:`LONGEST_NAME` bytes, and for an unknown user.
    """
    found = unprintable(str(text))
    if found:
        raise InputError(f"{what}: {str(text)!r} contains {found}, which no name of a file should; rename it")
    for part in Path(text).parts:
        length = len(os.fsencode(part))
        if length > LONGEST_NAME:
            raise InputError(
                f"{what}: the name {part[:40]!r}... has {length} bytes, more than the {LONGEST_NAME} that file systems "
                "take; use a shorter one"
            )
    try:
        return Path(text).expanduser()
    except RuntimeError:
        user = str(text).split(os.sep, 1)[0]
        raise InputError(f"{what}: there is no user with a home folder for {user!r}; write the whole path") from None


def check_regular_file(path: Path, what: str) -> os.stat_result:
    """The state of a file that can be opened without waiting: no pipe, socket, device or folder.

    Raises InputError that names the file, ``what`` it should be, and why it is not.
    """
    check_path(path)
    try:
        state = path.stat()
    except FileNotFoundError:
        raise InputError(f"{path}: cannot be read as {what} (no such file)") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read as {what} ({error.strerror})") from None
    if not stat.S_ISREG(state.st_mode):
        kind = _KINDS.get(stat.S_IFMT(state.st_mode), "no file")
        raise InputError(f"{path}: cannot be read as {what} (it is {kind})")
    return state
