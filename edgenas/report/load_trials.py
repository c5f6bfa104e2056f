"""What a report shows of a study: its trials, and the networks that were predicted and measured."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.export.figure import UNKNOWN
from edgenas.report.data import LatencyPair, ReportData, TrialPoint
from edgenas.study.objectives import within

if TYPE_CHECKING:
    from edgenas.study.store import StudyStore
    from edgenas.study.study import Trial


def trial_points(study: StudyStore, limits: Mapping[str, float], latency: str, energy: str) -> list[TrialPoint]:
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


def metric_of(facts: Mapping[str, Any], trials: Sequence[Trial]) -> str:
    """The primary metric of a study, also of one that has no fact about it yet."""
    return str(facts.get("metric") or next((trial.metric for trial in trials), ""))


def trial_pairs(study: StudyStore, latency: str, kind: str) -> list[LatencyPair]:
    """Networks that were run untrained before one was chosen; predictions are of the fastest, quiet run."""
    fastest = latency.replace("latency_ms", "latency_min_ms")
    return [
        LatencyPair(f"trial {trial.number}", trial.predicted[latency], trial.measured[fastest], "trial", kind)
        for trial in study.trials
        if latency in trial.predicted and fastest in trial.measured
    ]


def validation_pairs(path: Path) -> list[LatencyPair]:
    document = json.loads(path.read_text(encoding="utf-8"))
    rows, kind = document["rows"], str((document.get("provenance") or {}).get("measured_ms", "unknown"))
    return [
        LatencyPair(str(row["architecture"]), float(row["predicted_ms"]), float(row["measured_ms"]), "validation", kind)
        for row in rows
    ]


def with_kinds(data: ReportData) -> ReportData:
    """Runs of earlier versions do not say of each pair how its latency is known: the same device, so the same way."""
    shipped = UNKNOWN if data.shipped is None else data.shipped.latency_kind
    kind = shipped if data.device_kind == UNKNOWN else data.device_kind
    pairs = tuple(dataclasses.replace(pair, kind=kind) if pair.kind == UNKNOWN else pair for pair in data.pairs)
    return dataclasses.replace(data, pairs=pairs)
