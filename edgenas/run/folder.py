"""The run folder: where everything of a run is, who may work in it, and how far it has come."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from edgenas.export.files import file_name, write_atomically
from edgenas.recipe.recipe import Recipe
from edgenas.run.changes import changes_between, refuse
from edgenas.run.fingerprints import RunInputs, relative_to_run, with_found_paths
from edgenas.run.log import RunLog
from edgenas.run.record_values import damaged, mapping
from edgenas.run.records import PER_BUDGET, StepRecord, StepRecords, StepType
from edgenas.spaces.errors import InputError, WorkError
from edgenas.study.patience import say_on_stderr

#: What a folder holds before anything in it took long: a table is a copy of the device's.
_CHEAP = (".lock", "recipe.yaml", "inputs.json", "state.json", "log.jsonl", "table.csv")


class RunFolder:
    """Paths and state of one run. As a context manager it is locked against other processes.

    ``state.json`` holds ``{"format": 1, "steps": {NAME: {"done": bool, ...}}}``: what each step found, so that the
    next one, the report, or a resumed run need not do it again; :mod:`edgenas.run.records` has a type for each.

    Of several budgets, the largest one's steps stand there, and those of another under ``budgets.NAME``; ``budget``
    names the one whose view of the run this is.
    """

    def __init__(self, path: Path | str, budget: str = "") -> None:
        self.path = Path(path)
        self.budget = budget
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
        name = file_name(device)
        return self.table_path if number == 0 else self.path / f"table-{name}.csv"

    @property
    def bundle_path(self) -> Path:
        """The bundle of the trial that the run chose."""
        return self.budget_bundle_path(self.budget) if self.budget else self.path / "bundle"

    def budget_bundle_path(self, budget: str) -> Path:
        """The bundle for one of several budgets."""
        return self.path / "bundles" / budget

    def trial_bundle_path(self, number: int) -> Path:
        """The bundle of a trial that the user chose."""
        return self.path / "bundles" / f"trial-{number}"

    @property
    def trials_path(self) -> Path:
        """Folder of all trials' folders."""
        return self.path / "trials"

    def trial_path(self, number: int) -> Path:
        """Folder of what the evaluation and training of a trial leave."""
        return self.trials_path / str(number)

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
        steps = state["steps"]
        if self.budget and record.step in PER_BUDGET:
            steps = state.setdefault("budgets", {}).setdefault(self.budget, {})
        steps[record.step] = record.to_json()
        write_atomically(self.path / "state.json", json.dumps(state, indent=1) + "\n")

    def _read_state(self) -> tuple[dict[str, Any], StepRecords]:
        path = self.path / "state.json"
        if not path.is_file():
            return {"format": 1, "steps": {}}, StepRecords()
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            if state["format"] != 1:
                damaged("format", state["format"], "1")
            return state, StepRecords.from_json(self._steps(state))
        except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
            raise InputError(
                f"{path}: not the state of a run ({error}); nothing was changed. Delete it and continue with --resume: "
                "the steps are gone through again, and what their files hold is not repeated"
            ) from None

    def _steps(self, state: dict[str, Any]) -> dict[str, Any]:
        """The steps as this view has them."""
        own = {
            name: mapping(f"budgets.{name}", steps)
            for name, steps in mapping("budgets", state.get("budgets", {})).items()
        }
        for name, steps in own.items():
            StepRecords.from_json(steps, f"budgets.{name}")
        steps = dict(mapping("steps", state["steps"]))
        if not self.budget:
            return steps
        return {name: facts for name, facts in steps.items() if name not in PER_BUDGET} | dict(own.get(self.budget, {}))

    # Opening -------------------------------------------------------------------------------------------------------

    def prepare(self, recipe: Recipe, *, resume: bool) -> bool:
        """Makes the folder for a recipe, or checks that it continues the same one; True when there was a run.

        Raises InputError when there is something else, a run but no ``resume``, or a run whose recipe differs in a key
        that may not change.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: is a file; a run needs a folder")
        if self.recipe_path.is_file():
            if not resume:
                raise InputError(
                    f"{self.path}: there is a run in this folder already; continue it with --resume, choose another "
                    "name or --output, or delete the folder"
                )
            before = self.accepted_recipe()
            compared = self.inputs.path.is_file()
            refuse(self.path, changes_between(before, recipe), before, recipe, compared=compared)
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

    def accepted_recipe(self) -> Recipe:
        """The recipe that everything in this run was made with: ``recipe.yaml`` itself may have been edited since."""
        known = self.inputs.read() or {}
        text = known.get("recipe")
        if not isinstance(text, str):
            return self.read_recipe()
        return with_found_paths(Recipe.parse(text, str(self.inputs.path), self.path), self.path, known)

    def accept(self, recipe: Recipe) -> None:
        """Makes a recipe that of the run, in ``recipe.yaml`` and in ``inputs.json``; each whole or not at all."""
        text = relative_to_run(recipe, self.path).to_yaml()
        if self.read_recipe() != recipe:
            write_atomically(self.recipe_path, text)
        self.inputs.accept(text)

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
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                say_on_stderr(
                    f"{self.path}: cannot be locked ({error.strerror}): its file system has no locks. See that no "
                    "other process works on this run"
                )
                return self
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
