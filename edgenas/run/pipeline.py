"""The main job: profile, search, train, export, report, in one run folder, each step only as far as it is not done.

:func:`run_recipe` does everything, :func:`search_recipe` stops after the search, :func:`export_trial` ships one trial
of a run. All of them can be interrupted at any moment and continued.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.recipe.recipe import Recipe
from edgenas.run.best import report, ship_best, ship_chosen
from edgenas.run.choose import choose
from edgenas.run.context import RunContext
from edgenas.run.fixed import find_tables, train_fixed
from edgenas.run.folder import RunFolder
from edgenas.run.opening import check_inputs, load_recipe, open_searched, output_of, prepare, removed_if_wrong, working
from edgenas.run.other_quantization import OtherQuantization
from edgenas.run.preflight import check
from edgenas.run.profile import profile
from edgenas.run.progress import Progress
from edgenas.run.ranked import rank_again
from edgenas.run.records import ExportRecord
from edgenas.run.result import RunResult, result_of
from edgenas.run.saved import saved_words
from edgenas.run.search import search
from edgenas.run.shared import check_shared
from edgenas.run.take_over import take_over
from edgenas.spaces.errors import InputError
from edgenas.study.scheduler import SchedulerFactory
from edgenas.study.workers import EvaluatorFactory

if TYPE_CHECKING:
    from edgenas.run.ray_workers import RayCrew

__all__ = ["RunResult", "check", "export_trial", "run", "run_from_supernet", "run_recipe", "search_recipe"]


def run_recipe(
    path: Path | str, *, resume: bool = False, data_dir: Path | None = None, output: Path | None = None
) -> RunResult:
    """Everything that the recipe in a file asks for; see :func:`run`."""
    return run(load_recipe(path, data_dir), resume=resume, output=output_of(path, output, resume))


def search_recipe(
    path: Path | str,
    *,
    resume: bool = False,
    data_dir: Path | None = None,
    output: Path | None = None,
    study: str | None = None,
    crew: RayCrew | None = None,
) -> RunResult:
    """Profile and search only, in the study behind a URL where one is given; see :func:`run`."""
    recipe = load_recipe(path, data_dir)
    if study is not None:
        recipe = recipe.with_study(study)
    return run(recipe, resume=resume, output=output_of(path, output, resume), ship=False, crew=crew)


def run_from_supernet(
    lender: Path | str,
    budgets: Sequence[str],
    *,
    resume: bool = False,
    data_dir: Path | None = None,
    output: Path | None = None,
    ship: bool = True,
) -> RunResult:
    """Searches the trained supernet of a run for other budgets, each ``COST=LIMIT``, in a run of its own.

    Nothing of the supernet is trained again. The run's folder is beside the lender's unless ``output`` names another;
    the rest is as in :func:`run`. Raises InputError when there is no supernet in that run, or a budget is none.
    """
    from edgenas.run.supernet.borrowed import borrowing_recipe

    recipe = borrowing_recipe(lender, budgets)
    if data_dir is not None:
        recipe = recipe.with_data_directory(data_dir)
    return run(recipe, resume=resume, output=output or Path(lender).parent / recipe.name, ship=ship)


def run(
    recipe: Recipe,
    *,
    resume: bool = False,
    output: Path | None = None,
    ship: bool = True,
    quiet: bool = False,
    evaluator: EvaluatorFactory | None = None,
    scheduler: SchedulerFactory | None = None,
    crew: RayCrew | None = None,
) -> RunResult:
    """Runs a recipe in its run folder, ``OUTPUT/NAME`` unless ``output`` names another.

    Args:
        recipe: checked already by itself; here it is checked against the data, the space and the device.
        resume: continue the run in that folder; finished work is not repeated.
        output: the run's folder.
        ship: also train, export and report; False ends after the search.
        quiet: show no progress.
        evaluator: how candidates are judged; None trains them shortly, as the recipe says.
        scheduler: where they are judged, such as :class:`edgenas.study.scheduler.InProcess`; None starts workers.
        crew: workers elsewhere that judge them instead, as Ray actors.

    Raises:
        InputError: something in the recipe is wrong, or the folder holds another run.
        WorkError: a step failed or was interrupted; the message says what is saved and how to go on.
    """
    folder = RunFolder(output or Path(recipe.output) / recipe.name)
    context = RunContext(recipe, folder, Progress(quiet=quiet))
    if resume and folder.recipe_path.is_file():
        folder.prepare(recipe, resume=True)  # a key that may not change is told before anything is loaded
    check_shared(context)
    if crew is not None:
        crew.url(context)
    check(context)
    with removed_if_wrong(folder, fresh=not folder.path.exists()), working(context):
        existed = prepare(context, resume=resume)
        context.log.event("run_resumed" if existed else "run_started", recipe=recipe.name)
        there = f"goes on with {saved_words(context)}" if existed else "begins"
        context.progress.say(
            f"run {recipe.name} {there}; every finished trial, epoch of a final training and step is saved in "
            f"{folder.path}"
        )
        if recipe.is_fixed:
            find_tables(context)
            train_fixed(context)
        else:
            profile(context)
            _search(context, evaluator, scheduler, crew)
        if ship:
            ship_best(context)
            report(context)
        return result_of(context)


def export_trial(
    folder: Path | str,
    trial: int | None = None,
    *,
    data_dir: Path | None = None,
    output: Path | None = None,
    quantization: str | None = None,
    measure: bool = False,
) -> RunResult:
    """Trains, exports and measures one trial of a run and writes its bundle.

    Args:
        folder: the run.
        trial: its number; its bundle is ``bundles/trial-N`` and leaves ``bundle/`` and what the run chose as they are.
            None takes the best that keeps the budget, which goes to ``bundle/``.
        data_dir: as elsewhere.
        output: another folder for the bundle.
        quantization: another one than the run's, for a bundle in ``output``; those of the run stay as they are.
        measure: with it, profile what the device's table of that precision lacks, so that it can be predicted.

    Raises InputError when there is no such run or trial, WorkError when the trial does not keep the budget.
    """
    from edgenas.export.bundle.bundle import check_replaceable, copy_bundle

    context = open_searched(folder, data_dir)
    run_folder = context.folder
    if trial is not None:
        with closing(context.open_study()) as study:
            study.trial(trial)
    destination = output or (run_folder.bundle_path if trial is None else run_folder.trial_bundle_path(trial))
    check_replaceable(destination.absolute())
    other = None if quantization is None else OtherQuantization(context, quantization, measure=measure)
    with working(context):
        go_on(context)
        if other is not None:
            other.prepare()
            facts = ship_chosen(other, choose(context) if trial is None else trial, destination)
            return replace(result_of(context), export=facts, bundle=destination)
        if trial is None:
            ship_best(context)
            if output is not None:
                copy_bundle(run_folder.bundle_path, output)
            facts = context.folder.read(ExportRecord)
        else:
            facts = ship_chosen(context, trial, destination)
        report(context)
        return replace(result_of(context), export=facts, bundle=destination)


def go_on(context: RunContext) -> None:
    """Goes on with a run that is open and locked, as far as its trials can be exported."""
    check_inputs(context)
    take_over(context)
    if context.recipe.is_fixed:
        find_tables(context)
        train_fixed(context)
    else:
        profile(context)
        rank_again(context)


def _search(
    context: RunContext,
    evaluator: EvaluatorFactory | None,
    scheduler: SchedulerFactory | None,
    crew: RayCrew | None,
) -> None:
    """The search, with the supernet that a one-shot algorithm takes its candidates from."""
    if not context.recipe.is_one_shot:
        search(context, evaluator, scheduler, crew)
        return
    if crew is not None:
        raise InputError(
            "--ray: a one-shot search trains one supernet, here; Ray's workers evaluate separate candidates"
        )
    from edgenas.run.supernet.steps import check_supernet_ranking, prepare_candidates

    prepare_candidates(context)
    search(context, evaluator, scheduler)
    with closing(context.open_study()) as study:
        trials = study.trials
    check_supernet_ranking(context, trials)
