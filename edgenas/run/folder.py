"""The run folder: where everything of a run is, who may work in it, and how far it has come."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from edgenas.export.files import write_atomically
from edgenas.recipe.recipe import Recipe
from edgenas.run.fingerprints import RunInputs, relative_to_run, with_found_paths
from edgenas.run.log import RunLog
from edgenas.run.record_values import damaged
from edgenas.run.records import StepRecord, StepRecords, StepType
from edgenas.spaces.errors import InputError, WorkError

#: Keys of a recipe that may differ when a run is continued. So may the files that it names: where things lie is no part
#: of what it does, and what is in them is compared by fingerprint.
FREE_KEYS = ("name", "output", "search.time_limit_seconds", "plugins")
#: What a folder holds before anything in it took long: a table is a copy of the device's.
_CHEAP = (".lock", "recipe.yaml", "inputs.json", "state.json", "log.jsonl", "table.csv")


class RunFolder:
    """Paths and state of one run. As a context manager it is locked against other processes.

    ``state.json`` holds ``{"format": 1, "steps": {NAME: {"done": bool, ...}}}``: what each step found, so that the
    next one, the report, or a resumed run need not do it again; :mod:`edgenas.run.records` has a type for each.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.log = RunLog(self.path / "log.jsonl")
        self.inputs = RunInputs(self)
        self._lock: int | None = None

    @property
    def recipe_path(self) -> Path:
        return self.path / "recipe.yaml"

    @property
    def study_path(self) -> Path:
        return self.path / "study.db"

    @property
    def table_path(self) -> Path:
        return self.path / "table.csv"

    def device_table_path(self, device: str, number: int) -> Path:
        """The table of one of several devices, by its place among them: ``table.csv`` is that of the first."""
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", device)
        return self.table_path if number == 0 else self.path / f"table-{name}.csv"

    @property
    def bundle_path(self) -> Path:
        """The bundle of the trial that the run chose."""
        return self.path / "bundle"

    def trial_bundle_path(self, number: int) -> Path:
        """The bundle of a trial that the user chose."""
        return self.path / "bundles" / f"trial-{number}"

    def trial_path(self, number: int) -> Path:
        """Folder of what the evaluation and training of a trial leave."""
        return self.path / "trials" / str(number)

    # State ---------------------------------------------------------------------------------------------------------

    @property
    def records(self) -> StepRecords:
        """What all steps have found. Raises InputError when ``state.json`` is damaged."""
        return self._read_state()[1]

    def read(self, kind: type[StepType]) -> StepType:
        """What a step has found so far; a record without anything when it has not begun."""
        return self.records.of(kind)

    def write(self, record: StepRecord) -> None:
        """Replaces a step's record, whole or not at all."""
        state = self._read_state()[0]
        state["steps"][record.step] = record.to_json()
        write_atomically(self.path / "state.json", json.dumps(state, indent=1) + "\n")

    def _read_state(self) -> tuple[dict[str, Any], StepRecords]:
        path = self.path / "state.json"
        if not path.is_file():
            return {"format": 1, "steps": {}}, StepRecords()
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            if state["format"] != 1:
                damaged("format", state["format"], "1")
            return state, StepRecords.from_json(state["steps"])
        except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
            raise InputError(
                f"{path}: not the state of a run ({error}); nothing was changed. Delete it and continue with --resume: "
                "the steps are gone through again, and what their files hold is not repeated"
            ) from None

    # Opening -------------------------------------------------------------------------------------------------------

    def prepare(self, recipe: Recipe, *, resume: bool) -> bool:
        """Makes the folder for a recipe, or checks that it continues the same one; True when there was a run.

        Raises InputError when there is something else, a run but no ``resume``, or a run of another recipe.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: is a file; a run needs a folder")
        if self.recipe_path.is_file():
            if not resume:
                raise InputError(
                    f"{self.path}: there is a run in this folder already; continue it with --resume, choose another "
                    "name or --output, or delete the folder"
                )
            self._check_same(recipe)
            return True
        others = [path.name for path in self.path.iterdir() if path.name != ".lock"] if self.path.is_dir() else []
        if others:
            raise InputError(f"{self.path}: holds other things and no run ({others[0]}); choose another folder")
        write_atomically(self.recipe_path, relative_to_run(recipe, self.path).to_yaml())
        return False

    def remove_if_cheap(self) -> bool:
        """Takes a folder away again that holds nothing that took long; True when it is gone.

        Only files that every run begins with are removed, one by one: a trial, a study or anything unknown keeps the
        folder as it is.
        """
        present = list(self.path.iterdir()) if self.path.is_dir() else []
        if any(path.is_dir() or not (path.name in _CHEAP or path.match("table-*.csv")) for path in present):
            return False
        with contextlib.suppress(OSError):
            for path in present:
                path.unlink()
            self.path.rmdir()
        return not self.path.exists()

    def read_recipe(self) -> Recipe:
        """The recipe of this run. Raises InputError when the folder is no run."""
        if not self.recipe_path.is_file():
            raise InputError(f"{self.path}: no run (there is no recipe.yaml in it); name a folder such as runs/NAME")
        recipe = Recipe.load(self.recipe_path, resolve=False)
        return with_found_paths(recipe, self.path, self.inputs.read())

    def _check_same(self, recipe: Recipe) -> None:
        before = self.read_recipe()
        old, new = (flat(one.model_dump(mode="json")) for one in (before, recipe))
        free = {*FREE_KEYS, *before.files, *recipe.files}
        if before.search.study and recipe.search.study:  # its server may have moved; the study says whose it is
            free.add("search.study")
        if not self.inputs.path.is_file():  # a run of an older version: only a path that is gone may be another
            free -= {key for key, file in before.files.items() if Path(file).exists()}
        changed = [key for key in sorted(old | new) if old.get(key) != new.get(key) and key not in free]
        if changed:
            shown = "; ".join(f"{key}: was {old.get(key)!r}, now {new.get(key)!r}" for key in changed)
            raise InputError(
                f"{self.path}: the recipe has changed since this run began ({shown}); undo that to continue the run, "
                "or start another with a new name"
            )

    # Lock ----------------------------------------------------------------------------------------------------------

    def __enter__(self) -> RunFolder:
        import fcntl

        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be used as a run's folder ({error.strerror})") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            self._lock = None
            raise WorkError(f"{self.path}: another process works on this run; wait for it, or end it first") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` as ``{"a.b": 1}``."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            value = {str(number): one for number, one in enumerate(value)}
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
