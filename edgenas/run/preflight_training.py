"""Whether this machine can train as a recipe says: precision and GPUs, told before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgenas.spaces.errors import InputError
from edgenas.study.evaluators import SHORT_TRAINING

if TYPE_CHECKING:
    from edgenas.recipe.recipe import Recipe


def check_trainings(recipe: Recipe) -> None:
    """Raises InputError naming the key of a training that asks for what is not there.

    TensorFlow is loaded only where a training asks for something.
    """
    for key, section in _sections(recipe):
        if section.precision not in ("auto", "float32"):
            from edgenas.training.precision import precision_problem

            if problem := precision_problem(section.precision):
                raise InputError(f"{key}.precision: {problem}")
        if section.gpus not in (None, 1):
            from edgenas.training.replicas import training_devices, visible_gpus

            if key == "supernet":
                visible_gpus(section.gpus, key)
            else:
                training_devices(section.gpus, section.batch_size, key)


def _sections(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    if recipe.search.evaluator == SHORT_TRAINING and not recipe.is_fixed:
        yield "search.training", recipe.search.training
    if recipe.supernet is not None:
        yield "supernet", recipe.supernet
    yield "training", recipe.training
