"""Progress on standard error: bars with the time left in a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

#: Seconds between two plain lines of the same task.
PLAIN_INTERVAL = 10.0


class ProgressBar:
    """A counted piece of work, made by :meth:`Progress.task`."""

    def __init__(self, progress: Progress, title: str, total: int, done: int, slow_start: bool = False) -> None:
        self._slow_start = slow_start
        self.progress, self.title, self.total, self.done = progress, title, total, done
        self._start, self._first, self._last_line = time.monotonic(), done, time.monotonic()
        self._id: TaskID | None = None
        if progress.bars is not None:
            self._id = progress.bars.add_task(title, total=total, completed=done, note="")

    def advance(self, count: int = 1, note: str = "") -> None:
        """Counts finished units and shows a few words about the last one."""
        self.update(self.done + count, note)

    def update(self, done: int, note: str = "") -> None:
        """Sets how many units are finished."""
        news = done != self.done
        if self.done == self._first and done > self.done + (not self._slow_start):
            # A leap at the start is work of an earlier, interrupted call, and a slow one makes what all others use:
            # neither says anything about the pace.
            self._start, self._first = time.monotonic(), done
        self.done = done
        if self.progress.bars is not None and self._id is not None:
            self.progress.bars.update(self._id, completed=done, note=note)
        elif time.monotonic() - self._last_line >= PLAIN_INTERVAL or (news and done >= self.total):
            self._last_line = time.monotonic()
            self.progress.say(f"  {self.title}: {done}/{self.total}{self._time_left()}{', ' + note if note else ''}")

    def update_of(self, done: int, total: int) -> None:
        """The same where the number of units is known only now."""
        if total != self.total:
            self.total = total
            if self.progress.bars is not None and self._id is not None:
                self.progress.bars.update(self._id, total=total)
        self.update(done)

    def _time_left(self) -> str:
        fresh = self.done - self._first
        if not fresh or self.done >= self.total:
            return ""
        seconds = (time.monotonic() - self._start) / fresh * (self.total - self.done)
        return f", {duration(seconds)} left"


class Progress:
    """Use it as a context manager. ``quiet`` shows nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.bars: RichProgress | None = None

    def __enter__(self) -> Progress:
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            self.bars = RichProgress(
                TextColumn("  {task.description}"),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bars is not None:
            self.bars.stop()
            self.bars = None

    def say(self, line: str) -> None:
        """A line that stays."""
        if self.quiet:
            return
        if self.bars is not None:
            self.bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=sys.stderr, flush=True)

    @contextmanager
    def task(self, title: str, total: int, done: int = 0, *, slow_start: bool = False) -> Iterator[ProgressBar]:
        """A counted piece of work; its bar goes away at the end. ``slow_start``: its first unit takes longer."""
        task = ProgressBar(self, title, total, done, slow_start)
        try:
            yield task
        finally:
            if self.bars is not None and task._id is not None:
                self.bars.remove_task(task._id)


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(7.2), duration(75), duration(3720)
    ('7 s', '1 min 15 s', '1 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
