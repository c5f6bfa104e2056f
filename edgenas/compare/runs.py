"""Two or more runs beside each other: their recipes' differences, what they found, and what they ship."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.report.pareto import pareto_front
from edgenas.run.changes import flat
from edgenas.run.summary import RunSummary, is_run, shipped_facts, summarise
from edgenas.spaces.errors import InputError

#: Keys that name where things lie: they say nothing about what a run does.
_PLACES = ("name", "output", "data.path", "data.directory", "space.path", "plugins")


def compare_runs(folders: Sequence[Path]) -> dict[str, Any]:
    """The JSON of ``edgenas compare RUN RUN ...``.

    ``{"runs": [{..., "front": [{"trial", "architecture", "score", "latency_ms"}]}], "differences": [{"key", "values"}],
    "same": {"data", "space", "metric", "device"}}``; a run is as in ``edgenas runs --json``, and ``same`` says what
    makes the figures comparable (None where it is not known).

    Raises InputError when a folder is no run.
    """
    for folder in folders:
        if not is_run(folder):
            raise InputError(f"{folder}: no run (there is none of study.db, inputs.json, state.json in it)")
    runs = [summarise(folder) for folder in folders]
    return {
        "runs": [_facts(run) for run in runs],
        "differences": _differences(runs),
        "same": {
            "data": _same([_fingerprint(run, "data") for run in runs]),
            "space": _same([_fingerprint(run, "space") for run in runs]),
            "metric": _same([run.ranking[0].metric if run.ranking else None for run in runs]),
            "device": _same([run.devices or None for run in runs]),
        },
    }


def _facts(run: RunSummary) -> dict[str, Any]:
    return run.to_json() | {
        "shipped": _shipped(run),
        "front": [
            {
                "trial": trial.number,
                "architecture": trial.architecture,
                "score": trial.score,
                "latency_ms": trial.predicted[_cost(run)],
                "provenance": "predicted",
            }
            for trial in _front(run)
        ],
    }


def _shipped(run: RunSummary) -> dict[str, Any] | None:
    """The record of the run, with what only its bundle tells."""
    from edgenas.run.records import ExportRecord

    facts = shipped_facts(run.records.of(ExportRecord))
    if facts is None:
        return None
    metrics: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        metrics = json.loads((run.path / "bundle" / "metrics.json").read_bytes())
    predicted = metrics.get("predicted", {}).get(run.devices[0] if run.devices else "", {})
    return facts | {
        "predicted_ms": predicted.get("latency_ms"),
        "quantization": metrics.get("quantization"),
        "test_examples": metrics.get("test_examples"),
        "params": metrics.get("params"),
        "macs": metrics.get("macs"),
    }


def _cost(run: RunSummary) -> str:
    """What the search calls the latency on the run's first device."""
    return "latency_ms" if len(run.devices) < 2 else f"latency_ms@{run.devices[0]}"


def _front(run: RunSummary) -> list[Any]:
    """The finished trials within the budget that no other one beats, cheapest first."""
    cost = _cost(run)
    trials = [trial for trial in run.ranking if cost in trial.predicted and trial.score is not None]
    costs = np.array([trial.predicted[cost] for trial in trials])
    scores = np.array([trial.score for trial in trials], float)
    front = [trial for trial, on_front in zip(trials, pareto_front(costs, scores), strict=True) if on_front]
    return sorted(front, key=lambda trial: trial.predicted[cost])


def _differences(runs: Sequence[RunSummary]) -> list[dict[str, Any]]:
    """The keys of the recipes that differ, as they stand in the files."""
    recipes = [flat(run.recipe) for run in runs]
    keys = sorted({key for recipe in recipes for key in recipe} - set(_PLACES))
    found = [{"key": key, "values": [recipe.get(key) for recipe in recipes]} for key in keys]
    return [one for one in found if any(value != one["values"][0] for value in one["values"])]


def _fingerprint(run: RunSummary, what: str) -> Any:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return json.loads((run.path / "inputs.json").read_text(encoding="utf-8"))[what]["fingerprint"]
    return None


def _same(values: Sequence[Any]) -> bool | None:
    """Whether all are equal; None where one is not known."""
    return None if any(value is None for value in values) else all(value == values[0] for value in values)


def labels_of(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What runs are called in a table: by name, with the path where two have the same."""
    names = [str(run["name"]) for run in runs]
    return names if len(set(names)) == len(names) else [str(run["run"]) for run in runs]
