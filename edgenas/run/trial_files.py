"""What the evaluation of a trial leaves beside figures, its weights above all: kept for the best trials only.

An evaluation writes into ``trials/N/files``. Where the recipe names a store, the files of a trial go there as one
archive, and the run's folder gets those of the best trials when the search is done.
"""

from __future__ import annotations

import contextlib
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.spaces.errors import EdgeNASError, InputError
from edgenas.study.artifacts import ArtifactPlace, open_place
from edgenas.study.evaluation import WEIGHTS
from edgenas.study.feed import Feed
from edgenas.study.store import StudyStore
from edgenas.study.trial import Trial

if TYPE_CHECKING:
    from edgenas.run.context import RunContext

#: Fact of a study that tells its archives from those of another one in the same store.
ID = "id"


def files_path(context: RunContext, number: int) -> Path:
    """Folder of what the evaluation of a trial left."""
    return context.folder.trial_path(number) / "files"


class TrialFiles:
    """Files of the trials of a run, or of a worker's share of it; ``store`` is that of the recipe by default.

    Raises InputError when the store of the recipe cannot be written.
    """

    def __init__(self, context: RunContext, study: StudyStore, store: str | None = None) -> None:
        self._context = context
        self._settings = context.recipe.search.artifacts
        self._study_id = str(study.facts.get(ID, ""))
        self._begun = False
        self._place: ArtifactPlace | None = None
        store = store or self._settings.store
        if store is not None and self._settings.trials:
            self._place = open_place(store)

    def check(self) -> None:
        """Raises InputError when the store cannot be written."""
        if self._place is not None:
            self._place.check()

    @property
    def places(self) -> int:
        """Files of so many trials are kept."""
        return self._settings.trials

    def folder(self, number: int) -> str:
        """Where an evaluation may leave files; empty when none are kept."""
        return str(files_path(self._context, number)) if self._settings.trials else ""

    def settle(self, trial: Trial, feed: Feed) -> None:
        """Keeps what an ended trial left if it is among the best now, and drops that of those which no longer are.

        What cannot be kept is told: the trial itself is safe in the study.
        """
        try:
            if trial.number in (leading.number for leading in feed.leading):
                self._keep(trial.number)
            else:
                self._drop_here(trial.number)
            fallen = feed.take_fallen()
            # What fell before this process began was dropped then; the last one fell because of this trial.
            for number in fallen if self._begun else fallen[-1:]:
                self.drop(number)
            self._begun = True
        except (EdgeNASError, OSError) as error:
            self._context.progress.say(f"  trial {trial.number}: its files are not kept: {error}")

    def drop(self, number: int) -> None:
        """Forgets the files of a trial."""
        self._drop_here(number)
        if self._place is not None:
            self._place.remove(self._name(number))

    def fetch(self, numbers: Iterable[int]) -> list[int]:
        """Brings files of trials here, from the store; returns the numbers of those that are here."""
        found = []
        for number in numbers:
            path = files_path(self._context, number)
            if self._place is not None and not path.is_dir():
                try:
                    self._unpack(self._place, number, path)
                except (EdgeNASError, OSError, zipfile.BadZipFile) as error:
                    self._context.progress.say(f"  trial {number}: its files cannot be had: {error}")
            if path.is_dir():
                found.append(number)
        return found

    def _name(self, number: int) -> str:
        return f"{self._context.recipe.name}-{self._study_id}-trial-{number}.zip"

    def _drop_here(self, number: int) -> None:
        shutil.rmtree(files_path(self._context, number), ignore_errors=True)

    def _keep(self, number: int) -> None:
        path = files_path(self._context, number)
        if not path.is_dir():
            return
        megabytes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6
        if megabytes > self._settings.largest_mb:
            self._drop_here(number)
            self._context.progress.say(
                f"  trial {number}: its files have {megabytes:.0f} MB, over search.artifacts.largest_mb "
                f"({self._settings.largest_mb:g}); they are not kept"
            )
        elif self._place is not None:
            archive = path.with_name("files.zip")
            try:
                with zipfile.ZipFile(archive, "w") as packed:  # weights do not get smaller
                    for file in sorted(path.rglob("*")):
                        if file.is_file():
                            packed.write(file, file.relative_to(path).as_posix())
                self._place.put(self._name(number), archive)
            finally:
                archive.unlink(missing_ok=True)
            self._drop_here(number)

    def _unpack(self, place: ArtifactPlace, number: int, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        archive, partial = path.with_name("files.zip"), path.with_name(".files")
        try:
            if place.get(self._name(number), archive):
                with zipfile.ZipFile(archive) as packed:
                    packed.extractall(partial)  # which leaves no name that would lead outside
                partial.rename(path)
        finally:
            archive.unlink(missing_ok=True)
            shutil.rmtree(partial, ignore_errors=True)


def short_weights(context: RunContext, number: int) -> Mapping[str, np.ndarray] | None:
    """Weights after the short training of a trial, by name of the variable; None where they were not kept.

    Raises InputError when the file is damaged.
    """
    path = files_path(context, number) / WEIGHTS
    if not path.is_file():
        return None
    from edgenas.export.keras.builder import build_keras
    from edgenas.training.initial import weights_by_name

    with contextlib.closing(context.open_study()) as study:
        architecture = study.trial(number).architecture
    model: Any = build_keras(context.space.decode(context.space.parse(architecture)))
    try:
        model.load_weights(path)
    except Exception as error:  # whatever Keras and HDF5 say of a damaged file
        words = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: cannot be read as weights ({words}); delete it, and training begins anew") from None
    return weights_by_name(model)
