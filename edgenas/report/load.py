"""Reads a run folder into :class:`ReportData`. What cannot be read becomes a sentence, not an error."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from edgenas.report.data import LatencyPair, ReportData, Rows, ShippedModel, TrialPoint
from spaces import EdgeNASError, InputError, Network

Value = TypeVar("Value")


def load_report_data(run_dir: Path | str) -> ReportData:
    """What a run folder holds, as far as the run has come.

    Raises InputError when the folder is no run: neither a recipe nor a study in it.
    """
    return _Reader(Path(run_dir)).read()


class _Reader:
    """Reads the files of a run one by one and keeps a list of what was missing or broken."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "recipe.yaml").is_file() and not (folder / "study.db").is_file():
            raise InputError(
                f"{folder}: no run (neither recipe.yaml nor study.db in it); name a folder such as runs/NAME"
            )
        self.folder = folder
        self.missing: list[str] = []

    def read(self) -> ReportData:
        data = ReportData(name=self.folder.resolve().name, run_path=str(self.folder), versions=_versions())
        for step in (self._recipe, self._study, self._bundle, self._network, self._table, self._training):
            data = step(data)
        return dataclasses.replace(data, missing=tuple(self.missing))

    def _try(self, what: str, read: Callable[[], Value]) -> Value | None:
        """The value, or None and a sentence when the file behind it is broken."""
        try:
            return read()
        except (EdgeNASError, OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            self.missing.append(f"{what} cannot be read: {error}")
            return None

    # Steps, in the order in which a run makes the files ------------------------------------------------------------

    def _recipe(self, data: ReportData) -> ReportData:
        path = self.folder / "recipe.yaml"
        text = self._try("recipe.yaml", path.read_text) if path.is_file() else None
        recipe = self._try("recipe.yaml", lambda: yaml.safe_load(text)) if text is not None else None
        if not isinstance(recipe, Mapping):
            self.missing.append("There is no recipe in this folder, so settings and budget are unknown.")
            return data
        settings = tuple(_flatten(recipe))
        known = dict(settings)
        budget = known.get("budget.latency_ms")
        return dataclasses.replace(
            data,
            name=str(recipe.get("name") or data.name),
            recipe_text=text or "",
            settings=settings,
            space=known.get("space") or known.get("space.name", ""),
            dataset=known.get("data.name") or known.get("data", ""),
            device=known.get("device") or known.get("devices", ""),
            budget_ms=None if budget is None else float(budget),
        )

    def _study(self, data: ReportData) -> ReportData:
        path = self.folder / "study.db"
        if not path.is_file():
            self.missing.append(f"No search has run yet; `edgenas run {self.folder}/recipe.yaml --resume` starts it.")
            return data
        trials = self._try("study.db", lambda: _read_trials(path, data.budget_ms))
        if trials is None:
            return data
        seconds = [trial.seconds for trial in trials if trial.seconds is not None]
        running = sum(trial.state == "running" for trial in trials)
        if running:
            self.missing.append(f"{running} of {len(trials)} trials were still running when this report was written.")
        best = _best(trials)
        if best is None:
            self.missing.append("No trial has finished within the budget yet, so there is no network to show.")
        return dataclasses.replace(
            data,
            trials=trials,
            best_trial=None if best is None else best.number,
            architecture="" if best is None else best.architecture,
            search_seconds=sum(seconds) if seconds else None,
        )

    def _bundle(self, data: ReportData) -> ReportData:
        from export.bundle import read_metrics

        folder = self.folder / "bundle"
        if not (folder / "metrics.json").is_file():
            self.missing.append(
                f"There is no bundle yet, so nothing was measured on the final model; `edgenas export {self.folder} "
                "--trial best` trains, quantizes and measures it."
            )
            return data
        metrics = self._try("bundle/metrics.json", lambda: read_metrics(folder))
        shipped = self._try("bundle/metrics.json", lambda: _shipped(metrics or {}, data.device)) if metrics else None
        if metrics is None or shipped is None:
            return data
        origin = metrics.get("provenance", {}).get(data.device) or {}
        return dataclasses.replace(
            data,
            shipped=shipped,
            provenance=tuple(_flatten(origin)),
            architecture=str(metrics.get("architecture") or data.architecture),
        )

    def _network(self, data: ReportData) -> ReportData:
        path = self.folder / "bundle" / "architecture.yaml"
        if data.shipped is not None and path.is_file():
            network = self._try("bundle/architecture.yaml", lambda: Network.from_dict(yaml.safe_load(path.read_text())))
        elif data.architecture:
            network = self._try("the architecture", lambda: _decode(data))
        else:
            network = None
        return dataclasses.replace(data, network=network)

    def _table(self, data: ReportData) -> ReportData:
        path = self.folder / "table.csv"
        if not path.is_file():
            self.missing.append("There is no latency table in this folder, so blocks have no predicted latency.")
            return data
        return data

    def _training(self, data: ReportData) -> ReportData:
        return data


def _read_trials(path: Path, budget_ms: float | None) -> tuple[TrialPoint, ...]:
    from edgenas.study import Study

    study = Study.open(path)
    try:
        return tuple(
            TrialPoint(
                number=trial.number,
                architecture=trial.architecture,
                state=trial.state,
                top1=trial.top1,
                latency_ms=trial.predicted.get("latency_ms"),
                reward=trial.reward,
                feasible=_within(trial.predicted.get("latency_ms"), budget_ms),
                seconds=trial.seconds,
                error=trial.error,
            )
            for trial in study.trials
        )
    finally:
        study.close()


def _within(latency_ms: float | None, budget_ms: float | None) -> bool | None:
    return None if latency_ms is None or budget_ms is None else latency_ms <= budget_ms


def _best(trials: tuple[TrialPoint, ...]) -> TrialPoint | None:
    finished = [trial for trial in trials if trial.reward is not None and trial.feasible is not False]
    return min(finished, key=lambda trial: (-(trial.reward or 0.0), trial.number), default=None)


def _shipped(metrics: Mapping[str, Any], device: str) -> ShippedModel:
    top1 = metrics["top1"]
    return ShippedModel(
        quantization=str(metrics["quantization"]),
        top1_float=top1.get("float"),
        top1_tflite=top1.get("tflite"),
        test_images=top1.get("test_images"),
        size_bytes=metrics.get("size_bytes"),
        params=metrics.get("params"),
        macs=metrics.get("macs"),
        latency_ms=metrics.get("latency_ms", {}).get(device, {}),
        predicted_ms=metrics.get("predicted", {}).get(device, {}).get("latency_ms"),
    )


def _decode(data: ReportData) -> Network:
    from spaces.space import SearchSpace

    space = SearchSpace.load(data.space)
    return space.decode(space.parse(data.architecture))


def _flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """``{"a": {"b": 1}}`` as ``[("a.b", "1")]``; what is not set is left out."""
    rows = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += _flatten(value, f"{prefix}{key}.")
        elif value is not None and value != []:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            rows.append((f"{prefix}{key}", text))
    return rows


def _versions() -> Rows:
    names = ("edgenas", "tensorflow", "keras", "ai-edge-litert", "numpy", "optuna")
    rows = [("python", platform.python_version())]
    for name in names:
        try:
            rows.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return tuple(rows)
