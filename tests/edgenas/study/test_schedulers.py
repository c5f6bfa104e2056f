"""Both schedulers keep what a search relies on."""

import pytest

from edgenas.study.candidates import Candidate, EvaluatorFactory
from edgenas.study.scheduler import InProcess, Scheduler
from edgenas.study.scheduler_conformance import SchedulerConformance, working
from edgenas.study.time_limit import TimeLimit
from edgenas.study.workers import WorkerPool


class TestWorkerPool(SchedulerConformance):
    def scheduler(self, factory: EvaluatorFactory, count: int) -> Scheduler:
        return WorkerPool(factory, count, limit=TimeLimit())


class TestInProcess(SchedulerConformance):
    def scheduler(self, factory: EvaluatorFactory, count: int) -> Scheduler:
        return InProcess(factory, count, limit=TimeLimit())


def test_what_cannot_be_sent_elsewhere_is_evaluated_here() -> None:
    heard = []
    InProcess(lambda: lambda candidate: 0.5).run([Candidate(0, "", 0)], heard.append)
    assert heard[0].score == 0.5


def test_candidates_that_wait_for_nothing_are_refused() -> None:
    with pytest.raises(AssertionError, match="none is evaluated"):
        InProcess(working).run([None], lambda outcome: None)
