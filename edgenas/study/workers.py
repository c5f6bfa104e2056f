"""Processes that evaluate candidates: a crash, a hang of one or a kill is the end of a candidate, not of the search.

Each worker is a fresh process (spawned, so it shares nothing with the parent), makes its evaluator once, and then
takes one candidate after the other. It ends itself when the parent is gone. What happens inside is in
:mod:`edgenas.study.worker_process`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from types import TracebackType

from edgenas.environment import environment
from edgenas.spaces.errors import WorkError
from edgenas.study.candidates import Candidate, Evaluation, Evaluator, EvaluatorFactory, Outcome, outcome_of, words_of
from edgenas.study.time_limit import TimeLimit
from edgenas.study.worker_process import ENDING_SIGNALS, serve

__all__ = ["Candidate", "Evaluation", "Evaluator", "EvaluatorFactory", "Outcome", "WorkerPool", "outcome_of"]

_CONTEXT = multiprocessing.get_context("spawn")
_THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_END = object()


#: A pool that stands still (Ctrl-Z, a busy machine) is no fault of a candidate: no more than this counts at a time.
_LONGEST_GAP_SECONDS = 5.0
_POLL_SECONDS = 1.0
#: Signals that end a worker from outside; others are crashes of what it does.
_ENDED_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)


class WorkerPool:
    """``count`` worker processes, started when they are first needed and replaced when they die.

    Use it as a context manager; leaving it ends the processes.

    Args:
        factory: makes the evaluator in each worker. When that fails, :meth:`run` raises WorkError: the setup is
            wrong, not a candidate.
        count: processes at once.
        threads: threads that each may use; None shares the machine's cores among them.
        limit: how long a candidate may take; its worker is ended when it takes longer.
    """

    def __init__(
        self,
        factory: EvaluatorFactory,
        count: int = 1,
        threads: int | None = None,
        limit: TimeLimit | None = None,
    ) -> None:
        self.factory = factory
        self.count = count
        self.threads = threads or max(1, available_cores() // count)
        self.limit = limit or TimeLimit()
        self._workers: list[_Worker] = []

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.kill()  # all at once, then wait for each
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def run(self, candidates: Iterable[Candidate | None], on_outcome: Callable[[Outcome], None]) -> None:
        """Evaluates all candidates; ``on_outcome`` hears of each, here, as soon as it is done.

        ``candidates`` is asked for the next one when a worker is free. None says that there is none before another
        outcome is in.
        """
        source = iter(candidates)
        more = True
        while True:
            while more and len(self._busy) < self.count:
                candidate = next(source, _END)
                if candidate is None:
                    break
                if isinstance(candidate, Candidate):
                    self._free_worker().start(candidate)
                else:
                    more = False
            if not self._busy:
                if more:
                    raise AssertionError("candidates wait for an outcome although none is evaluated")
                return
            for outcome in self._next_outcomes():
                on_outcome(outcome)

    @property
    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.candidate]

    def _free_worker(self) -> _Worker:
        free = next((worker for worker in self._workers if not worker.candidate), None)
        if free is None:
            free = _Worker(self.factory, self.threads)
            self._workers.append(free)
        return free

    def _next_outcomes(self) -> Iterator[Outcome]:
        """Waits until a candidate is done or has run out of time."""
        last = time.monotonic()
        while True:
            busy = self._busy
            left = min(self.limit.seconds - worker.used_seconds for worker in busy)
            ready = wait([worker.pipe for worker in busy], min(max(left, 0.0), _POLL_SECONDS))
            now = time.monotonic()
            gap, last = min(now - last, _LONGEST_GAP_SECONDS), now
            for worker in busy:
                worker.used_seconds += gap
            done = [worker for worker in busy if worker.pipe in ready]
            late = [worker for worker in busy if worker not in done and worker.used_seconds >= self.limit.seconds]
            if done or late:
                break
        for worker in done:
            outcome = worker.finish()
            if not worker.alive:
                self._workers.remove(worker)
            if outcome.error is None:
                self.limit.finished(outcome.seconds)
            yield outcome
        for worker in late:
            self._workers.remove(worker)
            outcome = worker.give_up(self.limit)
            self.limit.expired += 1
            yield outcome


class _Worker:
    """The parent's end of one worker process."""

    def __init__(self, factory: EvaluatorFactory, threads: int) -> None:
        try:
            packed = ForkingPickler.dumps(factory)
        except Exception as error:
            raise WorkError(
                f"the evaluator {factory!r} cannot be sent to a worker process ({words_of(error)}); make it a function "
                "or an object of a class at the top level of a module"
            ) from None
        self.pipe, other = _CONTEXT.Pipe()
        with _inherited(threads):
            self.process: BaseProcess = _CONTEXT.Process(target=serve, args=(bytes(packed), other), daemon=True)
            self.process.start()
        other.close()
        self.candidate: Candidate | None = None
        self.used_seconds = 0.0
        self._ready = False

    @property
    def alive(self) -> bool:
        return not self.pipe.closed

    def start(self, candidate: Candidate) -> None:
        self.candidate, self.used_seconds = candidate, 0.0
        with contextlib.suppress(OSError):  # it died while idle: finish() finds the pipe closed and says so
            self.pipe.send(candidate)

    def finish(self) -> Outcome:
        """The outcome of the candidate, or what ended the process. Raises WorkError when no evaluator can be made."""
        assert self.candidate is not None
        candidate, self.candidate = self.candidate, None
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            self.end(5.0)  # it is dying by itself: its exit code says of what
            return self._last_words(candidate)
        if isinstance(answer, str):
            self.end()
            raise WorkError(f"candidates cannot be evaluated: {answer}")
        assert isinstance(answer, Outcome)
        self._ready = True
        return answer

    def give_up(self, limit: TimeLimit) -> Outcome:
        """Ends a process that takes too long with its candidate."""
        assert self.candidate is not None
        number, seconds = self.candidate.number, self.used_seconds
        self.end()
        words = f"ended after {seconds:.3g} s, over the time limit of {limit.seconds:.3g} s ({limit.explain()})"
        return Outcome(number, seconds, error=words)

    def kill(self) -> None:
        """Ends the process at once if it is at work, and what it started."""
        if self.candidate is not None:
            self._kill_all()

    def end(self, patience_seconds: float = 1.0) -> None:
        """Ends the process: one at work at once, an idle or dying one by itself if it does so in time."""
        self.kill()
        self.candidate = None
        self.pipe.close()
        self.process.join(patience_seconds)
        self._kill_all()
        self.process.join()

    def _kill_all(self) -> None:
        """Also ends what an evaluator started: a worker leads a group of its own, once it runs."""
        if self.process.is_alive():
            self.process.kill()
        if self.process.pid:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def _last_words(self, candidate: Candidate) -> Outcome:
        code = self.process.exitcode or 0
        killed = -code in _ENDED_FROM_OUTSIDE
        if code == -signal.SIGKILL:
            words = "the worker process was killed (out of memory?)"
        elif killed:
            words = f"the worker process was ended with {signal.Signals(-code).name}"
        elif code < 0:
            words = f"the worker process crashed with {signal.Signals(-code).name}"
        elif not self._ready and code == 1:
            raise WorkError(
                "candidates cannot be evaluated: a worker process ended before it began; a script that starts a run "
                "must do so under `if __name__ == '__main__':`"
            )
        else:
            words = f"the worker process ended with exit code {code}"
        return Outcome(candidate.number, self.used_seconds, error=words, killed=killed)


@contextlib.contextmanager
def _inherited(threads: int) -> Iterator[None]:
    """What a process must have from its very start: thread counts, and no ear for signals that end the run.

    Libraries read the counts when they are loaded. The parent hears the signals and ends its workers. None may come
    between starting a process and telling it what to do: it would end with a traceback of its own.
    """
    numbers = (signal.SIGINT, *ENDING_SIGNALS)
    # Python starts its tracker of resources with the first process, and unblocks signals in doing so: before, then.
    resource_tracker.ensure_running()
    # Blocked, not ignored: what arrives meanwhile reaches this process afterwards, and the child inherits the block.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        with _heard_later(numbers), environment(dict.fromkeys(_THREAD_VARIABLES, str(threads))):
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@contextlib.contextmanager
def _heard_later(numbers: tuple[signal.Signals, ...]) -> Iterator[None]:
    """Keeps signals until the end: another thread that does not block them takes them for the main one, too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept: list[int] = []
    before = {number: signal.getsignal(number) for number in numbers}
    replaced = {number: handler for number, handler in before.items() if callable(handler)}
    for number in replaced:
        signal.signal(number, lambda received, frame: kept.append(received))
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
        for received in kept:
            signal.raise_signal(received)  # blocked still, or heard here


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
