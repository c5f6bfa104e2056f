"""What a candidate is worth: its accuracy on held-out images after a short training with a seed of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgenas.recipe.recipe import Recipe
from edgenas.search.pruning import EarlyStopping
from edgenas.spaces.errors import WorkError
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.study.candidates import Candidate, Evaluation, Evaluator

if TYPE_CHECKING:
    from edgenas.data import Dataset
    from edgenas.training.train import TrainingProgress


def derived_seed(seed: int, *keys: int) -> int:
    """A seed in [0, 2**31) for one purpose out of the run's seed: the same keys give the same one.

    >>> derived_seed(0, 1) == derived_seed(0, 1) != derived_seed(0, 2)
    True
    """
    return int(np.random.SeedSequence([seed, *keys]).generate_state(1)[0] >> 1)


def load_data(recipe: Recipe) -> Dataset:
    """The data set of a recipe. Raises InputError when it is missing or wrong."""
    from edgenas.data import load_dataset

    data = recipe.data
    return load_dataset(data.spec, data.directory, image_size=data.image_size, channels=data.channels, seed=recipe.seed)


def load_space(recipe: Recipe, dataset: Dataset) -> SearchSpace:
    """The space of a recipe, with the data's input shape and classes. Raises InputError."""
    return SearchSpace.load(recipe.space.spec, input_shape=dataset.image_shape, classes=dataset.classes)


@dataclass(frozen=True)
class ShortTrainingEvaluator:
    """Makes, inside a worker process, the evaluator that a recipe describes."""

    recipe: Recipe

    def __call__(self) -> Evaluator:
        from edgenas.export.bundle.preprocessing import Preprocessing
        from edgenas.training import evaluate, train

        recipe = self.recipe
        dataset = load_data(recipe)
        space = load_space(recipe, dataset)
        training, validation = dataset.split(recipe.data.validation_fraction, recipe.seed)
        preprocessing = Preprocessing.fit(training.images)
        short = recipe.search.training
        if short.images is not None:
            training = training.subset(short.images, recipe.seed)

        def evaluate_epochs(candidate: Candidate) -> Evaluation:
            network = space.decode(space.parse(candidate.architecture))
            watch = _Watch(recipe.search.early_stopping, candidate)
            try:
                train(
                    network,
                    training,
                    short.settings(),
                    seed=candidate.seed,
                    preprocessing=preprocessing,
                    validation=validation,
                    on_epoch=watch,
                )
            except _StoppedEarlyError:
                return Evaluation(watch.curve[-1], tuple(watch.curve), stopped=True)
            return Evaluation(watch.curve[-1], tuple(watch.curve))

        def evaluate_candidate(candidate: Candidate) -> float:
            network = space.decode(space.parse(candidate.architecture))
            result = train(network, training, short.settings(), seed=candidate.seed, preprocessing=preprocessing)
            top1 = evaluate(result.model, validation.images, validation.labels, preprocessing)
            if not math.isfinite(top1):
                raise WorkError("the accuracy is not a number")
            return top1

        return evaluate_candidate if recipe.search.early_stopping == "none" else evaluate_epochs


class _StoppedEarlyError(Exception):
    """Ends a training from within."""


class _Watch:
    """Hears of every epoch of a candidate and ends its training when it is not worth going on."""

    def __init__(self, pruner: str, candidate: Candidate) -> None:
        self.curve: list[float] = []
        self._pruner = pruner
        self._candidate = candidate
        self._stopping: EarlyStopping | None = None

    def __call__(self, progress: TrainingProgress) -> None:
        if progress.validation is None or not math.isfinite(progress.validation):
            raise WorkError("the accuracy is not a number")
        self.curve.append(float(progress.validation))
        if self._stopping is None:
            candidate = self._candidate
            self._stopping = EarlyStopping(self._pruner, progress.epochs, candidate.number, candidate.earlier)
        if self._stopping.should_stop(self.curve):
            raise _StoppedEarlyError
