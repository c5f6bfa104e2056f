"""One measurement at a time on a device: two would measure each other.

A lock is a file in ``locks/`` of the EdgeNAS home. The system releases it however its process ends, so none is ever
left over. Who comes second says so, waits, and gives up with a clear message after ``EDGENAS_DEVICE_PATIENCE_SECONDS``
(:data:`PATIENCE_SECONDS` by default). Processes of other machines know nothing of these files; :func:`leasing` says
what is held besides.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgenas.devices.home import edgenas_home
from edgenas.spaces.errors import InputError, WorkError

#: How long somebody waits for a device that another process uses.
PATIENCE_SECONDS = 3600.0
PATIENCE_VARIABLE = "EDGENAS_DEVICE_PATIENCE_SECONDS"
#: The lock of what only processes of this machine can measure on.
THIS_MACHINE = "this-machine"
#: Gives what is held besides a lock: of the device's name and the lock's.
Leasing = Callable[[str, str], AbstractContextManager[Any]]
_LOOK_SECONDS = 0.1
_LOG = logging.getLogger("edgenas.devices")


@dataclass
class _Held:
    """A lock of this process, with how often it has been taken: a measurement inside another goes on."""

    guard: threading.RLock = field(default_factory=threading.RLock)
    count: int = 0
    file: int | None = None
    leases: ExitStack = field(default_factory=ExitStack)


_held: defaultdict[Path, _Held] = defaultdict(_Held)
_leasing: list[Leasing] = []


@contextmanager
def leasing(lease: Leasing) -> Iterator[None]:
    """While this lasts, every measurement of this process also holds what ``lease`` gives."""
    _leasing.append(lease)
    try:
        yield
    finally:
        _leasing.remove(lease)


def _forget() -> None:
    """A forked process holds nothing, and keeps nothing from being released."""
    for held in _held.values():
        if held.file is not None:
            os.close(held.file)
    _held.clear()


os.register_at_fork(after_in_child=_forget)


@contextmanager
def exclusive(device: str, names: Sequence[str]) -> Iterator[None]:
    """Holds the locks ``names``, in sorted order, for a device's measurements. May be nested.

    Waits while another process has one. Raises WorkError when that takes too long; where the home cannot be written
    (nothing can be locked then) it warns and goes on.
    """
    with ExitStack() as stack:
        for name in sorted(set(names)):
            stack.enter_context(_one(device, name, edgenas_home() / "locks" / f"{_file_name(name)}.lock"))
        yield


@contextmanager
def _one(device: str, name: str, path: Path) -> Iterator[None]:
    held = _held[path]
    with held.guard:
        if not held.count:
            held.file = _take(device, path)
            try:
                for lease in _leasing:
                    held.leases.enter_context(lease(device, name))
            except BaseException:
                _release(held)
                raise
        held.count += 1
    try:
        yield
    finally:
        with held.guard:
            held.count -= 1
            if not held.count:
                _release(held)


def _release(held: _Held) -> None:
    try:
        held.leases.close()
    finally:
        if held.file is not None:
            os.close(held.file)
            held.file = None


def _take(device: str, path: Path) -> int | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        _LOG.warning(
            "%s: cannot be locked (%s): see that nothing else measures on %r meanwhile", path, error.strerror, device
        )
        return None
    try:
        _wait(device, file)
        text = json.dumps({"pid": os.getpid(), "command": " ".join(sys.argv)[:200], "since": time.time()})
        with contextlib.suppress(OSError):
            os.ftruncate(file, 0)
            os.pwrite(file, text.encode(), 0)
    except BaseException:
        os.close(file)
        raise
    return file


def _wait(device: str, file: int) -> None:
    start, patience, told = time.monotonic(), patience_seconds(), False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        except OSError as error:
            _LOG.warning(
                "%r cannot be locked (%s): see that nothing else measures on it meanwhile", device, error.strerror
            )
            return
        waited = time.monotonic() - start
        if waited >= patience:
            raise WorkError(
                f"device {device!r} is in use: {_owner(file)} measures on it, and two at once would measure each "
                f"other. Waited {waited:.0f} s ({PATIENCE_VARIABLE}); nothing was lost: give the same command again "
                "when that has ended, or end it"
            )
        if not told:
            told = True
            _LOG.warning("device %r is in use: waiting until %s has measured (Ctrl-C to stop)", device, _owner(file))
        time.sleep(min(_LOOK_SECONDS, max(patience - waited, 0.0)))


def _owner(file: int) -> str:
    try:
        told = json.loads(os.pread(file, 4096, 0))
        minutes = (time.time() - float(told["since"])) / 60
        return f"process {int(told['pid'])} ({told['command']}; since {minutes:.0f} minutes)"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def patience_seconds() -> float:
    """How long somebody waits for a device. Raises InputError when the variable that says so holds no number."""
    text = os.environ.get(PATIENCE_VARIABLE, "")
    try:
        seconds = float(text) if text else PATIENCE_SECONDS
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise InputError(f"{PATIENCE_VARIABLE}: expected a number of seconds from 0, found {text!r}")
    return seconds


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._@-]", "_", name)[:100]
