"""What a run's supernet is made from: the lesson, the settings, and what is wrong with them before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgenas.recipe.supernet import SupernetRecipe
from edgenas.spaces.errors import InputError
from edgenas.study.evaluation import derived_seed
from edgenas.supernet.lesson import Lesson
from edgenas.supernet.places import Places
from edgenas.supernet.settings import SupernetSettings

if TYPE_CHECKING:
    from edgenas.run.context import RunContext

#: For each shared parameter: weights and two moments of Adam in a checkpoint, and weights alone. Either file is written
#: beside the one that it replaces.
_BYTES_OF_CHECKPOINT, _BYTES_OF_WEIGHTS = 2 * 12, 2 * 4
#: Purposes of seeds that come from the run's.
INITIAL, LESSON, SEARCH, CHECK = 3, 4, 5, 6


def section(context: RunContext) -> SupernetRecipe:
    """The recipe's section; that of a one-shot run is always there."""
    found = context.recipe.supernet
    if found is None:
        raise InputError(
            f"{context.folder.path}: this run has no supernet; search.algorithm is {context.recipe.search.algorithm!r}"
        )
    return found


def folder(context: RunContext) -> Path:
    """Where everything of the supernet is."""
    return context.folder.path / "supernet"


def seed(context: RunContext, purpose: int) -> int:
    return derived_seed(context.recipe.seed, purpose)


def make_lesson(context: RunContext) -> Lesson:
    """Weights learn from the training examples; networks are rewarded and scored on the validation examples."""
    training, validation = context.dataset.split(context.recipe.data.validation_fraction, context.recipe.seed)
    space, preprocessing = context.space.learned, context.task.fit(training)
    first = space.decode(space.sample(np.random.default_rng(0), 1)[0])  # all networks of a space answer alike
    return Lesson(
        task=context.task.for_network(first, preprocessing),
        space=space,
        training=training,
        held_out=validation,
        preprocessing=preprocessing,
        augmentation=make_settings(context, len(training)).augmentation,
        seed=seed(context, LESSON),
    )


def make_settings(context: RunContext, examples: int) -> SupernetSettings:
    """Settings of the training on so many examples."""
    return section(context).settings(examples)


def check_supernet(context: RunContext) -> int:
    """What can be wrong with a one-shot run and is cheap to find out; nothing is built with TensorFlow.

    Returns the bytes that the supernet's files take at most.

    Raises InputError when a block of the space has no supernet layer, when there are too few examples to train or to
    compare networks on, and when the run whose supernet is wanted has none, or one of other networks or data.
    """
    if not context.recipe.is_one_shot:
        return 0
    parameters = Places(context.space.learned).parameters
    lesson = make_lesson(context)
    lesson.check(make_settings(context, len(lesson.training)).batch_size)
    if section(context).from_run is not None:
        from edgenas.run.supernet.borrowed import check_borrowed

        check_borrowed(context)
        return _BYTES_OF_WEIGHTS * parameters
    return (_BYTES_OF_WEIGHTS + _BYTES_OF_CHECKPOINT) * parameters
