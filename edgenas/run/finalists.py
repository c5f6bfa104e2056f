"""The longer training of the few best candidates, between which it decides; each is continued after an interruption."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.export.files import write_atomically
from edgenas.run.progress import duration
from edgenas.run.records import FinalistRecord, FinalistsRecord
from edgenas.run.train import run_training
from edgenas.study.evaluation import derived_seed
from edgenas.training.settings import decisive

if TYPE_CHECKING:
    from edgenas.recipe.recipe import Recipe
    from edgenas.run.context import RunContext
    from edgenas.study.store import StudyStore
    from edgenas.training import TrainingSettings

_SEED_PURPOSE = 7


def finalist_path(context: RunContext, number: int) -> Path:
    """Folder of the longer training of a trial: ``training.json``, checkpoints."""
    return context.folder.trial_path(number) / "finalist"


def finalist_settings(recipe: Recipe) -> TrainingSettings:
    """Those of the final training, for a share of its epochs and steps."""
    settings, share = recipe.training.settings(), recipe.search.finalist_share
    steps = None if settings.max_steps is None else max(1, round(share * settings.max_steps))
    return dataclasses.replace(settings, epochs=max(1, round(share * settings.epochs)), max_steps=steps)


def share_words(recipe: Recipe) -> str:
    """How long each finalist is trained, beside the final training."""
    short, whole = finalist_settings(recipe), recipe.training
    words = f"{short.epochs} of {whole.epochs} epochs"
    return words if short.max_steps is None else f"{words}, at most {short.max_steps} of {whole.max_steps} steps,"


def train_finalists(context: RunContext, study: StudyStore, numbers: Sequence[int]) -> dict[int, str]:
    """Trains those that have no score yet, and keeps the scores. Returns why others have none, by number."""
    from edgenas.training import TrainingDivergedError

    folder, settings = context.folder, finalist_settings(context.recipe)
    failed: dict[int, str] = {}
    known = folder.read(FinalistsRecord).finalists
    if all(known[number].score is not None for number in numbers):
        return failed
    with context.step(FinalistsRecord):
        context.progress.say(
            f"finalists: trials {', '.join(map(str, numbers))} are trained for {share_words(context.recipe)} each "
            "before one of them is chosen"
        )
        for place, number in enumerate(numbers, 1):
            if folder.read(FinalistsRecord).finalists[number].score is not None:
                continue
            began = time.monotonic()
            try:
                found = train_finalist(context, study, number, settings, f"finalist {place} of {len(numbers)}")
            except TrainingDivergedError as error:
                failed[number] = f"as a finalist, its {error}"
                continue
            record = folder.read(FinalistsRecord)
            folder.write(replace(record, finalists={**record.finalists, number: found}, epochs=settings.epochs))
            metric = context.task.metric
            context.log.event("finalist", trial=number, metric=metric, score=found.score, seconds=found.seconds)
            context.progress.say(
                f"finalist: trial {number}, {metric} {found.score:.4f} on validation examples after the longer "
                f"training, {duration(time.monotonic() - began)}"
            )
    return failed


def train_finalist(
    context: RunContext, study: StudyStore, number: int, settings: TrainingSettings, title: str
) -> FinalistRecord:
    """The score of a trial after the longer training; read back where the same was done before."""
    folder = finalist_path(context, number)
    done = folder / "training.json"
    if done.is_file():
        known = json.loads(done.read_text(encoding="utf-8"))
        if decisive(known["settings"]) == decisive(settings.to_dict()):
            return FinalistRecord(score=known["score"], seconds=known["seconds"])
    network = context.space.decode(context.space.parse(study.trial(number).architecture))
    seed = derived_seed(context.recipe.seed, _SEED_PURPOSE, number)
    found = run_training(context, number, network, settings, seed=seed, folder=folder, title=title)
    record = {
        "trial": number,
        "score": float(found.metrics[found.metric]),
        **found.to_json(),
        "settings": settings.to_dict(),
    }
    write_atomically(done, json.dumps(record, indent=1, default=float) + "\n")
    return FinalistRecord(score=record["score"], seconds=record["seconds"])
