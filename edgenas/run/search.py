"""Step 2: the search. Candidates are suggested, trained shortly in workers, and recorded in the study.

A worker that is free gets the next candidate at once. Its suggestion goes by the results of trials that lie at least
twice as many numbers back as there are workers, and knows of later ones only that they were suggested: who finishes
first of trials that run at the same time makes no difference. So one worker always gives the same search for the same
seed, interrupted or not; several do as long as no trial takes longer than the ``2 * workers - 1`` after it, and none
is ended by its time limit. A slower trial is not waited for: the suggestions go on without its result.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgenas.run.budgets import for_budgets
from edgenas.run.outcomes import figure_words
from edgenas.run.overhead import overhead_words
from edgenas.run.ranked import rank_again
from edgenas.run.records import SearchRecord
from edgenas.run.search_loop import SearchLoop
from edgenas.run.shared import copy_study, documents_of, open_shared
from edgenas.run.trial_files import ID, TrialFiles
from edgenas.search.models.screening import create_screened
from edgenas.spaces.errors import WorkError
from edgenas.study.candidates import EvaluatorFactory
from edgenas.study.cost_names import split_name, unit_of
from edgenas.study.desk import Desk
from edgenas.study.documents import write_documents
from edgenas.study.errors import NameInUseError
from edgenas.study.evaluators import evaluator_of, figure_origin
from edgenas.study.feed import Feed
from edgenas.study.scheduler import SchedulerFactory
from edgenas.study.store import StudyStore, create_study
from edgenas.study.trial import Trial
from edgenas.study.workers import WorkerPool

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.run.ray_workers import RayCrew
    from edgenas.search.algorithm import Algorithm
    from edgenas.search.problem import Problem


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
                _evaluate(context, study, evaluator, scheduler)
            else:
                _look_on(context, study, crew, evaluator, scheduler)
            _finish(context, study, context.limits, None if crew is None else crew.artifacts(context))
        finally:
            study.close()


def _evaluate(
    context: RunContext, study: StudyStore, evaluator: EvaluatorFactory | None, scheduler: SchedulerFactory | None
) -> None:
    """Evaluates trials under the search's name; of two searches in one study, the second has one of its own."""
    name = worker_name(context)
    try:
        take_part(context, study, name, evaluator, scheduler)
    except NameInUseError:
        take_part(context, study, f"{name}-{socket.gethostname()}-{os.getpid()}", evaluator, scheduler)


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
        from edgenas.run.supernet.starts import short_training_starts

        starts = short_training_starts(context)
        evaluator = evaluator_of(recipe, starts, context.folder.trials_path.resolve())
    files = TrialFiles(context, study)
    files.check()
    with Desk(study, worker, say=context.progress.say) as desk:
        run = SearchLoop(context, desk, problem, algorithm, objective, files)
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
        ID: uuid.uuid4().hex[:8],
    }
    if shared:
        return open_shared(context, facts)
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with closing(create_study(unfinished, facts)) as study:
        write_documents(study, documents_of(context))
    os.replace(unfinished, path)
    return context.open_study()


def _finish(context: RunContext, study: StudyStore, limits: dict[str, float], store: str | None = None) -> None:
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
    kept = TrialFiles(context, study, store)
    kept.fetch(trial.number for trial in ranking[: kept.places])
    record = replace(
        context.folder.read(SearchRecord),
        done=True,
        trials=len(trials),
        failed=len(failed),
        best=best.number,
        limits=limits,
    )
    context.folder.write(record)
    origin = figure_origin(context.recipe.search.evaluator)
    context.progress.say(
        f"search: {len(trials)} trials, best is trial {best.number} with {figure_words(best)} {origin}"
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
