"""One training step over a model's own variables: for models that cannot be called without state, such as tf-keras'.

Slower to build and to run than :mod:`edgenas.training.packed`, and without a moving average of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgenas.data.examples import Tree
from edgenas.export._tensorflow import tensorflow
from edgenas.training.learner import Step, traced
from edgenas.training.losses import Objective, called
from edgenas.training.optimizer import clipped, move
from edgenas.training.settings import TrainingSettings


class InPlaceModel:
    """The state of a training that changes a Keras or tf-keras model in place.

    Attributes:
        variables: weights, moments and sums of losses, as a checkpoint keeps them.
    """

    def __init__(self, model: Any, settings: TrainingSettings, objective: Objective) -> None:
        tf = tensorflow()
        self.model, self.settings, self.objective = model, settings, objective
        self._weights = _plain_variables(model)
        self._first = [tf.Variable(tf.zeros_like(weight)) for weight in self._weights]
        self._second = [tf.Variable(tf.zeros_like(weight)) for weight in self._weights]
        self.variables: dict[str, Any] = {
            f"{kind}{index}": variable
            for kind, group in (("weight", self._weights), ("first", self._first), ("second", self._second))
            for index, variable in enumerate(group)
        } | {"loss_sum": tf.Variable(0.0)}
        if len(objective.losses) > 1:
            self.variables["term_sums"] = tf.Variable(np.zeros(len(objective.losses), np.float32))

    def make_step(self, inputs: Mapping[str, np.ndarray], targets: Tree, dropout_share: float = 1.0) -> Step:
        """The traced step for batches of the shapes and types of this one; dropout is what the model has."""
        return traced(self._step, inputs, targets)

    def write_back(self) -> Any:
        """The model, whose weights are those of the training all along."""
        return self.model

    def _step(self, raw: Mapping[str, Any], targets: Tree, step: Any, rate: Any, progress: Any) -> None:
        tf, objective = tensorflow(), self.objective
        inputs = objective.prepared(raw)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._weights)
            outputs = called(self.model, inputs, objective.outputs, training=True)
            terms = objective.terms(targets, outputs, inputs, progress)
            loss = terms[0] if len(terms) == 1 else tf.add_n(terms)
        gradients = tape.gradient(loss, self._weights)
        used = [index for index, gradient in enumerate(gradients) if gradient is not None]
        clipped_gradients = clipped(self.settings, [gradients[index] for index in used])
        for index, gradient in zip(used, clipped_gradients, strict=True):
            weight = self._weights[index]
            decayed = float(len(weight.shape) > 1)
            moments = self._first[index], self._second[index]
            weight.assign_sub(rate * move(self.settings, gradient, weight, *moments, decayed, step))
        self.variables["loss_sum"].assign_add(loss)
        if len(terms) > 1:
            self.variables["term_sums"].assign_add(tf.stack(terms))


def _plain_variables(model: Any) -> Sequence[Any]:
    """TensorFlow's own variables, which Keras 3 keeps inside of its own kind."""
    return [
        getattr(variable, "value", variable) if not callable(getattr(variable, "value", None)) else variable
        for variable in model.trainable_variables
    ]
