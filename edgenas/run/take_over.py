"""A changed recipe for a run that has begun: what it invalidates is marked to be done again; nothing is deleted.

The bundle stays until the new one is there, and is kept as ``bundles/earlier-N``. So is a training of other settings,
as ``final-earlier-N`` or ``finalist-earlier-N`` beside the new one; going back to its settings takes it back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.run.changes import Change, changes_between, refuse
from edgenas.run.profile import check_budget
from edgenas.run.records import ChooseRecord, ExportRecord, FinalistsRecord, SearchRecord
from edgenas.run.shared import documents_of
from edgenas.spaces.errors import EdgeNASError, InputError
from edgenas.study.documents import write_documents
from edgenas.study.store import open_study
from edgenas.training.settings import decisive

if TYPE_CHECKING:
    from edgenas.recipe.recipe import Recipe
    from edgenas.run.context import RunContext
    from edgenas.run.folder import RunFolder

_SAID = {
    "nothing": "",
    "search": "the search goes on when there are fewer trials than that",
    "rank": "the trials are ranked again, and one is chosen by that",
    "choose": "one of the best trials is chosen again",
    "train": "the final training is done again",
    "export": "the export is done again",
}


def take_over(context: RunContext) -> None:
    """Makes the context's recipe that of the run. Raises InputError when a key differs that may not."""
    folder, recipe = context.folder, context.recipe
    before = folder.accepted_recipe()
    changes = changes_between(before, recipe)
    refuse(folder.path, changes, before, recipe)
    _refuse_among_budgets(folder, changes, before, recipe)
    if changes:
        _check_costs_known(folder, before, recipe)
        if all(device.table_path.is_file() for device in context.devices):
            check_budget(context)
        for view in context.budgets:
            _invalidate(view, changes)
        for change in changes:
            if said := _SAID[change.rule.again or "nothing"]:
                context.progress.say(f"{change.words}: {said}")
        context.log.event("recipe_changed", changes={change.key: [change.before, change.now] for change in changes})
    folder.accept(recipe)
    if changes and folder.study_path.is_file():  # for whoever serves it, or takes part
        with closing(open_study(folder.study_path)) as study:
            write_documents(study, documents_of(context))


def _refuse_among_budgets(folder: RunFolder, changes: Sequence[Change], before: Recipe, recipe: Recipe) -> None:
    """Raises InputError for another ranking of trials that were searched for several budgets in turn."""
    if before.budget_list is None and recipe.budget_list is None:
        return
    for change in changes:
        if change.rule.again == "rank":
            raise InputError(
                f"{folder.path}: {change.key} may not change in a run for several budgets ({change.words}): its trials "
                "were searched for each of them in turn. Undo that to continue the run; instead, start another run "
                "with a new name (the latency table is shared, so nothing is profiled again)"
            )


def _invalidate(context: RunContext, changes: Sequence[Change]) -> None:
    """Marks the steps that are to be gone through again; what they made stays where it is until then."""
    folder, again = context.folder, {change.rule.again for change in changes}
    shipped, search, choice = folder.read(ExportRecord), folder.read(SearchRecord), folder.read(ChooseRecord)
    if again & {"train", "choose"}:
        _set_trainings_aside(folder, context.recipe)
    if again & {"rank", "train", "export"} and shipped.done and not shipped.earlier:
        folder.write(replace(shipped, earlier=True))
    longer = "search" in again and _is_short(folder, context.recipe)
    if not (longer or again - {"nothing", "search"}):
        return
    if longer or "rank" in again or context.recipe.is_fixed:
        folder.write(replace(search, done=False, rank_again=search.rank_again or "rank" in again))
    folder.write(replace(folder.read(FinalistsRecord), done=False, finalists={}, gathered=False))
    folder.write(replace(choice, trial=None, rejected={}))


def _is_short(folder: RunFolder, recipe: Recipe) -> bool:
    """Whether the study has fewer trials than the recipe wants."""
    if not folder.study_path.is_file():
        return False
    with closing(open_study(folder.study_path)) as study:
        return len(study.trials) < recipe.trials


def _check_costs_known(folder: RunFolder, before: Recipe, recipe: Recipe) -> None:
    """Refuses a budget of a cost that the trials have no prediction of."""
    new = [name for name in recipe.limits if name not in before.limits]
    if not new or not folder.study_path.is_file():
        return
    with closing(open_study(folder.study_path)) as study:
        for trial in study.trials:
            if lacking := [name for name in new if name not in trial.predicted]:
                raise InputError(
                    f"{folder.path}: budget.{lacking[0]} may not be added to this run: its latency table does not know "
                    f"it, so trial {trial.number} has no prediction of it; start another run with a new name"
                )


def keep_bundle(context: RunContext) -> None:
    """Copies the bundle that is about to be replaced to ``bundles/earlier-N``, unless there is a copy already."""
    from edgenas.export.bundle.bundle import copy_bundle

    bundle, stem = context.folder.bundle_path, context.folder.path / "bundles" / "earlier"
    content = (bundle / "metrics.json").read_bytes()
    copies = stem.parent.glob(f"{stem.name}-*/metrics.json")
    if not any(path.read_bytes() == content for path in copies):
        kept = _free(stem)
        copy_bundle(bundle, kept)
        context.progress.say(f"{bundle} stays until the new one is there; it is kept as {kept}")


def _set_trainings_aside(folder: RunFolder, recipe: Recipe) -> None:
    """Renames final and finalists' trainings of other settings, and takes back those of the present ones."""
    from edgenas.run.finalists import finalist_settings

    kinds = {"final": recipe.training.model_dump(mode="json"), "finalist": finalist_settings(recipe).to_dict()}
    for name, settings in kinds.items():
        wanted = decisive(settings)
        for done in sorted((folder.path / "trials").glob(f"*/{name}")):
            if _settings(done) != wanted:
                done.rename(_free(done.with_name(f"{name}-earlier")))
        for earlier in sorted((folder.path / "trials").glob(f"*/{name}-earlier-*")):
            if _settings(earlier) == wanted and not earlier.with_name(name).exists():
                earlier.rename(earlier.with_name(name))


def _settings(final: Path) -> object:
    """What a training was done with, in the keys of its record; None when it is not finished."""
    with suppress(OSError, ValueError, TypeError, AttributeError, EdgeNASError):
        return decisive(json.loads((final / "training.json").read_text(encoding="utf-8"))["settings"])
    return None


def _free(stem: Path) -> Path:
    """``STEM-1``, or the next number that is not taken."""
    number = 1
    while (path := stem.with_name(f"{stem.name}-{number}")).exists():
        number += 1
    return path
