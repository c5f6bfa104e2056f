"""Processes that evaluate candidates: a crash, a hang of one or a kill is the end of a candidate, not of the search.

Each worker is a fresh process (spawned, so it shares nothing with the parent), makes its evaluator once, and then
takes one candidate after the other. It ends itself when the parent is gone.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType

from edgenas.environment import environment
from edgenas.spaces.errors import EdgeNASError, WorkError

_CONTEXT = multiprocessing.get_context("spawn")
_THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Candidate:
    """What is evaluated: a trial's number, its architecture as text, and its seed.

    ``earlier`` holds, by number, the accuracies after each epoch of earlier trials, for early stopping.
    """

    number: int
    architecture: str
    seed: int
    earlier: Mapping[int, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """What an evaluator found: ``top1`` in [0, 1], the same after each epoch, and whether it stopped early."""

    top1: float
    curve: tuple[float, ...] = ()
    stopped: bool = False


@dataclass(frozen=True)
class Outcome:
    """How it went: ``top1`` in [0, 1] with what an :class:`Evaluation` holds besides, or ``error`` in words."""

    number: int
    seconds: float
    top1: float | None = None
    error: str | None = None
    curve: tuple[float, ...] = ()
    stopped: bool = False


#: Evaluates a candidate: its accuracy in [0, 1], or an Evaluation. An exception fails the candidate with its words.
Evaluator = Callable[[Candidate], "float | Evaluation"]
#: Makes the evaluator inside the worker. Must be picklable: a function or an object of a module.
EvaluatorFactory = Callable[[], Evaluator]


class WorkerPool:
    """``count`` worker processes, started when they are first needed and replaced when they die.

    Use it as a context manager; leaving it ends the processes.

    Args:
        factory: makes the evaluator in each worker. When that fails, :meth:`run` raises WorkError: the setup is
            wrong, not a candidate.
        count: processes at once.
        threads: threads that each may use; None shares the machine's cores among them.
    """

    def __init__(self, factory: EvaluatorFactory, count: int = 1, threads: int | None = None) -> None:
        self.factory = factory
        self.count = count
        self.threads = threads or max(1, available_cores() // count)
        self._workers: list[_Worker] = []

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def run(self, candidates: Iterable[Candidate], on_outcome: Callable[[Outcome], None]) -> None:
        """Evaluates all candidates; ``on_outcome`` hears of each, here, as soon as it is done."""
        waiting = list(candidates)
        while waiting or any(worker.candidate for worker in self._workers):
            for worker in self._idle(len(waiting)):
                worker.start(waiting.pop(0))
            busy = [worker for worker in self._workers if worker.candidate]
            ready = wait([worker.pipe for worker in busy])
            for worker in busy:
                if worker.pipe in ready:
                    outcome = worker.finish()
                    if not worker.alive:
                        self._workers.remove(worker)
                    on_outcome(outcome)

    def _idle(self, wanted: int) -> list[_Worker]:
        idle = [worker for worker in self._workers if not worker.candidate]
        while len(idle) < wanted and len(self._workers) < self.count:
            worker = _Worker(self.factory, self.threads)
            self._workers.append(worker)
            idle.append(worker)
        return idle[:wanted]


class _Worker:
    """The parent's end of one worker process."""

    def __init__(self, factory: EvaluatorFactory, threads: int) -> None:
        self.pipe, other = _CONTEXT.Pipe()
        with _inherited(threads):
            self.process: BaseProcess = _CONTEXT.Process(target=_serve, args=(factory, other), daemon=True)
            self.process.start()
        other.close()
        self.candidate: Candidate | None = None
        self._since = time.monotonic()

    @property
    def alive(self) -> bool:
        return not self.pipe.closed

    def start(self, candidate: Candidate) -> None:
        self.candidate, self._since = candidate, time.monotonic()
        with contextlib.suppress(OSError):  # it died while idle: finish() finds the pipe closed and says so
            self.pipe.send(candidate)

    def finish(self) -> Outcome:
        assert self.candidate is not None
        candidate, self.candidate = self.candidate, None
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            self.end(5.0)  # it is dying by itself: its exit code says of what
            return Outcome(candidate.number, time.monotonic() - self._since, error=self._last_words())
        if isinstance(answer, str):
            self.end()
            raise WorkError(f"candidates cannot be evaluated: {answer}")
        assert isinstance(answer, Outcome)
        return answer

    def end(self, patience_seconds: float = 1.0) -> None:
        """Ends the process: one at work at once, an idle or dying one by itself if it does so in time."""
        if self.candidate is not None:
            self.process.kill()
        self.pipe.close()
        self.process.join(patience_seconds)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    def _last_words(self) -> str:
        code = self.process.exitcode or 0
        if code == -signal.SIGKILL:
            return "the worker process was killed (out of memory?)"
        if code < 0:
            return f"the worker process crashed with {signal.Signals(-code).name}"
        return f"the worker process ended with exit code {code}"


@contextlib.contextmanager
def _inherited(threads: int) -> Iterator[None]:
    """What a process must have from its very start: thread counts, and no ear for Ctrl-C.

    Libraries read the counts when they are loaded. The parent hears Ctrl-C and ends its workers.
    """
    # Blocked, not ignored: what arrives meanwhile reaches this process afterwards, and the child inherits the block.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with environment(dict.fromkeys(_THREAD_VARIABLES, str(threads))):
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _serve(factory: EvaluatorFactory, pipe: Connection) -> None:
    """The worker process: candidates in, outcomes out; a text says that the evaluator cannot be made."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    evaluate: Evaluator | None = None
    while True:
        try:
            candidate = pipe.recv()
        except (EOFError, OSError):
            return
        start = time.monotonic()
        if evaluate is None:
            try:
                evaluate = factory()
            except Exception as error:
                pipe.send(_words(error))
                return
        outcome = outcome_of(evaluate, candidate)
        pipe.send(replace(outcome, seconds=time.monotonic() - start))


def outcome_of(evaluate: Evaluator, candidate: Candidate) -> Outcome:
    """Evaluates a candidate here, in this process; ``seconds`` is left 0."""
    try:
        found = evaluate(candidate)
        if not isinstance(found, Evaluation):
            found = Evaluation(float(found))
        return Outcome(candidate.number, 0.0, found.top1, None, found.curve, found.stopped)
    except Exception as error:
        return Outcome(candidate.number, 0.0, error=_words(error))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _words(error: Exception) -> str:
    text = str(error).strip()
    first = text.splitlines()[0] if text else "no message"
    return first if isinstance(error, EdgeNASError) else f"{type(error).__name__}: {first}"
