"""A Keras model whose variables are packed into flat vectors, and one training step over them.

A network of 60 ops has about 100 variables. An optimizer and a moving average over each of them make a graph of
thousands of small ops that takes longer to build than a short training takes to run; over one vector they are a
dozen ops. The model itself is called without state (``stateless_call``), so the gradient of the vector is one
concatenation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgenas.export._tensorflow import tensorflow
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.tasks import Task
from edgenas.training.settings import TrainingSettings

_EPSILON = 1e-7
_BETA2 = 0.999


class PackedModel:
    """The state of a training: weights, batch-norm statistics, their moving averages, and the optimizer's slots.

    Attributes:
        variables: the flat ``tf.Variable`` of each part of the state, by name. Together they are all that a
            checkpoint needs.
    """

    def __init__(self, model: Any, settings: TrainingSettings, task: Task, preprocessing: Preprocessing) -> None:
        tf = tensorflow()
        self.model = model
        self.settings = settings
        self.task = task
        self.preprocessing = preprocessing
        self._trainable = model.trainable_variables
        fixed = model.non_trainable_variables
        self._is_statistic = [str(variable.dtype).startswith("float") for variable in fixed]
        self._statistics = [v for v, statistic in zip(fixed, self._is_statistic, strict=True) if statistic]
        self._counters = [v for v, statistic in zip(fixed, self._is_statistic, strict=True) if not statistic]
        # Batch norms update their statistics with this momentum; every other statistic is simply replaced.
        self._momentum = _per_element(self._statistics, _batch_norm_momenta(model), default=0.0)
        # Convention of the field: decay kernels, not biases, scales and shifts.
        self._decayed = _per_element(
            self._trainable, {variable.path: float(len(variable.shape) > 1) for variable in self._trainable}
        )
        weights, statistics = _pack(self._trainable), _pack(self._statistics)
        self.variables = {
            "weights": tf.Variable(weights),
            "statistics": tf.Variable(statistics),
            "average_weights": tf.Variable(weights),
            "average_statistics": tf.Variable(statistics),
            "first_moment": tf.Variable(np.zeros_like(weights)),
            "second_moment": tf.Variable(np.zeros_like(weights if settings.optimizer == "adamw" else weights[:0])),
            "loss_sum": tf.Variable(0.0),
        } | {f"counter{index}": tf.Variable(counter.value) for index, counter in enumerate(self._counters)}

    def write_back(self) -> Any:
        """Copies the moving averages into the Keras model and returns it."""
        _unpack(self.variables["average_weights"].numpy(), self._trainable)
        _unpack(self.variables["average_statistics"].numpy(), self._statistics)
        return self.model

    def make_step(self, batch_size: int) -> Any:
        """The traced step ``(images uint8, labels, step from 0, learning rate) -> loss``."""
        tf = tensorflow()
        shape = (batch_size, *self.model.inputs[0].shape[1:])
        scalar = tf.TensorSpec((), tf.float32)
        signature = [tf.TensorSpec(shape, tf.uint8), tf.TensorSpec((batch_size,), tf.int64), scalar, scalar]
        return tf.function(self._step, input_signature=signature, autograph=False)

    def _step(self, images: Any, labels: Any, step: Any, rate: Any) -> Any:
        tf, variables = tensorflow(), self.variables
        inputs = normalised(images, self.preprocessing)
        old_statistics = variables["statistics"].read_value()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            weights = variables["weights"].read_value()
            tape.watch(weights)
            outputs, fixed = self.model.stateless_call(
                _split(weights, self._trainable), self._fixed(old_statistics), inputs, training=True
            )
            loss = self.task.loss(labels, tf.cast(outputs, tf.float32), label_smoothing=self.settings.label_smoothing)
        gradient = tape.gradient(loss, weights)
        warm = (1.0 + step) / (10.0 + step)
        weights = self._update_weights(gradient, weights, step, rate)
        statistics = self._update_statistics(old_statistics, fixed, warm)
        decay = tf.minimum(self.settings.ema_decay, warm)
        for name, value in (("weights", weights), ("statistics", statistics)):
            average = variables[f"average_{name}"]
            average.assign(average * decay + value * (1.0 - decay))
        variables["loss_sum"].assign_add(loss)
        return loss

    def _fixed(self, statistics: Any) -> list[Any]:
        """Non-trainable values in the model's order."""
        floats = iter(_split(statistics, self._statistics))
        counters = iter(self.variables[f"counter{index}"].read_value() for index in range(len(self._counters)))
        return [next(floats if statistic else counters) for statistic in self._is_statistic]

    def _update_weights(self, gradient: Any, weights: Any, step: Any, rate: Any) -> Any:
        tf, settings, variables = tensorflow(), self.settings, self.variables
        if settings.clip_norm:
            gradient = tf.clip_by_norm(gradient, settings.clip_norm)
        first, second = variables["first_moment"], variables["second_moment"]
        momentum = settings.momentum
        if settings.optimizer == "adamw":
            mean = first.assign(first * momentum + gradient * (1.0 - momentum)) / (1.0 - momentum ** (step + 1.0))
            square = second.assign(second * _BETA2 + tf.square(gradient) * (1.0 - _BETA2))
            move = mean / (tf.sqrt(square / (1.0 - _BETA2 ** (step + 1.0))) + _EPSILON)
        else:
            velocity = first.assign(first * momentum + gradient)
            move = gradient + momentum * velocity
        move += settings.weight_decay * self._decayed * weights
        return variables["weights"].assign(weights - rate * move)

    def _update_statistics(self, old: Any, fixed: Sequence[Any], warm: Any) -> Any:
        """Like the layers' own update, but with a smaller momentum at first.

        With 0.99 from the start, the statistics of a training of 100 steps would still be a third initial values.
        """
        tf = tensorflow()
        pairs = list(zip(fixed, self._is_statistic, strict=True))
        counters = [value for value, statistic in pairs if not statistic]
        for index, value in enumerate(counters):
            self.variables[f"counter{index}"].assign(value)
        updated = [tf.reshape(value, [-1]) for value, statistic in pairs if statistic]
        if not updated:
            return old
        batch = old + (tf.concat(updated, 0) - old) / (1.0 - self._momentum)
        momentum = tf.minimum(self._momentum, warm)
        return self.variables["statistics"].assign(old * momentum + batch * (1.0 - momentum))


def normalised(images: Any, preprocessing: Preprocessing) -> Any:
    """``Preprocessing.apply`` as TensorFlow ops, for a tensor of uint8 images."""
    tf = tensorflow()
    mean, std = np.array(preprocessing.mean), np.array(preprocessing.std)
    return tf.cast(images, tf.float32) * (1 / (255 * std)).astype(np.float32) - (mean / std).astype(np.float32)


def _pack(variables: Sequence[Any]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.float32), *(v.numpy().astype(np.float32).ravel() for v in variables)])


def _sizes(variables: Sequence[Any]) -> list[int]:
    return [int(np.prod(variable.shape)) for variable in variables]


def _unpack(flat: np.ndarray, variables: Sequence[Any]) -> None:
    start = 0
    for variable, size in zip(variables, _sizes(variables), strict=True):
        variable.assign(flat[start : start + size].reshape(variable.shape))
        start += size


def _split(flat: Any, variables: Sequence[Any]) -> list[Any]:
    tf = tensorflow()
    if not variables:
        return []
    parts = tf.split(flat, _sizes(variables))
    return [tf.reshape(part, variable.shape) for part, variable in zip(parts, variables, strict=True)]


def _per_element(variables: Sequence[Any], values: dict[str, float], default: float = 0.0) -> np.ndarray:
    """A value per variable path, repeated for each of its elements."""
    return np.repeat([values.get(v.path, default) for v in variables], _sizes(variables)).astype(np.float32)


def _batch_norm_momenta(model: Any) -> dict[str, float]:
    return {
        variable.path: float(layer.momentum)
        for layer in model.layers
        if hasattr(layer, "moving_mean") and hasattr(layer, "momentum")
        for variable in (layer.moving_mean, layer.moving_variance)
    }
