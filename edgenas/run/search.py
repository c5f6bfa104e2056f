"""Step 2: the search. Candidates are suggested, trained shortly in workers, and recorded in the study.

Candidates come in batches of as many as there are workers. What a batch suggests depends on the trials before it
only, never on who finishes first, so the same seed gives the same search, interrupted or not.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

from edgenas.export.files import write_atomically
from edgenas.run.disk import is_full, no_space
from edgenas.run.overhead import SearchOverhead, overhead_words
from edgenas.search import Observation
from edgenas.search.models.learning_curves import extrapolate
from edgenas.search.models.screening import create_screened
from edgenas.spaces.decision import Architecture
from edgenas.spaces.errors import EdgeNASError, WorkError
from edgenas.study.evaluation import derived_seed
from edgenas.study.objectives import Objective
from edgenas.study.study import Study, Trial
from edgenas.study.workers import Candidate, EvaluatorFactory, Outcome, WorkerPool

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.search.problem import Problem

#: Workers shield the run from crashes of a candidate. If the run still ended this often during one, it is the cause.
MAX_ATTEMPTS = 10
#: The study is backed up after so many trials, and less often when it is long.
BACKUP_TRIALS = 10
_SEED_PURPOSE = 1


def search(context: RunContext, evaluator: EvaluatorFactory | None = None) -> None:
    """Runs or continues the search of a run until it has all its trials or the space is used up.

    Raises WorkError when no trial could be evaluated.
    """
    recipe, folder = context.recipe, context.folder
    if folder.step("search").get("done"):
        return
    with context.step("search"):
        limits = context.limits
        targets = {name: limits[name] for name in recipe.objective_targets}
        problem = context.costs.problem(limits, recipe.search.trials)
        study = _open_study(context)
        try:
            if evaluator is None:
                from edgenas.study.evaluation import ShortTrainingEvaluator

                evaluator = ShortTrainingEvaluator(recipe)
            run = _Search(context, study, problem, recipe.make_objective(targets))
            try:
                with WorkerPool(evaluator, recipe.search.workers) as pool:
                    run.loop(pool)
            finally:
                run.record_overhead()
            _finish(context, study, limits)
        finally:
            study.close()


class _Search:
    """The loop over batches."""

    def __init__(self, context: RunContext, study: Study, problem: Problem, objective: Objective) -> None:
        self.context = context
        self.study = study
        self.problem = problem
        self.objective = objective
        wanted, seed = context.recipe.search, context.recipe.seed
        self.algorithm = create_screened(wanted.algorithm, problem, seed, wanted.options, wanted.screen)
        self.overhead = SearchOverhead(context.folder.step("search").get("overhead"))

    def record_overhead(self) -> None:
        """Keeps what the search itself has cost so far, for the report and for a resumed call."""
        with contextlib.suppress(EdgeNASError, OSError):  # a full disk has its own message already
            self.context.folder.record("search", {"overhead": self.overhead.to_json()})

    def loop(self, pool: WorkerPool) -> None:
        """Evaluates batch after batch."""
        settings = self.context.recipe.search
        finished = sum(trial.state != "running" for trial in self.study.trials)
        with self.context.progress.task("search", settings.trials, finished) as task:

            def tell(outcome: Outcome) -> None:
                trial = self._record(outcome)
                if (trial.number + 1) % max(BACKUP_TRIALS, trial.number // 10) == 0:
                    self.study.back_up()
                best = self.study.ranking
                task.advance(
                    note=f"best: trial {best[0].number}, top1 {best[0].top1:.3f}" if best else f"failed: {trial.error}"
                )

            while batch := self._next_batch(settings.trials, settings.workers):
                pool.run(self._candidates(batch, settings.workers), tell)

    def _next_batch(self, total: int, size: int) -> list[Trial]:
        """The running trials of an unfinished batch, completed with new ones; empty when the search is over."""
        trials = self.study.trials
        running = [trial.number for trial in trials if trial.state == "running"]
        start = min(running, default=len(trials)) // size * size
        batch = [self._retry(trials[number]) for number in running]
        batch += self._new(trials, start, min(start + size, total) - len(trials))
        batch = [trial for trial in batch if trial.state == "running"]
        if not batch and running:  # all of them had been interrupted too often
            return self._next_batch(total, size)
        return batch

    def _new(self, trials: tuple[Trial, ...], start: int, count: int) -> list[Trial]:
        """``count`` new trials, suggested from what was finished before number ``start``."""
        if count <= 0:
            return []
        with self.overhead.suggesting():
            self.algorithm.update(_observed(trial, pending=trial.number >= start) for trial in trials)
            suggestions = self.algorithm.suggest(count)
        started = [self._start(len(trials) + index, choices) for index, choices in enumerate(suggestions)]
        self.overhead.count(len(started))
        if lately := self.overhead.lately():
            self.context.log.event("search_overhead", **lately)
        return started

    def _start(self, number: int, choices: tuple[int, ...]) -> Trial:
        space = self.context.space
        architecture = space.architecture(choices)
        trial = self.study.start(
            str(architecture),
            choices,
            space.decisions,
            seed=derived_seed(self.context.recipe.seed, _SEED_PURPOSE, number),
            predicted=self.context.costs.architecture(Architecture(choices)),
            files="trials/{number}",
        )
        assert trial.number == number, "another process writes to this study"
        self.context.log.event("trial_started", trial=number, architecture=trial.architecture)
        return trial

    def _candidates(self, batch: list[Trial], size: int) -> list[Candidate]:
        """What workers get of a batch: with the curves of the trials before it, which do not depend on who is quick."""
        start = batch[0].number // size * size
        earlier = {trial.number: trial.curve for trial in self.study.trials[:start] if trial.curve}
        return [Candidate(trial.number, trial.architecture, trial.seed, earlier) for trial in batch]

    def _retry(self, trial: Trial) -> Trial:
        """An interrupted trial again, or failed when that happened too often."""
        if trial.attempts >= MAX_ATTEMPTS:
            return self._fail(trial.number, f"the run ended {trial.attempts} times while this was evaluated", 0.0)
        self.context.log.event("trial_retried", trial=trial.number, attempt=trial.attempts + 1)
        return self.study.retry(trial.number)

    def _record(self, outcome: Outcome) -> Trial:
        if outcome.top1 is None:
            return self._fail(outcome.number, outcome.error or "no reason given", outcome.seconds)
        trial = self.study.trial(outcome.number)
        if outcome.stopped:
            return self._stop(trial, outcome)
        reward = self.objective.reward(outcome.top1, trial.predicted)
        trial = self.study.complete(
            outcome.number, top1=outcome.top1, reward=reward, seconds=outcome.seconds, curve=outcome.curve
        )
        self.context.log.event(
            "trial_complete", trial=trial.number, top1=trial.top1, reward=trial.reward, seconds=trial.seconds
        )
        return self._write(trial)

    def _stop(self, trial: Trial, outcome: Outcome) -> Trial:
        settings = self.context.recipe.search
        epochs = max(settings.training.epochs, len(outcome.curve))
        expected = extrapolate(outcome.curve, epochs).mean
        trial = self.study.stop(
            trial.number,
            curve=outcome.curve,
            expected_reward=self.objective.reward(expected, trial.predicted),
            error=f"stopped after {len(outcome.curve)} of {epochs} epochs ({settings.early_stopping})",
            seconds=outcome.seconds,
        )
        self.context.log.event("trial_stopped", trial=trial.number, curve=list(trial.curve))
        return self._write(trial)

    def _fail(self, number: int, error: str, seconds: float) -> Trial:
        if is_full(error):  # it says nothing about the candidate, which is evaluated again when the run is resumed
            raise WorkError(f"trial {number}: {error}; {no_space(self.context.folder.path)}")
        trial = self.study.fail(number, error=error, seconds=seconds)
        self.context.log.event("trial_failed", trial=number, error=error)
        self.context.progress.say(f"  trial {number} failed: {error}")
        return self._write(trial)

    def _write(self, trial: Trial) -> Trial:
        """What a person looks for in ``trials/<n>/``."""
        facts = {
            "trial": trial.number,
            "architecture": trial.architecture,
            "state": trial.state,
            "seed": trial.seed,
            "top1": trial.top1,
            "reward": trial.reward,
            "predicted": dict(trial.predicted),
            "seconds": trial.seconds,
            "error": trial.error,
        }
        write_atomically(
            self.context.folder.trial_path(trial.number) / "trial.json", json.dumps(facts, indent=1) + "\n"
        )
        return trial


def _observed(trial: Trial, *, pending: bool) -> Observation:
    if pending or trial.state == "running":
        return Observation(trial.number, trial.choices)
    if trial.state == "stopped":
        return Observation(trial.number, trial.choices, "complete", trial.expected_reward)
    return Observation(trial.number, trial.choices, trial.state, trial.reward)


def _open_study(context: RunContext) -> Study:
    path = context.folder.study_path
    if path.is_file():
        return context.open_study()
    recipe = context.recipe
    facts = {
        "run": recipe.name,
        "space": context.space.name,
        "device": recipe.device.name,
        "precision": context.precision,
        "algorithm": recipe.search.algorithm,
        "seed": recipe.seed,
        "limits": context.limits,
    }
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    Study.create(unfinished, facts).close()
    os.replace(unfinished, path)
    return context.open_study()


def _finish(context: RunContext, study: Study, limits: dict[str, float]) -> None:
    trials, ranking = study.trials, study.ranking
    failed = [trial for trial in trials if trial.state == "failed"]
    if not ranking:
        reason = failed[-1].error if failed else "nothing could be suggested"
        raise WorkError(
            f"none of {len(trials)} trials could be evaluated; the last reason: {reason}. They are kept in "
            f"{context.folder.study_path}; change the recipe and start a new run"
        )
    best = ranking[0]
    context.folder.record(
        "search",
        {"done": True, "trials": len(trials), "failed": len(failed), "best": best.number, "limits": limits},
    )
    context.progress.say(
        f"search: {len(trials)} trials, best is trial {best.number} with top1 {best.top1:.3f} on validation images"
        + (f" and {best.predicted['latency_ms']:.4g} ms predicted" if "latency_ms" in best.predicted else "")
        + (f", {best.predicted['energy_mj']:.4g} mJ predicted" if "energy_mj" in limits else "")
    )
    if words := overhead_words(context.folder.step("search").get("overhead", {})):
        context.progress.say(f"search: {words}")
