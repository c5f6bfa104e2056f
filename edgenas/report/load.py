"""Reads a run folder into :class:`ReportData`. What cannot be read becomes a sentence, not an error."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edgenas.report.answers import read_answers
from edgenas.report.budgets import read_budgets
from edgenas.report.data import QUANTIZATIONS, SENSITIVITY, VALIDATION, ReportData
from edgenas.report.facts import settings_rows, version_rows
from edgenas.report.files import run_bundles, run_files
from edgenas.report.finalists import read_finalists
from edgenas.report.found_boxes import read_boxes
from edgenas.report.learning import read_learned
from edgenas.report.load_model import with_bundle, with_training
from edgenas.report.load_table import with_table
from edgenas.report.load_trials import metric_of, trial_pairs, trial_points, validation_pairs, with_kinds
from edgenas.report.masks import read_masks
from edgenas.report.mistakes import read_mistakes
from edgenas.report.quantizations import quantization_table
from edgenas.report.sensitivity import sensitivity_tables
from edgenas.report.supernet import SupernetData, read_supernet_data
from edgenas.run.answers import answers_path
from edgenas.run.folder import RunFolder
from edgenas.run.found_boxes import boxes_path
from edgenas.run.masks import masks_path
from edgenas.run.mistakes import mistakes_path
from edgenas.run.overhead import overhead_words
from edgenas.run.records import ChooseRecord, ExportRecord, FinalistsRecord, SearchRecord, StepRecords
from edgenas.spaces import EdgeNASError, InputError, Network
from edgenas.spaces.yaml_reading import read_document
from edgenas.study.evaluators import SHORT_TRAINING, judged_words
from edgenas.study.patience import StudyDamagedError

if TYPE_CHECKING:
    from edgenas.recipe.devices import BudgetedDevice
    from edgenas.recipe.recipe import Recipe
    from edgenas.study.store import StudyStore
    from edgenas.study.study import Trial

Value = TypeVar("Value")


def load_report_data(run_dir: Path | str) -> ReportData:
    """What a run folder holds, as far as the run has come; of several devices, the others are in ``others``.

    Raises InputError when the folder is no run (neither a recipe nor a study in it), and when its study is damaged.
    """
    reader = _Reader(RunFolder(run_dir))
    data = reader.read()
    several = range(1, 1 if reader.recipe is None else len(reader.recipe.budgeted_devices))
    others = [_Reader(reader.folder, number).read() for number in several]
    # What several miss is told once; only what one device alone lacks is of that device.
    missing = tuple(dict.fromkeys(sentence for one in (data, *others) for sentence in one.missing))
    return dataclasses.replace(data, others=tuple(others), missing=missing)


def _score_origin(recipe: Recipe) -> str:
    """What a trial's figure is of, for the provenance."""
    if recipe.is_fixed:
        return "on the validation split after the training"
    words = judged_words(recipe.search.evaluator)
    return f"on the validation split {words}" if recipe.search.evaluator == SHORT_TRAINING else words


class _Reader:
    """Reads the files of a run one after the other and keeps a list of what was missing or broken."""

    def __init__(self, folder: RunFolder, number: int = 0) -> None:
        if not folder.recipe_path.is_file() and not folder.study_path.is_file():
            raise InputError(
                f"{folder.path}: no run (neither recipe.yaml nor study.db in it); name a folder such as runs/NAME"
            )
        self.folder = folder
        self.number = number
        """Which of the run's devices it is read for."""
        self.recipe: Recipe | None = None
        self.missing: list[str] = []

    def read(self) -> ReportData:
        path = self.folder.path
        data = ReportData(name=path.resolve().name, run_path=str(path), versions=version_rows())
        parts = (self._recipe, self._state, self._study, self._learned, self._bundle, self._network, self._table)
        rest = (
            self._validation,
            self._training,
            self._quantizations,
            self._supernet,
            self._mistakes,
            self._answers,
            self._masks,
            self._boxes,
        )
        for part in (*parts, *rest, self._files):
            data = part(data)
        return dataclasses.replace(with_kinds(data), missing=tuple(self.missing))

    @property
    def device(self) -> BudgetedDevice:
        assert self.recipe is not None
        return self.recipe.budgeted_devices[self.number]

    def _cost(self, cost: str) -> str:
        """What the search calls a cost of this device."""
        return cost if self.recipe is None else self.recipe.cost_name(cost, self.device.name)

    def _try(self, what: str, read: Callable[[], Value]) -> Value | None:
        """The value; or None, and a sentence when the file behind it is broken."""
        try:
            return read()
        except StudyDamagedError:
            raise  # a report of wrong figures, or of none, would replace one of right ones
        except (EdgeNASError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            self.missing.append(f"{what} cannot be used: {error}")
            return None

    # Parts, in the order in which a run makes them -----------------------------------------------------------------

    def _of_task(self, recipe: Recipe) -> dict[str, Any]:
        """How the task speaks; one that is not here tells nothing."""
        from edgenas.study.evaluation import load_task

        try:
            task = load_task(recipe)
        except EdgeNASError:
            return {"example": "example"}
        return {"example": task.example, "errors": task.smaller_is_better}

    def _recipe(self, data: ReportData) -> ReportData:
        self.recipe = self._try("recipe.yaml", self.folder.read_recipe)
        if self.recipe is None:
            return data
        return dataclasses.replace(
            data,
            name=self.recipe.name,
            recipe_text=self.folder.recipe_path.read_text(encoding="utf-8"),
            settings=settings_rows(self.recipe),
            space=str(self.recipe.space.spec),
            **self._of_task(self.recipe),
            dataset=self.recipe.data.spec,
            device=self.device.name,
            budget_ms=self.device.limits.get("latency_ms"),
            budget_mj=self.device.limits.get("energy_mj"),
            is_fixed=self.recipe.is_fixed,
            judged=judged_words(self.recipe.search.evaluator),
            score_origin=_score_origin(self.recipe),
        )

    def _state(self, data: ReportData) -> ReportData:
        records = self._try("state.json", lambda: self.folder.records) or StepRecords()
        choice = records.of(ChooseRecord)
        read = self._try("state.json", lambda: read_budgets(self.folder.path, self.recipe))
        budgets, seconds = read if read is not None else ((), {})
        steps = records.seconds
        return dataclasses.replace(
            data,
            budgets=budgets,
            step_seconds=steps | {step: spent + steps.get(step, 0.0) for step, spent in seconds.items()},
            search_seconds=records.seconds.get("search"),
            search_overhead=overhead_words(records.of(SearchRecord).overhead),
            device_kind=choice.kinds.get(data.device) or choice.latency_kind or "unknown",
            budget_use=tuple(use.words for use in records.of(ExportRecord).budget_use.values()),
            best_trial=choice.trial,
            rejected=dict(choice.rejected),
            finalists=read_finalists(records.of(FinalistsRecord)),
        )

    def _study(self, data: ReportData) -> ReportData:
        if not self.folder.study_path.is_file():
            self.missing.append(f"The search has not begun. Continue with: {self._command()}")
            return data
        return self._try("study.db", lambda: self._read_study(data)) or data

    def _learned(self, data: ReportData) -> ReportData:
        if self.recipe is None:
            return data
        numbers = [trial.number for trial in data.trials if trial.state == "complete"]
        return dataclasses.replace(data, learned=read_learned(self.recipe, self.folder.trials_path, numbers))

    def _read_study(self, data: ReportData) -> ReportData:
        from edgenas.run.ranked import open_ranked

        study = open_ranked(self.folder)
        try:
            facts, limits = study.facts, study.facts.get("limits", {})
            study_trials = [trial for trial in study.trials if not trial.foreign]
            latency, energy = self._cost("latency_ms"), self._cost("energy_mj")
            trials = tuple(trial_points(study, limits, latency, energy))
            best = self._chosen(study, data)
            pairs = tuple(trial_pairs(study, latency, data.device_kind))
        finally:
            study.close()
        running = sum(trial.state in ("running", "waiting") for trial in trials)
        total = self.recipe.trials if self.recipe is not None else len(trials)
        if running or len(trials) < total:
            done = len(trials) - running
            self.missing.append(f"{done} of {total} trials are done. Continue with: {self._command()}")
        return dataclasses.replace(
            data,
            trials=trials,
            metric=metric_of(facts, study_trials),
            device=data.device if self.number else str(facts.get("device") or data.device),
            precision=str(facts.get("precision") or data.precision),
            limit_ms=limits.get(latency),
            limit_mj=limits.get(energy),
            best_trial=None if best is None else best.number,
            architecture="" if best is None else best.architecture,
            pairs=pairs,
        )

    @staticmethod
    def _chosen(study: StudyStore, data: ReportData) -> Trial | None:
        """The trial that was chosen to be shipped, else the best that was not rejected."""
        left = [trial for trial in study.ranking if trial.number not in data.rejected]
        return next((trial for trial in left if trial.number == data.best_trial), left[0] if left else None)

    def _bundle(self, data: ReportData) -> ReportData:
        from edgenas.export.bundle.bundle import read_metrics

        if not (self.folder.bundle_path / "metrics.json").is_file():
            if data.best_trial is not None:
                self.missing.append(
                    "There is no bundle yet, so nothing of the final model is trained or run on the device. "
                    "Make it with: "
                    f"edgenas export {self.folder.path} --trial best"
                )
            return data
        metrics = self._try("bundle/metrics.json", lambda: read_metrics(self.folder.bundle_path))
        if metrics is None:
            return data
        return self._try("bundle/metrics.json", lambda: with_bundle(data, metrics)) or data

    def _network(self, data: ReportData) -> ReportData:
        path = self.folder.bundle_path / "architecture.yaml"
        network = None
        if data.shipped is not None:
            network = self._try(
                "bundle/architecture.yaml", lambda: Network.from_dict(read_document(path, numbers=False).value)
            )
        elif data.architecture and self.recipe is not None:
            network = self._try("the chosen architecture", lambda: self._decode(data.architecture))
        return dataclasses.replace(data, network=network)

    def _decode(self, architecture: str) -> Network:
        from edgenas.study.evaluation import load_data, load_space, load_task

        assert self.recipe is not None
        task = load_task(self.recipe)
        space = load_space(self.recipe, task, load_data(self.recipe, task))
        return space.decode(space.parse(architecture))

    def _table(self, data: ReportData) -> ReportData:
        path = self.folder.table_path
        if self.recipe is not None:
            path = self.folder.device_table_path(self.device.name, self.number)
        if not path.is_file():
            if self.recipe is not None and self.recipe.is_fixed:
                return data  # it goes without one
            self.missing.append(f"There is no latency table yet. Measure it with: {self._command()}")
            return data
        return self._try(path.name, lambda: with_table(data, path)) or data

    def _validation(self, data: ReportData) -> ReportData:
        """What ``edgenas validate --json`` printed, when somebody put it into the run folder."""
        path = self.folder.path / VALIDATION
        if not path.is_file():
            return data
        pairs = self._try(VALIDATION, lambda: validation_pairs(path))
        return dataclasses.replace(data, pairs=(*(pairs or ()), *data.pairs))

    def _training(self, data: ReportData) -> ReportData:
        path = self.folder.trial_path(data.best_trial or 0) / "final" / "training.json"
        if data.best_trial is None or not path.is_file():
            return data
        return self._try(str(path), lambda: with_training(data, path)) or data

    def _quantizations(self, data: ReportData) -> ReportData:
        """What ``edgenas export RUN --compare`` and ``--sensitivity`` left in the run folder."""
        path, other = self.folder.path / QUANTIZATIONS, self.folder.path / SENSITIVITY
        if path.is_file():
            read = self._try(QUANTIZATIONS, lambda: quantization_table(json.loads(path.read_text(encoding="utf-8"))))
            data = data if read is None else dataclasses.replace(data, quantizations=read)
        if other.is_file():
            found = self._try(SENSITIVITY, lambda: sensitivity_tables(json.loads(other.read_text(encoding="utf-8"))))
            data = data if found is None else dataclasses.replace(data, sensitivity=found)
        return data

    def _supernet(self, data: ReportData) -> ReportData:
        """What the run folder holds of a supernet, of the algorithms that train one."""
        path = self.folder.path / "supernet"
        if not path.is_dir():
            return data
        limits = {} if data.limit_ms is None else {self._cost("latency_ms"): data.limit_ms}
        limits |= {} if data.limit_mj is None else {self._cost("energy_mj"): data.limit_mj}
        trained = frozenset(trial.architecture for trial in data.trials if trial.score is not None)

        def read_it() -> SupernetData | None:
            records = self.folder.records
            wanted = records.of(SearchRecord).limits or limits  # of all devices, once the search is done
            return read_supernet_data(self.folder, records, self._cost("latency_ms"), wanted, trained)

        read = self._try("supernet/", read_it)
        return dataclasses.replace(data, supernet=read)

    def _mistakes(self, data: ReportData) -> ReportData:
        """What the export of the shipped trial found on the test examples."""
        found = self._of_export(data, mistakes_path, read_mistakes)
        return data if found is None else dataclasses.replace(data, mistakes=found)

    def _answers(self, data: ReportData) -> ReportData:
        """What the export of the shipped trial answered to the test rows."""
        found = self._of_export(data, answers_path, read_answers)
        return data if found is None else dataclasses.replace(data, answers=found)

    def _masks(self, data: ReportData) -> ReportData:
        """What the export of the shipped trial saw in the test pictures."""
        found = self._of_export(data, masks_path, read_masks)
        return data if found is None else dataclasses.replace(data, masks=found)

    def _boxes(self, data: ReportData) -> ReportData:
        """What the export of the shipped trial found in the test pictures."""
        found = self._of_export(data, boxes_path, read_boxes)
        return data if found is None else dataclasses.replace(data, boxes=found)

    def _of_export(
        self, data: ReportData, place: Callable[[Path, str], Path], read: Callable[[Path, Mapping[str, str]], Value]
    ) -> Value | None:
        """What the export of the shipped trial left in a file of its own; None without one, or with a broken one."""
        if data.shipped is None or data.best_trial is None:
            return None
        path = place(self.folder.trial_path(data.best_trial), data.shipped.quantization)
        if not path.is_file():
            return None
        checksums = data.shipped.checksums
        return self._try(path.name, lambda: read(path, checksums))

    def _files(self, data: ReportData) -> ReportData:
        shipped = data.best_trial if data.shipped is not None else None
        return dataclasses.replace(data, files=run_files(self.folder), bundles=run_bundles(self.folder, shipped))

    def _command(self) -> str:
        return f"edgenas run {self.folder.recipe_path} --resume"
