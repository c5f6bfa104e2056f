"""Temporary folders that are gone afterwards, even when the program that made one was killed.

All lie under one folder (``$TMPDIR/edgenas-UID``), named with the process that made them and when it started. Beside
each is a file that its process has locked; the system releases the lock however the process ends. Whoever makes a
folder later removes those that nobody holds any more, and never touches another one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgenas.spaces.errors import WorkError

_LOG = logging.getLogger("edgenas")
_LOCK = ".lock"
_ATTEMPTS = 20
_FULL = (errno.ENOSPC, errno.EDQUOT)
#: NumPy says so when a disk is full, and gives no number.
_SHORT_WRITE = "requested and"


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """An empty folder of this process, removed at the end. ``purpose`` is a word for its name.

    Raises WorkError naming the folder and the variable to set when none can be made, or when it gets full.
    """
    sweep()
    folder, lock = _make(purpose)
    try:
        yield folder
    except OSError as error:
        if error.errno in _FULL or _SHORT_WRITE in str(error):
            reason = error.strerror or "no space left"
            raise WorkError(
                f"{folder.parent}: is full ({reason}); make room, or set TMPDIR to another folder"
            ) from None
        raise
    finally:
        _remove(folder)
        os.close(lock)


def sweep() -> int:
    """Removes the folders of processes that have ended; how many. Problems are no reason to stop anything."""
    removed = 0
    with contextlib.suppress(OSError, WorkError):
        root = _root()
        if not _is_ours(root):
            return 0
        for folder in {entry.with_suffix("") for entry in root.iterdir()}:
            removed += _remove_abandoned(folder)
        root.rmdir()  # refused unless it is empty
    return removed


def _remove_abandoned(folder: Path) -> bool:
    try:
        lock = os.open(_lock_path(folder), os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        # Its process was killed before it made the file, or while it removed both: the file is made first.
        _remove(folder)
        return True
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False  # its process lives
    else:
        _remove(folder)
        return True
    finally:
        os.close(lock)


def _make(purpose: str) -> tuple[Path, int]:
    """The folder, and the locked file beside it."""
    root, problem = _root(), "others remove it"
    for _ in range(_ATTEMPTS):
        folder = root / f"{purpose}-{os.getpid()}-{_started(os.getpid())}-{secrets.token_hex(4)}"
        try:
            root.mkdir(mode=0o700, exist_ok=True)
            if not _is_ours(root):
                problem = "it belongs to somebody else"
                break
            lock = os.open(_lock_path(folder), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except (FileNotFoundError, FileExistsError) as error:
            problem = str(error.strerror)
            continue  # somebody has just removed the root, which was empty
        except OSError as error:
            problem = str(error.strerror)
            break
        if not _is_locked(lock, folder):
            os.close(lock)
            continue
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            _remove(folder)
            os.close(lock)
            problem = str(error.strerror)
            break
        return folder, lock
    raise WorkError(f"{root}: no temporary folder can be made there ({problem}); make room, or set TMPDIR")


def _is_locked(lock: int, folder: Path) -> bool:
    """Locks the file; False when a sweep came between and has removed it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(lock).st_ino == os.stat(_lock_path(folder)).st_ino
    except OSError:
        return False


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        _LOG.warning("%s: cannot be removed", folder)
        return
    with contextlib.suppress(OSError):
        _lock_path(folder).unlink(missing_ok=True)
        folder.parent.rmdir()  # refused unless it is empty


def _root() -> Path:
    try:
        parent = tempfile.gettempdir()
    except OSError as error:
        raise WorkError(f"{error.strerror}; make room, or set TMPDIR to a folder that can be written") from None
    return Path(parent) / f"edgenas-{os.getuid()}"


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{_LOCK}")


def _is_ours(root: Path) -> bool:
    """Whether it is a folder of this user, and no link to another place. Raises FileNotFoundError when it is gone."""
    status = os.lstat(root)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()


def _started(pid: int) -> str:
    """When a process started, in the system's ticks; 0 where the system does not tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "0"
