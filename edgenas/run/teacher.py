"""Who the long trainings of a run learn from beside the labels, and the check of that before anything runs."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.recipe.learning import SUPERNET
from edgenas.spaces.errors import InputError
from edgenas.study.trial_weights import FolderWeights
from edgenas.tasks.task import Task
from edgenas.training.teachers import check_teacher, read_teacher, trained_model

if TYPE_CHECKING:
    from edgenas.recipe.learning import DistillationRecipe
    from edgenas.run.context import RunContext
    from edgenas.spaces.network import Network
    from edgenas.training.losses import Loss


def check_distillation(context: RunContext, network: Network) -> None:
    """Raises InputError when the recipe's teacher cannot teach ``network``, one of the run's."""
    settings = context.recipe.distillation
    if settings is None:
        return
    if settings.loss != "mse_logits" and type(context.task).distillation is Task.distillation:
        raise InputError(
            f"distillation.loss: {settings.loss} is for tasks with classes, not for {context.task.kind}; expected "
            "mse_logits"
        )
    if path := settings.files.get("teacher"):
        check_teacher(read_teacher(Path(path)), network, path)


def final_losses(context: RunContext, number: int, network: Network, label_smoothing: float) -> list[Loss] | None:
    """What the long training of a trial minimises where it has a teacher; None: the loss of the task alone.

    Raises InputError when the teacher of the recipe is not there any more.
    """
    from edgenas.training.losses import Distillation, taught

    settings = context.recipe.distillation
    if settings is None or not settings.in_final:
        return None
    model, source = _teacher(context, settings)
    check_teacher(model, network, source)
    context.progress.say(f"trial {number} learns from {source} ({settings.loss}, weight {settings.weight:g})")
    context.log.event("distillation", trial=number, teacher=source, loss=settings.loss, weight=settings.weight)
    distance = Distillation(context.task, model, settings.temperature, loss=settings.loss)
    return taught(context.task, distance, label_smoothing, share=settings.weight, ramped=settings.ramp == "steps")


def _teacher(context: RunContext, settings: DistillationRecipe) -> tuple[Any, str]:
    """The model, and what it is in words."""
    if path := settings.files.get("teacher"):
        return read_teacher(Path(path)), path
    if settings.teacher == SUPERNET:
        from edgenas.run.supernet import inherited_weights

        architecture, _ = context.costs.dearest("macs")
        arrays = inherited_weights(context, architecture)
        return trained_model(context.space.decode(architecture), arrays), "the largest network of the run's supernet"
    with closing(context.open_study()) as study:
        number = settings.teacher if isinstance(settings.teacher, int) else study.ranking[0].number
        trial = study.trial(number)
    saved = FolderWeights(context.folder.trials_path).load(number)
    if saved is None:
        state = "" if trial.state == "complete" else f", which is {trial.state}"
        raise InputError(
            f"distillation.teacher: trial {number}{state} has left no weights in {context.folder.trial_path(number)}; "
            "with `distillation: {final: false}` and --resume, what is shipped learns from the labels alone"
        )
    network = context.space.decode(context.space.parse(trial.architecture))
    return trained_model(network, saved.arrays), f"trial {number}"
