"""A run's study on a server, for workers on other machines: what travels in it, and the run's own copy of it.

The run folder stays whole by itself: the study is copied to ``study.db`` while the search goes on and when it is done,
so everything after the search, and the report, is as in any other run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.run.records import SearchRecord
from edgenas.run.step_times import steps_path
from edgenas.spaces.errors import InputError
from edgenas.spaces.yaml_reading import parse_document
from edgenas.study.damage import backup_path
from edgenas.study.documents import read_documents, write_documents
from edgenas.study.errors import NoStudyError
from edgenas.study.schema import mark_schema
from edgenas.study.store import StudyStore, create_study, open_study
from edgenas.study.study import Study

if TYPE_CHECKING:
    from edgenas.recipe.recipe import Recipe
    from edgenas.run.context import RunContext
    from edgenas.spaces.space.decision import Decision

RECIPE, INPUTS, SPACE = "recipe.yaml", "inputs.json", "space.yaml"
#: Keys of a recipe that may differ between those who share a study: where things lie, and who works how.
_FREE = (
    "name",
    "output",
    "plugins",
    "search.study",
    "search.workers",
    "search.time_limit_seconds",
    "tensorboard",
)
_FREE_SECTIONS = ("search.artifacts.",)


def study_url(recipe: Recipe) -> str:
    """The URL of a run's study, with the run's name as that of the study where the URL has none."""
    url = str(recipe.search.study)
    return f"{url}#{recipe.name}" if _holds_many(url) and "#" not in url else url


def _holds_many(url: str) -> bool:
    """Whether several studies, each with a name, may stand behind a URL."""
    return not url.startswith(("grpc:", "sqlite:"))


def documents_of(context: RunContext) -> dict[str, str]:
    """What workers need to take part: recipe, fingerprints, latency tables, and the file of the space."""
    recipe = context.recipe
    found = {RECIPE: recipe.to_yaml()}
    if context.folder.inputs.path.is_file():
        found[INPUTS] = context.folder.inputs.path.read_text(encoding="utf-8")
    if recipe.space.path is not None:
        found[SPACE] = Path(recipe.space.path).read_text(encoding="utf-8")
    for device in context.devices:
        if device.table_path.is_file():
            found[device.table_path.name] = device.table_path.read_text(encoding="utf-8")
    if (steps := steps_path(context)).is_file():
        found[steps.name] = steps.read_text(encoding="utf-8")
    return found


def check_shared(context: RunContext) -> None:
    """Finds out before anything is measured whether a run's study can be had. Raises InputError when it cannot."""
    recipe = context.recipe
    if recipe.search.study is None or recipe.is_fixed or context.folder.read(SearchRecord).done:
        return
    url = study_url(recipe)
    with suppress(NoStudyError), closing(open_study(url, context.progress.say)) as store:
        if documents := read_documents(store):
            _check_same(context, documents, url)


def open_shared(context: RunContext, facts: dict[str, object]) -> StudyStore:
    """The run's study on its server, made when it is not there. Raises InputError when it is another run's."""
    url = study_url(context.recipe)
    try:
        store = open_study(url, context.progress.say)
    except NoStudyError:
        store = create_study(url, facts)
    documents = read_documents(store)
    if RECIPE not in documents:
        if store.trials and not all(trial.foreign for trial in store.trials):
            raise InputError(f"search.study: {url} holds trials that no recipe belongs to; name another study")
        write_documents(store, documents_of(context))
    else:
        _check_same(context, documents, url)
    context.progress.say(f"search: the study is {url}; `edgenas worker {url}` on any machine takes part")
    return store


def _check_same(context: RunContext, documents: dict[str, str], url: str) -> None:
    from edgenas.run.changes import flat

    theirs = flat(parse_document(documents[RECIPE], f"{url}: {RECIPE}").value)
    ours = flat(context.recipe.model_dump(mode="json"))
    free = {*_FREE, *context.recipe.files}
    compared = [key for key in sorted({*ours, *theirs}) if key not in free and not key.startswith(_FREE_SECTIONS)]
    changed = [key for key in compared if ours.get(key) != theirs.get(key)]
    if changed:
        shown = "; ".join(f"{key}: {theirs.get(key)!r} there, {ours.get(key)!r} here" for key in changed[:3])
        raise InputError(
            f"search.study: {url} is the study of another recipe ({shown}); name another study"
            + (" with #NAME" if _holds_many(url) else "")
        )


def copy_study(store: StudyStore, path: Path, decisions: Sequence[Decision]) -> None:
    """Copies a study as it is now into a file, as a whole; one that was there is replaced."""
    unfinished = path.with_name(f".{path.name}.copy")
    unfinished.unlink(missing_ok=True)
    with closing(Study.create(unfinished, store.facts)) as copy:
        copy.add_copies(store.trials, decisions)
        write_documents(copy, read_documents(store))
        mark_schema(copy)
    os.replace(unfinished, path)
    shutil.copyfile(path, backup_path(path))
