"""What every scheduler must keep: a test class for ours and for anybody's.

Use it with pytest::

    class TestMyScheduler(SchedulerConformance):
        def scheduler(self, factory, count): return MyScheduler(factory, count, limit=TimeLimit())
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edgenas.spaces.errors import WorkError
from edgenas.study.candidates import Candidate, Evaluation, Evaluator, EvaluatorFactory, Outcome
from edgenas.study.scheduler import Scheduler


def behave(candidate: Candidate) -> float | Evaluation:
    """Does what the architecture says; scores a tenth of the number."""
    if candidate.architecture == "fails":
        raise WorkError("the loss became NaN")
    if candidate.architecture == "wrong":
        return 3.0
    if candidate.architecture == "curve":
        return Evaluation(0.5, curve=(0.25, 0.5), metrics={"top1": 0.5})
    return candidate.number / 10


def working() -> Evaluator:
    """A factory; at the top level of a module, so that it can be sent elsewhere."""
    return behave


def missing() -> Evaluator:
    """A factory that makes none."""
    raise WorkError("no data here")


class SchedulerConformance:
    """Plain asserts; subclasses give a scheduler for so many candidates at once."""

    def scheduler(self, factory: EvaluatorFactory, count: int) -> Scheduler:
        raise NotImplementedError

    def outcomes(self, *architectures: str, count: int = 1) -> dict[int, Outcome]:
        """By number; asserts that there is one for each candidate."""
        heard: list[Outcome] = []
        with self.scheduler(working, count) as scheduler:
            scheduler.run([Candidate(number, text, 0) for number, text in enumerate(architectures)], heard.append)
        assert sorted(outcome.number for outcome in heard) == list(range(len(architectures)))
        return {outcome.number: outcome for outcome in heard}

    def error(self, factory: EvaluatorFactory, on_outcome: Callable[[Outcome], None]) -> str:
        """The words of the WorkError that a run of two candidates ends with."""
        try:
            with self.scheduler(factory, 1) as scheduler:
                scheduler.run([Candidate(0, "", 0), Candidate(1, "", 0)], on_outcome)
        except WorkError as error:
            return str(error)
        raise AssertionError("expected WorkError")

    def test_every_candidate_has_one_outcome(self) -> None:
        found = self.outcomes("", "", "", count=2)
        assert {number: outcome.score for number, outcome in found.items()} == {0: 0.0, 1: 0.1, 2: 0.2}
        assert all(outcome.error is None and outcome.seconds >= 0 for outcome in found.values())

    def test_a_failure_is_that_of_its_candidate(self) -> None:
        found = self.outcomes("fails", "wrong", "curve")
        assert (found[0].error, found[0].score) == ("the loss became NaN", None)
        assert "returned 3.0 as accuracy" in (found[1].error or "")
        assert (found[2].score, found[2].curve, dict(found[2].metrics)) == (0.5, (0.25, 0.5), {"top1": 0.5})

    def test_no_evaluator_is_an_error_of_the_search(self) -> None:
        words = self.error(missing, lambda outcome: None)
        assert "candidates cannot be evaluated" in words
        assert "no data here" in words

    def test_a_candidate_is_asked_for_when_there_is_room(self) -> None:
        """With one at a time the outcome of the last is known: a search suggests by it."""
        heard: list[Outcome] = []

        def candidates() -> Iterator[Candidate]:
            for number in range(3):
                assert len(heard) == number
                yield Candidate(number, "", 0)

        with self.scheduler(working, 1) as scheduler:
            scheduler.run(candidates(), heard.append)
        assert len(heard) == 3

    def test_candidates_wait_for_an_outcome(self) -> None:
        """As a killed worker's, which comes again: the source has nothing to give until its outcome is in."""
        heard: list[Outcome] = []

        def candidates() -> Iterator[Candidate | None]:
            yield Candidate(0, "", 0)
            while not heard:
                yield None
            yield Candidate(1, "", 0)

        with self.scheduler(working, 2) as scheduler:
            scheduler.run(candidates(), heard.append)
        assert [outcome.number for outcome in heard] == [0, 1]

    def test_an_error_of_the_listener_ends_the_run(self) -> None:
        def refuse(outcome: Outcome) -> None:
            raise WorkError("the disk is full")

        assert self.error(working, refuse) == "the disk is full"

    def test_it_runs_again_and_with_nothing(self) -> None:
        heard: list[Outcome] = []
        with self.scheduler(working, 1) as scheduler:
            scheduler.run([], heard.append)
            for number in range(2):
                scheduler.run([Candidate(number, "", 0)], heard.append)
        assert [outcome.number for outcome in heard] == [0, 1]
