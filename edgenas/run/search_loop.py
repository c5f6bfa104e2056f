"""The loop over candidates: whenever a worker is free, the next one is suggested, started or taken over."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.run.learning import TrialLearning
from edgenas.run.outcomes import Outcomes, figure_words
from edgenas.run.overhead import SearchOverhead
from edgenas.run.records import SearchRecord
from edgenas.run.shared import copy_study
from edgenas.run.trial_files import TrialFiles
from edgenas.run.whole import over_budget, whole_costs
from edgenas.search.per_budget import ObjectiveOfBudgets
from edgenas.spaces.errors import EdgeNASError, WorkError
from edgenas.spaces.space.decision import Architecture
from edgenas.study.candidates import Candidate, Outcome
from edgenas.study.desk import IDLE_SECONDS, Desk, wished_choices
from edgenas.study.evaluation import derived_seed
from edgenas.study.feed import Feed
from edgenas.study.objectives import Objective, within
from edgenas.study.scheduler import Scheduler
from edgenas.study.time_limit import TimeLimit
from edgenas.study.trial import Trial

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.search.algorithm import Algorithm
    from edgenas.search.problem import Problem

#: The study is backed up after so many trials, and less often when it is long.
BACKUP_TRIALS = 10
_SEED_PURPOSE = 1


class SearchLoop:
    """The loop over candidates."""

    def __init__(
        self,
        context: RunContext,
        desk: Desk,
        problem: Problem,
        algorithm: Algorithm,
        objective: Objective | ObjectiveOfBudgets,
        files: TrialFiles,
    ) -> None:
        self.context = context
        self.desk = desk
        self.study = desk.store
        self.problem = problem
        self.outcomes = Outcomes(context, desk, objective)
        self.algorithm = algorithm
        wanted = context.recipe.search
        self.overhead = SearchOverhead(context.folder.read(SearchRecord).overhead)
        #: Results of trials that lie so many numbers back are what a suggestion goes by.
        self.lag = 1 if wanted.workers == 1 or not desk.alone else 2 * wanted.workers
        self.feed = Feed(self.study, self.algorithm, self.lag, files.places)
        self.files = files
        self.learning = TrialLearning(context, self.feed, self.lag, shared=not desk.alone)
        self.ended = 0

    def record_overhead(self) -> None:
        """Keeps what the search itself has cost so far, for the report and for a resumed call."""
        with contextlib.suppress(EdgeNASError, OSError):  # a full disk has its own message already
            record = self.context.folder.read(SearchRecord)
            self.context.folder.write(replace(record, overhead=self.overhead.to_json()))

    def keep_copy(self) -> None:
        """Backs the study up; one on a server is copied into the run's folder."""
        if self.context.recipe.search.study is None:
            self.study.back_up()
        else:
            copy_study(self.study, self.context.folder.study_path, self.context.space.decisions)

    def time_limit(self) -> TimeLimit:
        """The limit for candidates, with what earlier calls of this run have found."""
        limit = TimeLimit(self.context.recipe.search.time_limit_seconds)
        for trial in self.study.trials:
            if trial.state in ("complete", "stopped") and trial.seconds is not None:
                limit.finished(trial.seconds)
        return limit

    def loop(self, pool: Scheduler) -> None:
        """Evaluates one candidate after the other, as workers get free."""
        total = self.context.recipe.trials
        trials = self.study.trials
        mine = [trial for trial in trials if trial.state == "running" and not trial.foreign and not trial.worker]
        interrupted = [trial.number for trial in mine] if self.desk.alone else []
        ended = sum(not trial.is_open for trial in trials)
        with self.context.progress.task("search", total, ended) as task:

            def tell(outcome: Outcome) -> None:
                trial = self.outcomes.record(outcome)
                if trial.is_open:
                    return
                self.ended += 1
                if (trial.number + 1) % max(BACKUP_TRIALS, trial.number // 10) == 0:
                    self.keep_copy()
                self.feed.update()
                self.files.settle(trial, self.feed)
                best = self._best()
                words = f"failed: {trial.error}" if trial.error else "none keeps the budget yet"
                task.advance(note=f"best: trial {best.number}, {figure_words(best)}" if best else words)

            self.outcomes.again.extend(self.outcomes.retry(number) for number in interrupted)
            self.feed.update()  # what an interrupted trial learns from
            pool.run(self._candidates(total), tell)
            self.learning.finish()

    def _best(self) -> Trial | None:
        """The best trial so far; where the budget has changed, of those that keep the present one."""
        if self.context.folder.read(SearchRecord).ranking is None:
            return self.feed.best
        return next(iter(self.study.ranking), None)

    def _candidates(self, total: int) -> Iterator[Candidate | None]:
        """The next candidate, whenever one is asked for; None while only an outcome can bring another."""
        while True:
            trial = self._next(total)
            if trial is not None:
                self.outcomes.at_work.add(trial.number)
                if problem := self._whole_problem(trial):
                    self.outcomes.fail(Outcome(trial.number, 0.0, error=problem))
                    continue
                known = max(trial.number - self.lag + 1, 0)
                earlier = {number: curve for number, curve in self.feed.curves.items() if number < known}
                folder, lesson = self.files.folder(trial.number), self.learning.lesson(trial)
                yield Candidate(trial.number, trial.architecture, trial.seed, earlier, folder, lesson)
                continue
            self.feed.update()
            if self.outcomes.at_work:
                yield None
            elif self.desk.alone and self.feed.open:
                time.sleep(IDLE_SECONDS)  # for workers that share the study
            elif any(one.worker or one.state == "waiting" for one in self.feed.open.values()):
                time.sleep(IDLE_SECONDS)  # one of them may die, and leave its trial
            else:
                return

    def _next(self, total: int) -> Trial | None:
        """A trial to evaluate: one that was interrupted, else a new one; None when there is neither."""
        while self.outcomes.again:
            trial = self.outcomes.again.popleft()
            if trial.state == "running":
                return trial
        while (taken := self.desk.take()) is not None:
            if adopted := self._adopted(taken):
                self.context.log.event("trial_claimed", trial=adopted.number, architecture=adopted.architecture)
                return adopted
        started = None
        while started is None:  # until no other worker has started one meanwhile
            with self.desk.turn():
                with self.overhead.suggesting():
                    number = self.feed.update()
                    suggestions = self.algorithm.suggest(1) if self.feed.ours < total else []
                if not suggestions:
                    return None
                started = self._start(number, suggestions[0])
        self.overhead.count(1)
        if lately := self.overhead.lately():
            self.context.log.event("search_overhead", **lately)
        return started

    def _start(self, number: int, choices: tuple[int, ...]) -> Trial | None:
        trial = self.desk.start(number, **self._content(number, choices))
        if trial is not None:
            self.context.log.event("trial_started", trial=number, architecture=trial.architecture)
        return trial

    def _content(self, number: int, choices: tuple[int, ...]) -> dict[str, Any]:
        return {
            "architecture": str(self.context.space.architecture(choices)),
            "choices": choices,
            "decisions": self.context.space.decisions,
            "seed": derived_seed(self.context.recipe.seed, _SEED_PURPOSE, number),
            "predicted": self.context.costs.architecture(Architecture(choices)),
            "files": "trials/{number}",
        }

    def _adopted(self, trial: Trial) -> Trial | None:
        """A trial that somebody else put in becomes one of ours; None when it cannot be evaluated, which it is told."""
        if not trial.foreign:
            return trial
        try:
            content = self._content(trial.number, self._wished(trial))
            limits = self.problem.limits
            if not within(content["predicted"], limits):
                over = [f"{name} {content['predicted'][name]:.4g} > {limit:.4g}" for name, limit in limits.items()]
                raise WorkError(f"is over the budget: {', '.join(over)}")
        except EdgeNASError as error:
            self.outcomes.at_work.add(trial.number)
            self.outcomes.fail(Outcome(trial.number, 0.0, error=f"this trial of somebody else's {error}"))
            return None
        return self.study.adopt(trial.number, **content)

    def _wished(self, trial: Trial) -> tuple[int, ...]:
        """The architecture that somebody asked for; what they left open is drawn by the trial's number."""
        space = self.problem.space
        rng = np.random.default_rng([self.context.recipe.seed, trial.number])
        wished = wished_choices(trial.wishes, self.context.space.decisions)
        drawn = space.sample(rng, 1)[0]
        row = np.array([drawn[i] if wish is None else wish for i, wish in enumerate(wished)], drawn.dtype)[None]
        possible = space.crossover(rng, row, row)[0]
        for decision, wish, found in zip(self.context.space.decisions, wished, possible, strict=True):
            if wish not in (None, found) and found != 0:
                raise WorkError(
                    f"asks for {decision.options[wish or 0]!r} as {decision.name}, not allowed with the rest"
                )
        return tuple(int(choice) for choice in possible)

    def _whole_problem(self, trial: Trial) -> str:
        """Why a candidate need not be trained: what a vendor's compiler says of the whole; empty when nothing is."""
        try:
            return over_budget(whole_costs(self.context, trial.architecture), self.context.recipe.limits)
        except WorkError as error:
            return str(error)
