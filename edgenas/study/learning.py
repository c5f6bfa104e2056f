"""What a short training takes from finished trials, and what it leaves for later ones, inside a worker."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.export.files import write_atomically
from edgenas.recipe.recipe import Recipe
from edgenas.study.candidates import Candidate
from edgenas.study.trial_weights import FolderWeights, SavedWeights, TrialWeights

if TYPE_CHECKING:
    from edgenas.data.examples import Examples
    from edgenas.spaces.network import Network
    from edgenas.tasks import Task
    from edgenas.training.initial import InitialWeights
    from edgenas.training.losses import Loss
    from edgenas.training.transfer import Transfer

LEARNED_FILE = "learned.json"


class Learning:
    """The part of an evaluator that deals with other trials' weights.

    Args:
        recipe: says what is taken.
        folder: of the trials; None: nothing is kept or taken.
        decode: the network of an architecture.
        task: what is learned.
    """

    def __init__(self, recipe: Recipe, folder: Path | None, decode: Callable[[str], Network], task: Task) -> None:
        self.recipe, self.folder, self.decode, self.task = recipe, folder, decode, task
        self._teacher: tuple[object, Any] | None = None

    @property
    def weights(self) -> TrialWeights | None:
        """Where the weights are; None when the recipe has no use for them."""
        return FolderWeights(self.folder) if self.folder is not None and self.recipe.keeps_weights else None

    def start(self, candidate: Candidate) -> Transfer | None:
        """What a candidate's training begins with; None: random weights."""
        from edgenas.training.transfer import Transfer, shares_of

        store = self.weights
        if store is None:
            return None
        found = [saved for number in candidate.lesson.sources if (saved := store.load(number)) is not None]
        if not found:
            return None
        shares = shares_of(self.recipe.search.transfer, [saved.loss for saved in found])
        return Transfer([saved.arrays for saved in found], shares)

    def losses(self, candidate: Candidate, label_smoothing: float) -> list[Loss] | None:
        """What a candidate minimises where it has a teacher; None: the loss of the task alone."""
        from edgenas.training.losses import Distillation, taught

        settings = self.recipe.distillation
        teacher = self._taught_by(candidate)
        if settings is None or teacher is None:
            return None
        share = settings.weight * (candidate.lesson.share if settings.ramp == "trials" else 1.0)
        if not share:
            return None
        distance = Distillation(self.task, teacher, settings.temperature, loss=settings.loss)
        return taught(self.task, distance, label_smoothing, share=share, ramped=settings.ramp == "steps")

    def _taught_by(self, candidate: Candidate) -> Any:
        """The model that a candidate learns from; None where there is none (yet). One is kept for the next."""
        from edgenas.training.teachers import read_teacher, trained_model

        settings, lesson = self.recipe.distillation, candidate.lesson
        if settings is None or not settings.short:
            return None
        key: object = settings.files.get("teacher")
        if key is None:
            key = lesson.teacher
        if key is None:
            return None
        if self._teacher is None or self._teacher[0] != key:
            if isinstance(key, str):
                self._teacher = key, read_teacher(Path(key))
            else:
                number, architecture = lesson.teacher or (0, "")
                saved = None if self.weights is None else self.weights.load(number)
                if saved is None:
                    return None
                self._teacher = key, trained_model(self.decode(architecture), saved.arrays)
        return self._teacher[1]

    def keep(self, candidate: Candidate, model: Any, loss: float, initial: InitialWeights | None) -> None:
        """Leaves the trained weights for later trials, and a word on what this one began with."""
        from edgenas.training.initial import weights_by_name

        store = self.weights
        if store is None or self.folder is None:
            return
        store.save(candidate.number, SavedWeights(weights_by_name(model), loss))
        record: dict[str, Any] = {"sources": list(candidate.lesson.sources), "loss": loss}
        if candidate.lesson.teacher is not None:
            record["teacher"] = candidate.lesson.teacher[0]
        if initial is not None:
            arrays = len(initial.taken) + len(initial.sliced) + len(initial.missing) + len(initial.misfits)
            record |= {"arrays": arrays, "taken": len(initial.taken), "sliced": len(initial.sliced)}
        write_atomically(self.folder / str(candidate.number) / LEARNED_FILE, json.dumps(record) + "\n")


def judged(
    model: Any, examples: Examples, *, task: Task, preprocessing: Any, outputs: tuple[str, ...]
) -> tuple[dict[str, float], float]:
    """The task's metrics of a model on examples, and its mean loss; NaN where that is not a number."""
    from edgenas.export._tensorflow import tensorflow
    from edgenas.tasks.files import in_memory
    from edgenas.training import ModelScorer

    found = ModelScorer(model, task=task, preprocessing=preprocessing, outputs=outputs).outputs(examples)
    targets = in_memory(examples.targets)
    tensors = {name: tensorflow().constant(values) for name, values in found.items()}
    loss = float(task.loss(targets, tensors))
    return task.metrics(targets, found), loss if math.isfinite(loss) else math.nan
