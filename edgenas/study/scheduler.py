"""Who evaluates the candidates of a search, and where: what a search needs, and the scheduler of this very process.

:class:`~edgenas.study.workers.WorkerPool` keeps crashes and hangs away from the search; :class:`InProcess` starts no
process. Another one (of many machines, say) passes
:class:`edgenas.study.scheduler_conformance.SchedulerConformance` and is given to :func:`edgenas.run.pipeline.run`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Protocol

from edgenas.spaces.errors import WorkError
from edgenas.study.candidates import Candidate, EvaluatorFactory, Outcome, failure, outcome_of
from edgenas.study.time_limit import TimeLimit


class Scheduler(Protocol):
    """Evaluates candidates. A context manager; leaving it ends what is still at work."""

    def __enter__(self) -> Scheduler:
        """Begins."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Ends what is still at work."""

    def run(self, candidates: Iterable[Candidate | None], on_outcome: Callable[[Outcome], None]) -> None:
        """Evaluates all candidates; ``on_outcome`` hears of each once, in the caller's thread, as soon as it is done.

        The next candidate is asked for only when there is room for it. None says that there is none before another
        outcome is in. Whatever an evaluation raises is an outcome. Raises WorkError when no evaluator can be made.
        """


class SchedulerFactory(Protocol):
    """Makes the scheduler of a search: a class such as :class:`InProcess`."""

    def __call__(self, factory: EvaluatorFactory, count: int, /, *, limit: TimeLimit) -> Scheduler:
        """For so many candidates at once, each of which may take so long."""


class InProcess:
    """Evaluates one candidate after the other here: for evaluators that look up a table or compute a formula.

    A process that starts takes longer than those, and what is given to one must be picklable. Here a crash is that of
    the search, and nothing ends an evaluation that takes too long.

    Args:
        factory: makes the evaluator, when the first candidate is there.
        count: of no effect; one candidate is at work at a time.
        limit: told what evaluations took.
    """

    def __init__(self, factory: EvaluatorFactory, count: int = 1, *, limit: TimeLimit | None = None) -> None:
        self.factory = factory
        self.count = count
        self.limit = limit or TimeLimit()

    def __enter__(self) -> InProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        pass

    def run(self, candidates: Iterable[Candidate | None], on_outcome: Callable[[Outcome], None]) -> None:
        """See :meth:`Scheduler.run`."""
        evaluate = None
        for candidate in candidates:
            if candidate is None:
                raise AssertionError("candidates wait for an outcome although none is evaluated")
            if evaluate is None:
                try:
                    evaluate = self.factory()
                except Exception as error:
                    reason = failure(candidate.number, error).reason
                    raise WorkError(f"candidates cannot be evaluated: {reason}") from None
            start = time.monotonic()
            outcome = replace(outcome_of(evaluate, candidate), seconds=time.monotonic() - start)
            if outcome.error is None:
                self.limit.finished(outcome.seconds)
            on_outcome(outcome)
