"""What a candidate is worth: its accuracy on held-out images after a short training with a seed of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgenas.recipe import Recipe
from edgenas.workers import Candidate, Evaluator
from spaces.errors import WorkError
from spaces.space import SearchSpace

if TYPE_CHECKING:
    from edgenas.data import Dataset


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
    return load_dataset(data.spec, data.directory, image_size=data.image_size, channels=data.channels)


def load_space(recipe: Recipe, dataset: Dataset) -> SearchSpace:
    """The space of a recipe, with the data's input shape and classes. Raises InputError."""
    return SearchSpace.load(recipe.space.spec, input_shape=dataset.image_shape, classes=dataset.classes)


@dataclass(frozen=True)
class ShortTrainingEvaluator:
    """Makes, inside a worker process, the evaluator that a recipe describes."""

    recipe: Recipe

    def __call__(self) -> Evaluator:
        from edgenas.training import evaluate, train
        from export.preprocessing import Preprocessing

        recipe = self.recipe
        dataset = load_data(recipe)
        space = load_space(recipe, dataset)
        training, validation = dataset.split(recipe.data.validation_fraction, recipe.seed)
        preprocessing = Preprocessing.fit(training.images)
        short = recipe.search.training
        if short.images is not None:
            training = training.subset(short.images, recipe.seed)

        def evaluate_candidate(candidate: Candidate) -> float:
            network = space.decode(space.parse(candidate.architecture))
            result = train(network, training, short.settings(), seed=candidate.seed, preprocessing=preprocessing)
            top1 = evaluate(result.model, validation.images, validation.labels, preprocessing)
            if not math.isfinite(top1):
                raise WorkError("the accuracy is not a number")
            return top1

        return evaluate_candidate
