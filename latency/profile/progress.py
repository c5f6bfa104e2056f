"""Progress of long measurements: what happens now, how much is done, how long it will still take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class StageProgress:
    """``done`` of ``total`` steps of a stage after ``seconds``."""

    stage: str
    done: float
    total: float
    seconds: float

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None before there is one."""
        return self.seconds * (self.total - self.done) / self.done if self.done > 0 else None


ProgressCallback = Callable[[StageProgress], None]


class Reporter:
    """Tells a callback of one stage, at most every ``interval_seconds`` and at its end."""

    def __init__(self, callback: ProgressCallback | None, stage: str, total: float, interval_seconds: float = 0.2):
        self._callback, self._stage, self._total, self._interval = callback, stage, total, interval_seconds
        self._start = self._last = time.monotonic()

    def __call__(self, done: float) -> None:
        now = time.monotonic()
        if self._callback and (done >= self._total or now - self._last >= self._interval):
            self._last = now
            self._callback(StageProgress(self._stage, done, self._total, now - self._start))


@contextmanager
def progress_bars() -> Iterator[ProgressCallback]:
    """A callback that draws one bar per stage on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Bars(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(progress: StageProgress) -> None:
            if progress.stage not in tasks:
                tasks[progress.stage] = bars.add_task(progress.stage, total=progress.total)
            bars.update(tasks[progress.stage], completed=progress.done, total=progress.total)

        yield show
