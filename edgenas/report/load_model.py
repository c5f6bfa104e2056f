"""What a report shows of the model: how it was trained, and what its bundle says."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgenas.export.figure import kind_of
from edgenas.report.data import ReportData, ShippedModel
from edgenas.report.facts import flat_rows
from edgenas.report.text import milliseconds

#: What a training's history holds besides figures of merit.
_NO_CURVES = ("epoch", "step", "seconds", "learning_rate")


def with_bundle(data: ReportData, metrics: Mapping[str, Any]) -> ReportData:
    metric = str(metrics.get("metric", "top1"))
    scores = {kind: found[metric] for kind, found in _figures(metrics).items()}
    architecture = metrics.get("architecture") or data.architecture
    energy = (metrics.get("provenance", {}).get(data.device) or {}).get("energy") or {}
    predicted = metrics.get("predicted", {}).get(data.device, {})
    shipped = ShippedModel(
        quantization=str(metrics["quantization"]),
        score_float=scores.get("float"),
        score_tflite=scores.get("tflite"),
        test_images=metrics.get("test_examples") or metrics["top1"].get("test_images"),
        size_bytes=metrics.get("size_bytes"),
        params=metrics.get("params"),
        macs=metrics.get("macs"),
        latency_kind=kind_of(metrics.get("provenance", {}).get(data.device)),
        latency_ms=statistics(metrics.get("latency_ms", {}).get(data.device, {})),
        predicted_ms=predicted.get("latency_ms"),
        predicted_note=_post_processing(predicted),
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


def _post_processing(predicted: Mapping[str, Any]) -> str:
    if "post_processing_ms" not in predicted:
        return ""
    tail_ms = predicted["post_processing_ms"]
    return "without post-processing" if tail_ms is None else f"{milliseconds(tail_ms)} of it post-processing"


def _figures(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    """Metrics by ``float`` and ``tflite``, also of bundles from before there were several tasks."""
    if "metrics" in metrics:
        return dict(metrics["metrics"])
    return {kind: {"top1": metrics["top1"][kind]} for kind in ("float", "tflite") if kind in metrics["top1"]}


def statistics(found: Mapping[str, Any]) -> dict[str, float]:
    """The statistics of a ``metrics.json``, with the quiet latency as one of them where it was measured."""
    quiet = found.get("quiet") or {}
    numbers = {name: value for name, value in found.items() if isinstance(value, (int, float))}
    return numbers | ({"quiet": quiet["quiet_ms"]} if quiet.get("quiet_ms") else {})


def with_training(data: ReportData, path: Path) -> ReportData:
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


def _validation_score(record: Mapping[str, Any]) -> float | None:
    if "metric" in record:
        return float(record["validation_metrics"][record["metric"]])
    return record.get("validation_top1")
