"""Files of EdgeNAS on a board. Sent over the connection and run there, before the runner, by the board's Python.

Needs Python >= 3.7 and nothing else. ``main`` gets an action and its arguments, may read a stream of files (tar) from
standard input, and prints one line: :data:`MARK` and a JSON object. A board keeps two folders: ``~/.cache/edgenas``
with the runner and its meters by their hashes, and one for models in the folder for temporary files, which is removed
at the end; one that was left behind by a program that was killed is removed two days later.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import sys
import tarfile
import tempfile
import time
from typing import Any, BinaryIO, Callable  # noqa: UP035  (Python 3.7)

MARK = "edgenas-answer:"
PREFIX = "edgenas-models-"
STALE_SECONDS = 2 * 24 * 3600


def prepare(runner: dict[str, str], folder: str, stop: int | None, temporary: str | None) -> dict[str, Any]:
    """Looks what is there: the runner's files, the folder of models (made when missing), a runner left over.

    ``runner``: hashes by name; the file to be run is ``runner.py`` among them.
    """
    if stop:
        stop_runner(stop)
    version = hashlib.sha256("".join(sorted(runner.values())).encode()).hexdigest()[:16]
    home = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "edgenas", version)
    os.makedirs(home, exist_ok=True)
    parent = temporary or tempfile.gettempdir()
    remove_stale(parent)
    if not folder or not os.path.isdir(folder):
        folder = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
    return {
        "python": list(sys.version_info[:3]),
        "numpy": importlib.util.find_spec("numpy") is not None,
        "home": home,
        "runner": os.path.join(home, "runner.py"),
        "has_runner": all(hash_of(os.path.join(home, name)) == wanted for name, wanted in runner.items()),
        "folder": folder,
    }


def store(folder: str, keep: list[str] | None, stream: BinaryIO) -> dict[str, Any]:
    """Removes all but ``keep`` from a folder (None: removes nothing), then writes the files of a tar stream into it."""
    if keep is not None:
        for name in set(os.listdir(folder)) - set(keep):
            os.unlink(os.path.join(folder, name))
    os.utime(folder, None)
    hashes = {}
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is None or os.path.basename(member.name) != member.name or member.name.startswith("."):
                raise ValueError("unexpected member {!r}".format(member.name))  # noqa: UP032
            path = os.path.join(folder, member.name)
            # A name of its own: boards may share a home folder.
            handle, part = tempfile.mkstemp(dir=folder, suffix=".part")
            try:
                with os.fdopen(handle, "wb") as file:
                    shutil.copyfileobj(content, file)
                os.replace(part, path)
            except OSError:
                os.unlink(part)
                raise
            hashes[member.name] = hash_of(path)
    return {"hashes": hashes}


def remove(folder: str, stop: int | None) -> dict[str, Any]:
    """Removes the folder of models, and stops a runner that is left over."""
    if stop:
        stop_runner(stop)
    if os.path.basename(folder).startswith(PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
    return {}


def stop_runner(pid: int) -> None:
    """Stops a process, if it still is a runner."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            is_runner = b"runner.py" in file.read()
        if is_runner:
            os.kill(pid, signal.SIGKILL)
    except OSError:
        pass  # it is gone, or the system has no /proc


def remove_stale(parent: str) -> None:
    """Removes what a killed program of this user left behind days ago."""
    for name in os.listdir(parent):
        path = os.path.join(parent, name)
        try:
            state = os.stat(path)
            is_mine = name.startswith(PREFIX) and state.st_uid == os.getuid()
            if is_mine and time.time() - state.st_mtime > STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            pass  # somebody else was faster


def hash_of(path: str) -> str | None:
    """SHA-256 of a file, or None when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return None


def main(action: str, arguments: dict[str, Any]) -> None:
    """Does one thing and answers; what goes wrong is an answer too."""
    actions: dict[str, Callable[..., dict[str, Any]]] = {"prepare": prepare, "store": store, "remove": remove}
    if action == "store":
        arguments["stream"] = sys.stdin.buffer
    try:
        answer = actions[action](**arguments)
    except (OSError, ValueError, tarfile.TarError) as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        answer = {"error": "{}: {}".format(type(error).__name__, error), "full": full}  # noqa: UP032
        if full:
            place = os.statvfs(arguments.get("folder") or arguments.get("temporary") or tempfile.gettempdir())
            answer["free_bytes"] = place.f_bavail * place.f_frsize
    print("\n" + MARK + json.dumps(answer), flush=True)
