"""A worker: takes part in a study that somebody else's `edgenas search` began, on this machine or on another.

What it needs travels in the study: recipe, latency tables, fingerprints, and the file of the space. The data must be
here, and are compared by their fingerprint.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgenas.devices.home import edgenas_home
from edgenas.export.files import write_atomically
from edgenas.plugins import given, is_module, load_plugins
from edgenas.recipe.recipe import Recipe
from edgenas.run.context import RunContext
from edgenas.run.folder import RunFolder
from edgenas.run.progress import Progress
from edgenas.run.search import take_part
from edgenas.run.shared import RECIPE, SPACE
from edgenas.spaces.errors import InputError
from edgenas.spaces.text import one_line
from edgenas.spaces.yaml_reading import dump_yaml, parse_document
from edgenas.study.artifacts import check_place
from edgenas.study.joining import joined
from edgenas.study.scheduler import SchedulerFactory
from edgenas.study.workers import EvaluatorFactory

_NAME_LENGTH = 80


@dataclass(frozen=True)
class WorkerResult:
    """What a worker has done: its name, how many trials it ended, and its folder."""

    worker: str
    trials: int
    folder: Path


def default_name() -> str:
    """A name that no other worker has: this machine's and this process'."""
    return f"{socket.gethostname()}-{os.getpid()}"


def work(
    url: Path | str,
    *,
    name: str | None = None,
    folder: Path | None = None,
    data_dir: Path | None = None,
    data_path: Path | None = None,
    plugins: Sequence[Path] = (),
    workers: int = 1,
    quiet: bool = False,
    evaluator: EvaluatorFactory | None = None,
    scheduler: SchedulerFactory | None = None,
    wait_seconds: float = 0.0,
    artifacts: str | None = None,
) -> WorkerResult:
    """Evaluates trials of a study until it has all its trials.

    Args:
        url: of the study.
        name: by which a worker that comes back gets its trial back; by default machine and process.
        folder: for its files; by default ``workers/NAME`` in EdgeNAS' home.
        data_dir: folder of full data sets by name here.
        data_path: where the recipe's ``data.path`` lies here.
        plugins: files of the recipe's plug-ins here, in its order; by default those that were imported already under
            the same name, else the same paths. Modules are imported by name.
        workers: candidates evaluated at once.
        quiet: show no progress.
        evaluator: how candidates are judged; None trains them shortly, as the recipe says.
        scheduler: where they are judged; None starts processes.
        artifacts: the store of weights and other files as it is reached from here; None: as the recipe says.
        wait_seconds: how long a study is waited for that is not there yet, or whose server is down.

    Raises InputError when there is no study, or the data or the space differ from those that it was begun with.
    """
    name = _checked(name or default_name())
    with joined(url, RECIPE, wait_seconds) as (store, documents):
        place = RunFolder(folder or edgenas_home() / "workers" / name)
        with place, Progress(quiet=quiet) as progress:
            recipe = _recipe(documents, place, data_dir, data_path, plugins)
            if recipe.is_one_shot:
                raise InputError(f"{url}: a one-shot search takes its candidates from the supernet in its run folder")
            changes: dict[str, Any] = {"workers": workers}
            if artifacts is not None:
                check_place(artifacts)
                changes["artifacts"] = recipe.search.artifacts.model_copy(update={"store": artifacts})
            recipe = recipe.model_copy(update={"search": recipe.search.model_copy(update=changes)})
            context = RunContext(recipe, place, progress)
            _check_inputs(context, url)
            trials = take_part(context, store, name, evaluator, scheduler)
    return WorkerResult(name, trials, place.path)


def _checked(name: str) -> str:
    if not name.isprintable() or "/" in name or not 0 < len(name) <= _NAME_LENGTH or name.startswith("."):
        raise InputError(
            f"--name: expected up to {_NAME_LENGTH} letters, digits, '-' and '_', found {one_line(name)[:90]!r}"
        )
    return name


def _recipe(
    documents: dict[str, str],
    folder: RunFolder,
    data_dir: Path | None,
    data_path: Path | None,
    plugins: Sequence[Path],
) -> Recipe:
    """The study's recipe with what it names as it lies here."""
    for name, text in documents.items():
        write_atomically(folder.path / Path(name).name, text)
    values = parse_document(documents[RECIPE], "the study's recipe").value
    values["plugins"] = _plugins_here(values.get("plugins") or [], plugins)
    values["search"]["study"] = None
    if SPACE in documents:
        values["space"]["path"] = str(folder.path.resolve() / SPACE)
    if data_path is not None:
        if not values["data"].get("path"):
            raise InputError(
                f"--data: the recipe's data are the set {values['data']['name']!r}, which has no data.path; leave it "
                "out, or say with --data-dir where its file lies"
            )
        if not data_path.exists():
            raise InputError(f"--data: there is no {data_path}")
        values["data"]["path"] = str(data_path.resolve())
    elif (path := values["data"].get("path")) and not Path(path).exists():
        raise InputError(f"--data: the recipe's data are {path}, which is not here; say where they are")
    if data_dir is not None and not data_dir.is_dir():
        raise InputError(f"--data-dir: there is no folder {data_dir}")
    directory = data_dir or values["data"].get("directory")
    values["data"]["directory"] = str(Path(directory).resolve()) if directory and Path(directory).is_dir() else None
    load_plugins(values["plugins"])
    write_atomically(folder.recipe_path, dump_yaml(values))
    return Recipe.load(folder.recipe_path)


def _plugins_here(theirs: Sequence[str], files: Sequence[Path]) -> list[str]:
    """The recipe's plug-ins as they are found here. Modules are imported by name, as everywhere.

    A file is what ``--plugin`` names in its place, else one of ``--import`` of the same name, else the same path.
    """
    wanted = [name for name in theirs if not is_module(name)]
    if files and len(files) != len(wanted):
        names = ", ".join(Path(one).name for one in wanted) or "none"
        raise InputError(f"--plugin: the recipe has {len(wanted)} plugins ({names}), {len(files)} are given here")
    imported = {Path(one).name: one for one in given() if not is_module(one)}
    found = dict(zip(wanted, (str(Path(file).resolve()) for file in files), strict=False))
    for name in wanted if not files else ():
        found[name] = imported.get(Path(name).name, name)
        if not Path(found[name]).is_file():
            raise InputError(
                f"--plugin: the recipe's plug-in {name} is not here; name its file on this machine with --plugin or "
                "--import"
            )
    extra = [one for one in given() if one not in found.values() and one not in theirs]
    return [*(found.get(name, name) for name in theirs), *extra]


def _check_inputs(context: RunContext, url: Path | str) -> None:
    try:
        remark = context.folder.inputs.check(context.space, context.dataset, context.labels)
    except InputError as error:
        raise InputError(f"{url}: not what the study was begun with. {error}") from None
    if remark:
        context.progress.say(f"{url}: {remark}")
