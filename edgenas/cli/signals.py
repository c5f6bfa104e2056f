"""SIGTERM and SIGHUP do what Ctrl-C does: the work stops in order and can be resumed. A second one ends at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
#: A closing terminal tells a program several times, and some process managers, too: that is one request.
ONE_REQUEST_SECONDS = 0.3


class Interrupts:
    """A context in which the signals that ask a program to end are heard. ``received`` tells which one came."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._since = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        """From now on they raise KeyboardInterrupt here. Those that are ignored (nohup) stay ignored."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received, self._since = signal.Signals(number), time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - self._since > ONE_REQUEST_SECONDS:
            end_at_once()


def end_at_once() -> NoReturn:
    """Ends this process and all that it started, without tidying up."""
    with contextlib.suppress(Exception):
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"\nended at once\n")
    for process in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)
    os._exit(1)


def descendants(process: int) -> list[int]:
    """Ids of all running processes below one, where the system tells (``/proc``)."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parents[int(path.parent.name)] = int(path.read_text(errors="replace").rpartition(")")[2].split()[1])
    found = [process]
    for ancestor in found:  # grows while it is walked through
        found += [child for child, parent in parents.items() if parent == ancestor]
    return found[1:]
