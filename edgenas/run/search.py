"""Step 2: the search. Candidates are suggested, trained shortly in workers, and recorded in the study.

A worker that is free gets the next candidate at once. Its suggestion goes by the results of trials that lie at least
twice as many numbers back as there are workers, and knows of later ones only that they were suggested: who finishes
first of trials that run at the same time makes no difference. So one worker always gives the same search for the same
seed, interrupted or not; several do as long as no trial takes longer than the ``2 * workers - 1`` after it, and none
is ended by its time limit. A slower trial is not waited for: the suggestions go on without its result.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.export.files import write_atomically
from edgenas.run.budgets import for_budgets
from edgenas.run.disk import is_full, no_space
from edgenas.run.learning import TrialLearning
from edgenas.run.overhead import SearchOverhead, overhead_words
from edgenas.run.records import RewardRecord, SearchRecord
from edgenas.run.shared import copy_study, documents_of, open_shared
from edgenas.run.whole import over_budget, whole_costs
from edgenas.search.models.learning_curves import extrapolate
from edgenas.search.models.screening import create_screened
from edgenas.search.per_budget import ObjectiveOfBudgets
from edgenas.spaces.errors import EdgeNASError, WorkError
from edgenas.spaces.space.decision import Architecture
from edgenas.study.candidates import Candidate, EvaluatorFactory, Outcome
from edgenas.study.cost_names import split_name, unit_of
from edgenas.study.desk import IDLE_SECONDS, Desk, wished_choices
from edgenas.study.documents import write_documents
from edgenas.study.evaluation import derived_seed
from edgenas.study.feed import Feed
from edgenas.study.objectives import Objective, within
from edgenas.study.scheduler import Scheduler, SchedulerFactory
from edgenas.study.store import StudyStore, create_study
from edgenas.study.time_limit import TimeLimit
from edgenas.study.trial import Trial
from edgenas.study.workers import WorkerPool

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.run.ray_workers import RayCrew
    from edgenas.search.algorithm import Algorithm
    from edgenas.search.problem import Problem

#: Workers shield the run from crashes of a candidate. If the run still ended this often during one, it is the cause.
MAX_ATTEMPTS = 10
#: The study is backed up after so many trials, and less often when it is long.
BACKUP_TRIALS = 10
#: A worker that was killed says nothing about its candidate, unless it happens to the same one this often.
MAX_KILLS = 3
_SEED_PURPOSE = 1


def search(
    context: RunContext,
    evaluator: EvaluatorFactory | None = None,
    scheduler: SchedulerFactory | None = None,
    crew: RayCrew | None = None,
) -> None:
    """Runs or continues the search of a run until it has all its trials or the space is used up.

    With a ``crew`` the candidates are evaluated by its workers, and this process only looks on.

    Raises WorkError when no trial could be evaluated.
    """
    if context.folder.read(SearchRecord).done:
        return
    with context.step(SearchRecord):
        rank_again(context)
        study = open_or_create_study(context)
        try:
            if crew is None:
                take_part(context, study, worker_name(context), evaluator, scheduler)
            else:
                _look_on(context, study, crew, evaluator, scheduler)
            _finish(context, study, context.limits)
        finally:
            study.close()


def _look_on(
    context: RunContext,
    study: StudyStore,
    crew: RayCrew,
    evaluator: EvaluatorFactory | None,
    scheduler: SchedulerFactory | None,
) -> None:
    """Lets a crew evaluate all trials, and shows how far it is."""
    feed = Feed(study)
    feed.update()
    with context.progress.task("search", context.recipe.trials, feed.ours - len(feed.open)) as task:

        def tell() -> None:
            feed.update()
            best = feed.best
            task.update(feed.ours - len(feed.open), f"best: trial {best.number}, {figure_words(best)}" if best else "")

        crew.work(context, evaluator, scheduler, tell)
        tell()
    if context.recipe.search.study is not None:
        copy_study(study, context.folder.study_path, context.space.decisions)


def take_part(
    context: RunContext,
    study: StudyStore,
    worker: str,
    evaluator: EvaluatorFactory | None = None,
    scheduler: SchedulerFactory | None = None,
) -> int:
    """Evaluates trials of a study under a worker's name until it has all; returns how many were ended here."""
    recipe = context.recipe
    problem = context.costs.problem(context.limits, recipe.trials)
    algorithm, objective = for_budgets(context, recipe.trials, _algorithm)
    if evaluator is None:
        from edgenas.study.evaluation import ShortTrainingEvaluator

        evaluator = ShortTrainingEvaluator(recipe, context.folder.trials_path.resolve())
    with Desk(study, worker, say=context.progress.say) as desk:
        run = _Search(context, desk, problem, algorithm, objective)
        try:
            make = scheduler or WorkerPool
            with make(evaluator, recipe.search.workers, limit=run.time_limit()) as pool:
                run.loop(pool)
        finally:
            run.record_overhead()
            if recipe.search.study is not None:
                run.keep_copy()
    return run.ended


def _algorithm(context: RunContext, problem: Problem, seed: int) -> Algorithm:
    """What suggests candidates for one budget: the recipe's algorithm, or the scores of its supernet."""
    wanted = context.recipe.search
    if context.recipe.is_one_shot:
        from edgenas.run.supernet.steps import make_best_scored

        return make_best_scored(context, problem)
    return create_screened(wanted.algorithm, problem, seed, wanted.options, wanted.screen)


class _Search:
    """The loop over candidates."""

    def __init__(
        self,
        context: RunContext,
        desk: Desk,
        problem: Problem,
        algorithm: Algorithm,
        objective: Objective | ObjectiveOfBudgets,
    ) -> None:
        self.context = context
        self.desk = desk
        self.study = desk.store
        self.problem = problem
        self.objective = objective
        self.algorithm = algorithm
        wanted = context.recipe.search
        self.overhead = SearchOverhead(context.folder.read(SearchRecord).overhead)
        #: Results of trials that lie so many numbers back are what a suggestion goes by.
        self.lag = 1 if wanted.workers == 1 or not desk.alone else 2 * wanted.workers
        self.feed = Feed(self.study, self.algorithm, self.lag)
        self.ended = 0
        self.learning = TrialLearning(context, self.feed, self.lag, shared=not desk.alone)
        self._at_work: set[int] = set()
        self._again: deque[Trial] = deque()
        self._kills: Counter[int] = Counter()

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
                trial = self._record(outcome)
                if trial.is_open:
                    return
                self.ended += 1
                if (trial.number + 1) % max(BACKUP_TRIALS, trial.number // 10) == 0:
                    self.keep_copy()
                self.feed.update()
                best = self._best()
                words = f"failed: {trial.error}" if trial.error else "none keeps the budget yet"
                task.advance(note=f"best: trial {best.number}, {figure_words(best)}" if best else words)

            self._again.extend(self._retry(number) for number in interrupted)
            self.feed.update()  # what an interrupted trial learns from
            pool.run(self._candidates(total), tell)

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
                self._at_work.add(trial.number)
                if problem := self._whole_problem(trial):
                    self._fail(Outcome(trial.number, 0.0, error=problem))
                    continue
                known = max(trial.number - self.lag + 1, 0)
                earlier = {number: curve for number, curve in self.feed.curves.items() if number < known}
                lesson = self.learning.lesson(trial)
                yield Candidate(trial.number, trial.architecture, trial.seed, earlier, lesson)
                continue
            self.feed.update()
            if self._at_work:
                yield None
            elif self.desk.alone and self.feed.open:
                time.sleep(IDLE_SECONDS)  # for workers that share the study
            elif any(one.worker or one.state == "waiting" for one in self.feed.open.values()):
                time.sleep(IDLE_SECONDS)  # one of them may die, and leave its trial
            else:
                return

    def _next(self, total: int) -> Trial | None:
        """A trial to evaluate: one that was interrupted, else a new one; None when there is neither."""
        while self._again:
            trial = self._again.popleft()
            if trial.state == "running":
                return trial
        while (taken := self.desk.take()) is not None:
            if adopted := self._adopted(taken):
                self.context.log.event("trial_claimed", trial=adopted.number, architecture=adopted.architecture)
                return adopted
        started = None
        while started is None:  # until no other worker has started one meanwhile
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
            self._at_work.add(trial.number)
            self._fail(Outcome(trial.number, 0.0, error=f"this trial of somebody else's {error}"))
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

    def _retry(self, number: int) -> Trial:
        """An interrupted trial again, or failed when that happened too often."""
        trial = self.study.trial(number)
        if trial.attempts >= MAX_ATTEMPTS:
            return self._fail(
                Outcome(number, 0.0, error=f"the run ended {trial.attempts} times while this was evaluated")
            )
        self.context.log.event("trial_retried", trial=trial.number, attempt=trial.attempts + 1)
        return self.study.retry(trial.number)

    def _record(self, outcome: Outcome) -> Trial:
        """Writes down what became of a candidate; one whose worker was killed stays running and comes again."""
        trial = self.study.trial(outcome.number)
        self._at_work.discard(outcome.number)
        if outcome.killed:
            return self._killed(trial, outcome)
        if outcome.score is None:
            return self._fail(outcome)
        if outcome.stopped:
            return self._stop(trial, outcome)
        metric = self.context.task.metric
        reward = self.objective.reward(outcome.score, trial.predicted)
        if not (math.isfinite(outcome.score) and math.isfinite(reward)):
            return self._fail(
                replace(outcome, error=f"{metric} {outcome.score} gives the reward {reward}, not a number")
            )
        ended = self.desk.end(
            outcome.number,
            self.study.complete,
            metric=metric,
            metrics={metric: outcome.score, **outcome.metrics},
            reward=reward,
            seconds=outcome.seconds,
            curve=outcome.curve,
        )
        if ended is None:
            return trial
        trial = ended
        self.context.log.event(
            "trial_complete",
            trial=trial.number,
            metrics=dict(trial.metrics),
            reward=trial.reward,
            seconds=trial.seconds,
        )
        return self._write(trial)

    def _killed(self, trial: Trial, outcome: Outcome) -> Trial:
        self._kills[trial.number] += 1
        if self._kills[trial.number] >= MAX_KILLS:
            return self._fail(replace(outcome, error=f"{outcome.error}, {MAX_KILLS} times"))
        self.context.progress.say(f"  trial {trial.number}: {outcome.error}; it is evaluated again")
        trial = self._retry(trial.number)
        self._again.append(trial)
        return trial

    def _stop(self, trial: Trial, outcome: Outcome) -> Trial:
        settings = self.context.recipe.search
        epochs = max(settings.training.epochs, len(outcome.curve))
        expected = extrapolate(outcome.curve, epochs).mean
        ended = self.desk.end(
            trial.number,
            self.study.stop,
            curve=outcome.curve,
            expected_reward=self.objective.reward(expected, trial.predicted),
            error=f"stopped after {len(outcome.curve)} of {epochs} epochs ({settings.early_stopping})",
            seconds=outcome.seconds,
        )
        if ended is None:
            return trial
        trial = ended
        self.context.log.event("trial_stopped", trial=trial.number, curve=list(trial.curve))
        return self._write(trial)

    def _fail(self, outcome: Outcome) -> Trial:
        if is_full(outcome.reason):  # it says nothing about the candidate, which is evaluated again on --resume
            raise WorkError(f"trial {outcome.number}: {outcome.reason}; {no_space(self.context.folder.path)}")
        self._at_work.discard(outcome.number)
        trial = self.desk.end(outcome.number, self.study.fail, error=outcome.reason, seconds=outcome.seconds)
        if trial is None:
            return self.study.trial(outcome.number)
        self.context.log.event("trial_failed", trial=trial.number, error=trial.error)
        self.context.progress.say(f"  trial {trial.number} failed: {trial.error}")
        if outcome.details:
            write_atomically(self.context.folder.trial_path(trial.number) / "error.log", outcome.details)
        return self._write(trial)

    def _write(self, trial: Trial) -> Trial:
        """What a person looks for in ``trials/<n>/``."""
        facts = {
            "trial": trial.number,
            "architecture": trial.architecture,
            "state": trial.state,
            "seed": trial.seed,
            "top1": trial.top1,
            "metric": trial.metric,
            "metrics": dict(trial.metrics),
            "reward": trial.reward,
            "predicted": dict(trial.predicted),
            "seconds": trial.seconds,
            "error": trial.error,
        }
        write_atomically(
            self.context.folder.trial_path(trial.number) / "trial.json", json.dumps(facts, indent=1) + "\n"
        )
        return trial


def figure_words(trial: Trial) -> str:
    """The primary metric of a finished trial: ``top1 0.874``."""
    return f"{trial.metric} {trial.score:.3f}"


def worker_name(context: RunContext) -> str:
    """Under which name the search itself works; none where nobody shares its study."""
    return f"search-{context.recipe.name}" if context.recipe.search.study else ""


def open_or_create_study(context: RunContext) -> StudyStore:
    """The study of the run; a new one where it has none yet."""
    path = context.folder.study_path
    recipe = context.recipe
    shared = recipe.search.study is not None and not recipe.is_fixed
    if path.is_file() and not shared:
        return context.open_study()
    facts: dict[str, Any] = {
        "run": recipe.name,
        "space": context.space.name,
        "device": context.first.name,
        "devices": [device.name for device in context.devices],
        "precision": context.precision,
        "algorithm": recipe.search.algorithm,
        "seed": recipe.seed,
        "limits": context.limits,
        "metric": context.task.metric,
    }
    if shared:
        return open_shared(context, facts)
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with closing(create_study(unfinished, facts)) as study:
        write_documents(study, documents_of(context))
    os.replace(unfinished, path)
    return context.open_study()


def rank_again(context: RunContext) -> None:
    """Where the budget or the reward has changed, everybody who opens the study from now on ranks by the new ones."""
    record, recipe = context.folder.read(SearchRecord), context.recipe
    if not record.rank_again:
        return
    objective = recipe.objective_within(context.limits)
    ranking = RewardRecord(
        reward=objective.kind,
        targets=dict(objective.targets),
        beta=objective.beta,
        weights=dict(objective.weights),
        epochs=recipe.search.training.epochs,
    )
    context.folder.write(replace(record, rank_again=False, ranking=ranking, limits=context.limits))


def _finish(context: RunContext, study: StudyStore, limits: dict[str, float]) -> None:
    trials, ranking = study.trials, study.ranking
    failed = [trial for trial in trials if trial.state == "failed"]
    if not ranking and context.folder.read(SearchRecord).ranking is not None and len(failed) < len(trials):
        raise WorkError(
            f"none of {len(trials)} trials keeps the budget that this run has now; they are kept in "
            f"{context.folder.study_path}. Raise search.trials, so that the search goes on under it, or the budget, "
            "and continue with --resume"
        )
    if not ranking:
        reason = failed[-1].error if failed else "nothing could be suggested"
        raise WorkError(
            f"none of {len(trials)} trials could be evaluated; the last reason: {reason}. They are kept in "
            f"{context.folder.study_path}; change the recipe and start a new run"
        )
    best = ranking[0]
    record = replace(
        context.folder.read(SearchRecord),
        done=True,
        trials=len(trials),
        failed=len(failed),
        best=best.number,
        limits=limits,
    )
    context.folder.write(record)
    context.progress.say(
        f"search: {len(trials)} trials, best is trial {best.number} with {figure_words(best)} on validation examples"
        + _predicted(best, limits)
        + f"; saved in {context.folder.study_path}"
    )
    if words := overhead_words(record.overhead):
        context.progress.say(f"search: {words}")


def _predicted(trial: Trial, limits: Mapping[str, float]) -> str:
    """Latencies, and energies where they are budgeted, on every device."""
    words = []
    for name, value in trial.predicted.items():
        cost, device = split_name(name)
        if cost == "latency_ms" or (cost == "energy_mj" and name in limits):
            words.append(f"{value:.4g} {unit_of(name)}{device and f' on {device}'}")
    return f", {', '.join(words)} (predicted)" if words else ""
