"""The whole Pareto front of a run exported: every point trained, verified and measured, one bundle each, one index.

``index.json`` is written after every point, so that an interrupted export goes on where it was: a point whose bundle is
there, is in order, and was made with the present training and export settings is not made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.export.files import write_atomically
from edgenas.run.best import ship_chosen
from edgenas.run.opening import open_searched, working
from edgenas.run.pipeline import go_on
from edgenas.spaces.errors import EdgeNASError, InputError, WorkError

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.study.study import Trial

INDEX, PAGE = "index.json", "index.html"


@dataclass(frozen=True)
class Front:
    """What was exported: the folder, and the content of its ``index.json``."""

    folder: Path
    index: Mapping[str, Any]

    @property
    def points(self) -> list[dict[str, Any]]:
        return list(self.index["points"])


def export_front(folder: Path | str, output: Path | None = None, *, data_dir: Path | None = None) -> Front:
    """Exports every trial on the front of the run's validation metric against its predicted latency.

    A point that cannot be shipped (over the budget, not accurate enough, diverged) is listed with the reason.

    Args:
        folder: the run.
        output: where the bundles and the index go; ``RUN/front`` by default.
        data_dir: as elsewhere.

    Raises InputError when there is no searched run or ``output`` holds other things, WorkError when nothing could be
    exported or the work was interrupted; what is finished is kept, and the same command goes on.
    """
    context = open_searched(folder, data_dir)
    destination = Path(output or context.folder.path / "front")
    entries = _known_entries(destination)
    with working(context):
        go_on(context)
        trials = front_trials(context)
        context.progress.say(
            f"front: trial{'s' * (len(trials) != 1)} {', '.join(str(trial.number) for trial in trials)}; each is "
            f"trained, verified and measured, and kept in {destination}"
        )
        points: list[dict[str, Any]] = []
        for place, trial in enumerate(trials, 1):
            context.progress.say(f"front, point {place} of {len(trials)}: trial {trial.number}")
            points.append(_point(context, trial, destination, entries.get(trial.number)))
            unfinished = [entries[one.number] for one in trials[place:] if one.number in entries]
            index = _write(context, destination, points + unfinished)
    if not any(point["state"] == "exported" for point in points):
        reasons = "; ".join(f"trial {point['trial']}: {point['reason']}" for point in points)
        raise WorkError(f"{destination}: no point of the front could be exported ({reasons}); trainings are kept")
    return Front(destination, index)


def front_trials(context: RunContext) -> list[Trial]:
    """The trials that no other one beats in both, cheapest first. Raises InputError when there is none."""
    from edgenas.report.pareto import pareto_front

    with closing(context.open_study()) as study:
        trials = list(study.ranking)
    cost = context.recipe.cost_name("latency_ms", context.first.name)
    costs = np.array([trial.predicted.get(cost, np.nan) for trial in trials])
    scores = np.array([np.nan if trial.score is None else trial.score for trial in trials])
    found = [trial for trial, on_front in zip(trials, pareto_front(costs, scores), strict=True) if on_front]
    distinct = {trial.architecture: trial for trial in reversed(found)}
    if not distinct:
        raise InputError(f"{context.folder.path}: no finished trial keeps the budget, so there is no front to export")
    return sorted(distinct.values(), key=lambda trial: trial.predicted[cost])


def _point(context: RunContext, trial: Trial, folder: Path, known: Mapping[str, Any] | None) -> dict[str, Any]:
    """Exports a trial, or takes what an earlier call has made of it."""
    from edgenas.export.bundle.bundle import verify_bundle
    from edgenas.training import TrainingDivergedError

    name, made_with = f"trial-{trial.number}", _made_with(context)
    bundle = folder / name
    is_there = known is not None and known.get("made_with") == made_with and known.get("state") == "exported"
    if known is not None and is_there and bundle.is_dir() and not verify_bundle(bundle):
        context.progress.say(f"  {bundle} is there already")
        return dict(known)
    point = {
        "trial": trial.number,
        "architecture": trial.architecture,
        "searched": {"metric": trial.metric, "score": trial.score},
        "made_with": made_with,
    }
    try:
        ship_chosen(context, trial.number, bundle)
    except TrainingDivergedError as error:
        return point | {"state": "not exported", "reason": str(error)}
    except WorkError as error:
        if "is not shipped" not in str(error):
            raise
        return point | {"state": "not exported", "reason": str(error)}
    return point | {"state": "exported", "bundle": name} | _figures(context, bundle)


def _figures(context: RunContext, bundle: Path) -> dict[str, Any]:
    """What ``metrics.json`` of a bundle tells, and what is wrong with the bundle."""
    from edgenas.export.bundle.bundle import read_metrics, verify_bundle
    from edgenas.export.figure import kind_of

    metrics, device = read_metrics(bundle), context.first.name
    latency = metrics["latency_ms"][device]
    predicted_ms = metrics["predicted"].get(device, {}).get("latency_ms")
    quiet_ms = latency.get("quiet", {}).get("quiet_ms")
    ratio = quiet_ms / predicted_ms if quiet_ms and predicted_ms else None
    return {
        "metric": metrics["metric"],
        "score_float": metrics["metrics"]["float"][metrics["metric"]],
        "score_tflite": metrics["metrics"]["tflite"][metrics["metric"]],
        "test_examples": metrics["test_examples"],
        "latency_ms": {"quiet": quiet_ms, "median": latency["median"]},
        "latency_kind": kind_of(metrics["provenance"][device]),
        "predicted_ms": predicted_ms,
        "quiet_over_predicted": None if ratio is None else round(ratio, 4),
        "size_bytes": metrics["size_bytes"],
        "params": metrics["params"],
        "macs": metrics["macs"],
        "problems": verify_bundle(bundle),
    }


def _write(context: RunContext, folder: Path, points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    from edgenas.report.front_page import front_page

    recipe = context.recipe
    index = {
        "format": 1,
        "run": str(context.folder.path.resolve()),
        "name": recipe.name,
        "space": context.space.name,
        "data": context.dataset.name,
        "device": context.first.name,
        "quantization": recipe.export.quantization,
        "budget": recipe.limits,
        "points": list(points),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / INDEX, json.dumps(index, indent=1) + "\n")
    write_atomically(folder / PAGE, front_page(index))
    return index


def _known_entries(folder: Path) -> dict[int, dict[str, Any]]:
    """The points of an earlier call by trial. Raises InputError when the folder holds other things."""
    if not folder.exists():
        return {}
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file; the bundles of a front need a folder")
    path = folder / INDEX
    if not path.is_file():
        others = [one.name for one in folder.iterdir() if not one.name.startswith((".trial-", "trial-"))]
        if others:
            raise InputError(f"{folder}: holds other things and no front ({others[0]}); choose another folder")
        return {}
    try:
        return {int(point["trial"]): dict(point) for point in json.loads(path.read_text(encoding="utf-8"))["points"]}
    except (OSError, ValueError, KeyError, TypeError, EdgeNASError) as error:
        raise InputError(
            f"{path}: not the index of a front ({error!r}); nothing was changed. Delete it, and the points are "
            "exported again; their trainings are kept"
        ) from None


def _made_with(context: RunContext) -> str:
    """Short text that differs when a bundle would be made in another way."""
    recipe = context.recipe
    facts = [recipe.training.model_dump(mode="json"), recipe.export.model_dump(mode="json"), recipe.limits, recipe.seed]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
