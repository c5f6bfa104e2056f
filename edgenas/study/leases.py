"""A lease in a study: something that several workers share, a board say, is used by one at a time.

Its holder says every few seconds that it still has it. One that was not heard of for the period of grace has lost it:
silence is counted by the clock of who waits, so clocks may differ and jump.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from types import TracebackType

from edgenas.spaces.errors import EdgeNASError, WorkError
from edgenas.study.errors import LostLeaseError
from edgenas.study.lease_rows import holder_of
from edgenas.study.store import StudyStore

#: Who works at a study says so often that it is alive, and counts as dead when it was silent for so long.
BEAT_SECONDS = 10.0
GRACE_SECONDS = 60.0
#: How long a lease is waited for.
PATIENCE_SECONDS = 3600.0
_LOOK_SECONDS = 0.5
#: No more than this counts as silence between two looks.
_LONGEST_GAP_SECONDS = 2.0


class Lease:
    """A context in which this process alone, of all that share a study, uses what ``name`` says.

    Args:
        store: the study.
        name: what is shared, such as ``ssh me@board``.
        holder: a name that no other holder has; by default one of this machine, process and object.
        beat_seconds, grace_seconds: how often the holder says that it is there, and how long it may be silent.
        patience_seconds: how long the others are waited for.
        say: told who is waited for.

    Entering raises WorkError when the others take too long. Leaving raises LostLeaseError when the lease was lost
    meanwhile, since somebody else may have used the same thing.
    """

    def __init__(
        self,
        store: StudyStore,
        name: str,
        holder: str = "",
        *,
        beat_seconds: float = BEAT_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
        say: Callable[[str], None] = lambda words: None,
    ) -> None:
        if grace_seconds < 2 * beat_seconds:
            raise WorkError(f"grace of {grace_seconds} s: expected at least twice the {beat_seconds} s between beats")
        self.store = store
        self.name = name
        self.holder = holder or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self.lost = False
        self._beat_seconds, self._grace_seconds, self._patience_seconds = beat_seconds, grace_seconds, patience_seconds
        self._say = say
        self._beat = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True, name="study-lease")

    def __enter__(self) -> Lease:
        self._beat = self._take()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(2 * self._beat_seconds)
        with contextlib.suppress(EdgeNASError):  # it expires
            self.store.end_lease(self.name, self.holder)
        if self.lost and kind is None:
            raise LostLeaseError(
                f"the lease of {self.name} was lost: this process was not heard of for {self._grace_seconds:.0f} s, "
                "and another one may have used it meanwhile; measure again"
            )

    def _take(self) -> str:
        began = last = time.monotonic()
        heard, told, silent_seconds = "", "", 0.0
        while True:
            silent = heard and (silent_seconds >= self._grace_seconds or self._is_gone(holder_of(heard)))
            found = self.store.take_lease(self.name, self.holder, heard if silent else "")
            if holder_of(found) == self.holder:
                return found
            now, alive = time.monotonic(), bool(heard) and found not in ("", heard)
            # While the study is away nobody is heard of: that is no silence of the holder's.
            silent_seconds = 0.0 if found != heard else silent_seconds + min(now - last, _LONGEST_GAP_SECONDS)
            heard, last = found, now
            if problem := self._problem(holder_of(found), now - began, alive):
                raise problem
            if self._is_gone(holder_of(found)):
                continue
            if holder_of(found) != told:
                told = holder_of(found)
                self._say(f"  {self.name} is in use: waiting until {told} gives its lease back")
            time.sleep(min(_LOOK_SECONDS, self._beat_seconds))

    def _is_gone(self, holder: str) -> bool:
        """Whether a holder is known to be dead, so that its silence need not be waited for."""
        return False

    def _problem(self, holder: str, waited_seconds: float, alive: bool) -> EdgeNASError | None:
        """Why the holder is not waited for any longer; ``alive``: it was just heard of."""
        if waited_seconds < self._patience_seconds:
            return None
        return WorkError(
            f"{self.name} is in use: {holder} has its lease in the study, and two at once would measure each other. "
            f"Waited {waited_seconds:.0f} s; nothing was lost: give the same command again"
        )

    def _keep(self) -> None:
        while not self._stop.wait(self._beat_seconds):
            try:
                found = self.store.take_lease(self.name, self.holder, self._beat)
            except Exception as error:  # the next one may get through; until then others may take the lease
                self._say(f"  the lease of {self.name} cannot be renewed: {error}")
                continue
            if holder_of(found) != self.holder:
                self.lost = True
                return
            self._beat = found
