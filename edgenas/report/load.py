"""Reads a run folder into :class:`ReportData`. What cannot be read becomes a sentence, not an error."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edgenas.export.figure import UNKNOWN, kind_of, origin
from edgenas.report.budgets import read_budgets
from edgenas.report.data import QUANTIZATIONS, VALIDATION, LatencyPair, ReportData, ShippedModel, TrialPoint
from edgenas.report.facts import (
    energy_origin,
    flat_rows,
    settings_rows,
    statistic_name,
    table_error,
    table_rows,
    version_rows,
)
from edgenas.report.files import run_bundles, run_files
from edgenas.report.finalists import read_finalists
from edgenas.report.learning import read_learned
from edgenas.report.mistakes import read_mistakes
from edgenas.report.quantizations import quantization_table
from edgenas.report.supernet import SupernetData, read_supernet_data
from edgenas.run.folder import RunFolder
from edgenas.run.mistakes import mistakes_path
from edgenas.run.overhead import overhead_words
from edgenas.run.records import ChooseRecord, ExportRecord, FinalistsRecord, SearchRecord, StepRecords
from edgenas.spaces import EdgeNASError, InputError, Network
from edgenas.spaces.yaml_reading import read_document
from edgenas.study.objectives import within
from edgenas.study.patience import StudyDamagedError

if TYPE_CHECKING:
    from edgenas.recipe.recipe import BudgetedDevice, Recipe
    from edgenas.study.store import StudyStore
    from edgenas.study.study import Trial

Value = TypeVar("Value")
#: What a training's history holds besides figures of merit.
_NO_CURVES = ("epoch", "step", "seconds", "learning_rate")


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
        rest = (self._validation, self._training, self._quantizations, self._supernet, self._mistakes, self._files)
        for part in (*parts, *rest):
            data = part(data)
        return dataclasses.replace(_with_kinds(data), missing=tuple(self.missing))

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
            dataset=self.recipe.data.spec,
            device=self.device.name,
            budget_ms=self.device.limits.get("latency_ms"),
            budget_mj=self.device.limits.get("energy_mj"),
            is_fixed=self.recipe.is_fixed,
            score_origin="on the validation split after the training" if self.recipe.is_fixed else data.score_origin,
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
            trials = tuple(_trial_points(study, limits, latency, energy))
            best = self._chosen(study, data)
            pairs = tuple(_trial_pairs(study, latency, data.device_kind))
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
            metric=_metric(facts, study_trials),
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
        return self._try("bundle/metrics.json", lambda: _with_bundle(data, metrics)) or data

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
        return self._try(path.name, lambda: _with_table(data, path)) or data

    def _validation(self, data: ReportData) -> ReportData:
        """What ``edgenas validate --json`` printed, when somebody put it into the run folder."""
        path = self.folder.path / VALIDATION
        if not path.is_file():
            return data
        pairs = self._try(VALIDATION, lambda: _validation_pairs(path))
        return dataclasses.replace(data, pairs=(*(pairs or ()), *data.pairs))

    def _training(self, data: ReportData) -> ReportData:
        path = self.folder.trial_path(data.best_trial or 0) / "final" / "training.json"
        if data.best_trial is None or not path.is_file():
            return data
        return self._try(str(path), lambda: _with_training(data, path)) or data

    def _quantizations(self, data: ReportData) -> ReportData:
        """What ``edgenas export RUN --compare`` left in the run folder."""
        path = self.folder.path / QUANTIZATIONS
        if not path.is_file():
            return data
        read = self._try(QUANTIZATIONS, lambda: quantization_table(json.loads(path.read_text(encoding="utf-8"))))
        return data if read is None else dataclasses.replace(data, quantizations=read)

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
        if data.shipped is None or data.best_trial is None:
            return data
        path = mistakes_path(self.folder.trial_path(data.best_trial), data.shipped.quantization)
        if not path.is_file():
            return data
        checksums = data.shipped.checksums
        return dataclasses.replace(data, mistakes=self._try(path.name, lambda: read_mistakes(path, checksums)))

    def _files(self, data: ReportData) -> ReportData:
        shipped = data.best_trial if data.shipped is not None else None
        return dataclasses.replace(data, files=run_files(self.folder), bundles=run_bundles(self.folder, shipped))

    def _command(self) -> str:
        return f"edgenas run {self.folder.recipe_path} --resume"


def _trial_points(study: StudyStore, limits: Mapping[str, float], latency: str, energy: str) -> list[TrialPoint]:
    return [
        TrialPoint(
            number=trial.number,
            architecture=trial.architecture,
            state=trial.state,
            score=trial.score,
            latency_ms=trial.predicted.get(latency),
            energy_mj=trial.predicted.get(energy),
            reward=trial.reward,
            feasible=within(trial.predicted, limits) if limits else None,
            seconds=trial.seconds,
            error=trial.error,
        )
        for trial in study.trials
        if not trial.foreign
    ]


def _trial_pairs(study: StudyStore, latency: str, kind: str) -> list[LatencyPair]:
    """Networks that were run untrained before one was chosen; predictions are of the fastest, quiet run."""
    fastest = latency.replace("latency_ms", "latency_min_ms")
    return [
        LatencyPair(f"trial {trial.number}", trial.predicted[latency], trial.measured[fastest], "trial", kind)
        for trial in study.trials
        if latency in trial.predicted and fastest in trial.measured
    ]


def _validation_pairs(path: Path) -> list[LatencyPair]:
    document = json.loads(path.read_text(encoding="utf-8"))
    rows, kind = document["rows"], str((document.get("provenance") or {}).get("measured_ms", "unknown"))
    return [
        LatencyPair(str(row["architecture"]), float(row["predicted_ms"]), float(row["measured_ms"]), "validation", kind)
        for row in rows
    ]


def _with_kinds(data: ReportData) -> ReportData:
    """Runs of earlier versions do not say of each pair how its latency is known: the same device, so the same way."""
    shipped = UNKNOWN if data.shipped is None else data.shipped.latency_kind
    kind = shipped if data.device_kind == UNKNOWN else data.device_kind
    pairs = tuple(dataclasses.replace(pair, kind=kind) if pair.kind == UNKNOWN else pair for pair in data.pairs)
    return dataclasses.replace(data, pairs=pairs)


def _with_bundle(data: ReportData, metrics: Mapping[str, Any]) -> ReportData:
    metric = str(metrics.get("metric", "top1"))
    scores = {kind: found[metric] for kind, found in _figures(metrics).items()}
    architecture = metrics.get("architecture") or data.architecture
    energy = (metrics.get("provenance", {}).get(data.device) or {}).get("energy") or {}
    shipped = ShippedModel(
        quantization=str(metrics["quantization"]),
        score_float=scores.get("float"),
        score_tflite=scores.get("tflite"),
        test_images=metrics.get("test_examples") or metrics["top1"].get("test_images"),
        size_bytes=metrics.get("size_bytes"),
        params=metrics.get("params"),
        macs=metrics.get("macs"),
        latency_kind=kind_of(metrics.get("provenance", {}).get(data.device)),
        latency_ms=_statistics(metrics.get("latency_ms", {}).get(data.device, {})),
        predicted_ms=metrics.get("predicted", {}).get(data.device, {}).get("latency_ms"),
        energy_mj=energy.get("energy_mj"),
        energy_kind=str(energy.get("kind") or ""),
        energy_meter=str(energy.get("meter") or ""),
        checksums={str(name): str(digest) for name, digest in (metrics.get("checksums") or {}).items()},
    )
    chosen = [trial.number for trial in data.trials if trial.architecture == architecture and trial.score is not None]
    return dataclasses.replace(
        data,
        shipped=shipped,
        architecture=architecture,
        best_trial=chosen[0] if chosen else data.best_trial,
        dataset=str(metrics.get("data", {}).get("name") or data.dataset),
        measurement_facts=flat_rows(metrics.get("provenance", {}).get(data.device, {})),
    )


def _figures(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    """Metrics by ``float`` and ``tflite``, also of bundles from before there were several tasks."""
    if "metrics" in metrics:
        return dict(metrics["metrics"])
    return {kind: {"top1": metrics["top1"][kind]} for kind in ("float", "tflite") if kind in metrics["top1"]}


def _validation_score(record: Mapping[str, Any]) -> float | None:
    if "metric" in record:
        return float(record["validation_metrics"][record["metric"]])
    return record.get("validation_top1")


def _metric(facts: Mapping[str, Any], trials: Sequence[Trial]) -> str:
    """The primary metric of a study, also of one that has no fact about it yet."""
    return str(facts.get("metric") or next((trial.metric for trial in trials), ""))


def _statistics(found: Mapping[str, Any]) -> dict[str, float]:
    """The statistics of a ``metrics.json``, with the quiet latency as one of them where it was measured."""
    quiet = found.get("quiet") or {}
    numbers = {name: value for name, value in found.items() if isinstance(value, (int, float))}
    return numbers | ({"quiet": quiet["quiet_ms"]} if quiet.get("quiet_ms") else {})


def _compared(data: ReportData, statistic: str) -> str:
    """What a prediction is compared with: the quiet latency, or the fastest run where there is none."""
    if statistic != "quiet_min":
        return "median"
    return "quiet" if data.shipped is not None and "quiet" in data.shipped.latency_ms else "min"


def _with_table(data: ReportData, path: Path) -> ReportData:
    from edgenas.latency.predict.predictor import Predictor
    from edgenas.latency.table.latency_table import LatencyTable

    table = LatencyTable.load(path)
    predictor = Predictor(table)
    calibration = tuple(
        LatencyPair(
            f"calibration network {number}, left out of the fit",
            predicted,
            measured,
            "calibration",
            table.networks_kind,
        )
        for number, (predicted, measured) in enumerate(predictor.calibration.pairs, 1)
    )
    data = dataclasses.replace(
        data,
        pairs=(*calibration, *data.pairs),
        table_facts=table_rows(table),
        table_error=table_error(table),
        latency_statistic=statistic_name(table.statistic),
        latency_origin=f"from a table {origin(table.provenance.kind, table.device)}",
        energy_origin="" if table.energy is None else f"from {energy_origin(table.energy, table.device)}",
        compared_statistic=_compared(data, table.statistic),
    )
    if data.network is None:
        return data
    prediction = predictor.predict(data.network)
    # The chosen trial was measured untrained as well: the same network, so only the shipped model counts.
    chosen = f"trial {data.best_trial}" if data.shipped is not None else None
    pairs = tuple(pair for pair in data.pairs if pair.label != chosen)
    measured = None if data.shipped is None else data.shipped.latency_ms.get(data.compared_statistic)
    if data.shipped is not None and measured is not None:
        predicted = data.shipped.predicted_ms or prediction.latency_ms
        pairs = (*pairs, LatencyPair("shipped model", predicted, measured, "shipped model", data.shipped.latency_kind))
    return dataclasses.replace(
        data, node_latency_ms=prediction.per_node, fixed_latency_ms=prediction.fixed_ms, pairs=pairs
    )


def _with_training(data: ReportData, path: Path) -> ReportData:
    record = json.loads(path.read_text(encoding="utf-8"))
    history: dict[str, list[tuple[int, float]]] = {}
    for epoch in record["history"]:
        for name, value in epoch.items():
            if name not in _NO_CURVES and value is not None:
                # The task's metric is measured on held-out images, the loss on those that are learned.
                title = f"training {name.replace('_', ' ')}" if name.startswith("loss") else f"validation {name}"
                history.setdefault(title, []).append((int(epoch["epoch"]), float(value)))
    return dataclasses.replace(
        data,
        training_history={name: tuple(points) for name, points in history.items()},
        final_validation_score=_validation_score(record),
        validation_images=record.get("validation_images"),
    )
