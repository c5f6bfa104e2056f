"""How long a study is waited for: what passes is tried again, told after a while, and given up at last.

:func:`call_again` does that for every store. :class:`Patience` is that of a file: a lock of another program is waited
for, and what SQLite says becomes one line. SQLite's own waiting cannot be interrupted, so it is kept short and repeated
here.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edgenas.run.disk import no_space
from edgenas.spaces.errors import EdgeNASError, InputError, WorkError

#: How long a study that is away (locked, or its server is down) is waited for, all in all.
PATIENCE_SECONDS = 600.0
#: After how long the wait is told.
NOTICE_SECONDS = 5.0
#: How long SQLite itself waits before it gives up; Ctrl-C is heard in between.
BUSY_SECONDS = 1.0

Value = TypeVar("Value")


class StudyDamagedError(InputError):
    """The file of a study is damaged; the message says what can be saved."""


def say_on_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Wait:
    """How something is waited for.

    Args:
        where: what, as messages begin.
        notice: what is the matter with it, for who waits.
        given_up: what is said in the end, with ``{seconds}`` and ``{words}`` of the last error.
        pause_seconds: before the second try; each following one is twice as long.
        longest_pause_seconds: and no longer than this.
    """

    where: str
    notice: str
    given_up: str
    pause_seconds: float = 0.2
    longest_pause_seconds: float = 0.2


def call_again(
    work: Callable[[], Value],
    final: Callable[[Exception], Exception | None],
    wait: Wait,
    say: Callable[[str], None],
    words: Callable[[Exception], str] = str,
) -> Value:
    """What ``work()`` returns; it is called again while ``final`` has no error to raise for what it raised.

    Our own errors pass through. Raises WorkError when it took :data:`PATIENCE_SECONDS`.
    """
    began, told, pause = time.monotonic(), False, wait.pause_seconds
    while True:
        try:
            return work()
        except EdgeNASError:
            raise
        except Exception as error:
            if (problem := final(error)) is not None:
                raise problem from None
            reasons = words(error)
        waited = time.monotonic() - began
        if waited >= PATIENCE_SECONDS:
            raise WorkError(f"{wait.where}: {wait.given_up.format(seconds=f'{waited:.0f}', words=reasons)}")
        if waited >= NOTICE_SECONDS and not told:
            told = True
            say(f"  {wait.where}: {wait.notice}; waiting for up to {PATIENCE_SECONDS:.0f} s")
        time.sleep(pause)
        pause = min(2 * pause, wait.longest_pause_seconds)


class Patience:
    """Calls what uses a study's file. An instance is a function: ``patience(work)`` returns what ``work()`` does.

    Raises WorkError when the file stays locked for :data:`PATIENCE_SECONDS`, or the disk does not take or give it;
    :class:`StudyDamagedError` when what is read cannot be the content of a study.
    """

    def __init__(self, path: Path, say: Callable[[str], None] = say_on_stderr) -> None:
        self.path = path
        self.say = say

    def __call__(self, work: Callable[[], Value]) -> Value:
        wait = Wait(
            str(self.path),
            "another program holds it",
            "another program has held it for {seconds} s (a dashboard, a backup, a network drive?); everything "
            "finished so far is kept. End that program, then continue with --resume",
        )
        return call_again(work, lambda error: None if is_locked(error) else self._explained(error), wait, self.say)

    def _explained(self, error: Exception) -> EdgeNASError:
        words = reason(error)
        if is_full(error):
            return WorkError(no_space(self.path))
        if any(text in words for text in ("disk I/O", "unable to open", "readonly", "read-only", "ermission")):
            return WorkError(
                f"{self.path}: cannot be read or written ({words}); everything finished so far is kept. Mend that, "
                "then continue with --resume"
            )
        from edgenas.study.damage import damage_report

        return StudyDamagedError(damage_report(self.path, words))


def is_locked(error: BaseException) -> bool:
    """Whether SQLite found the file in another program's hands."""
    return any(
        isinstance(one, sqlite3.OperationalError) and ("is locked" in str(one) or "is busy" in str(one))
        for one in chain_of(error)
    )


def is_full(error: BaseException) -> bool:
    """Whether SQLite found no space on the disk."""
    return any(isinstance(one, sqlite3.Error) and "disk is full" in str(one) for one in chain_of(error))


def reason(error: BaseException) -> str:
    """The words of SQLite, or of whoever met the wrong content first, in one line."""
    chain = list(chain_of(error))
    first = next((one for one in chain if isinstance(one, sqlite3.Error)), chain[-1])
    words = " ".join(str(first).split())[:200]
    return words if isinstance(first, sqlite3.Error) else f"{type(first).__name__}: {words}"


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those behind it, as wrapped by SQLAlchemy (``orig``) and Optuna (``__cause__``)."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        original = getattr(error, "orig", None)
        error = original if isinstance(original, BaseException) else error.__cause__ or error.__context__
