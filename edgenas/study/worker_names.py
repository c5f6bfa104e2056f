"""A worker's name is one process' at a time: of two under one name, each would take the other's trials for its own.

The name is a lease in the study. Whoever comes back gets it at once where the process that had it is known to be gone,
and else when that was not heard of for two beats.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from edgenas.spaces.errors import EdgeNASError, WorkError
from edgenas.study.errors import NameInUseError
from edgenas.study.leases import Lease
from edgenas.study.store import StudyStore

#: After so many beats of silence a name is free.
_SILENT_BEATS = 2.0
#: A study that is away is not waited for when the name is given back.
_LEAVE_SECONDS = 5.0


class WorkerName(Lease):
    """A context in which a name is this process'. Entering raises NameInUseError when it is another's, at work."""

    def __init__(
        self, store: StudyStore, worker: str, beat_seconds: float, say: Callable[[str], None] = lambda words: None
    ) -> None:
        super().__init__(
            store,
            f"worker {worker}",
            f"{_machine()}-{os.getpid()}-{uuid.uuid4().hex[:6]}",
            beat_seconds=beat_seconds,
            grace_seconds=_SILENT_BEATS * beat_seconds,
            say=say,
        )
        self._worker = worker

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        def leave() -> None:
            with contextlib.suppress(Exception):  # lost: check() tells; away: it expires
                Lease.__exit__(self, kind, error, trace)

        leaving = threading.Thread(target=leave, daemon=True, name="study-name")
        leaving.start()
        leaving.join(_LEAVE_SECONDS)

    def check(self) -> None:
        """Raises WorkError when the name is another process' by now."""
        if self.lost:
            raise WorkError(
                f"another process works under the name {self._worker} by now, because this one was not heard of; "
                "what it had finished is in the study"
            )

    def _is_gone(self, holder: str) -> bool:
        """A process of this machine that has ended, or an object of this process, which the new one replaces."""
        machine, _, pid = holder.rpartition("-")[0].rpartition("-")
        return machine == _machine() and pid.isdigit() and (int(pid) == os.getpid() or not _runs(int(pid)))

    def _problem(self, holder: str, waited_seconds: float, alive: bool) -> EdgeNASError | None:
        return (
            NameInUseError(
                f"another process ({holder}) works in this study under the name {self._worker}; give each its own "
                "(--name, in Python worker=)"
            )
            if alive
            else None
        )


def _machine() -> str:
    """The host and, since containers may share its name, the space that process numbers are of."""
    with contextlib.suppress(OSError):
        return f"{socket.gethostname()}/{Path('/proc/self/ns/pid').stat().st_ino}"
    return socket.gethostname()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
