"""A Keras model whose variables are packed into flat vectors, and one training step over them.

A network of 60 ops has about 100 variables. An optimizer and a moving average over each of them make a graph of
thousands of small ops that takes longer to build than a short training takes to run; over one vector they are a
dozen ops. The model itself is called without state (``stateless_call``), so the gradient of the vector is one
concatenation.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from edgenas.data.examples import Tree
from edgenas.export._tensorflow import tensorflow
from edgenas.spaces.errors import InputError
from edgenas.tasks.ends import bound, named
from edgenas.training.learner import Step, traced
from edgenas.training.losses import Objective, arguments, input_names
from edgenas.training.optimizer import clipped, move
from edgenas.training.precision import LossScale
from edgenas.training.replicas import Replicas
from edgenas.training.settings import TrainingSettings

#: Makes a model whose inputs have other shapes, by name.
Resized = Callable[[Mapping[str, tuple[int, ...]]], Any]


class PackedModel:
    """The state of a training: weights, batch-norm statistics, their moving averages, and the optimizer's slots.

    Args:
        model: built already.
        settings: of the optimizer and the averages.
        objective: what is minimised.
        replicas: devices that share each batch.
        scale: of the loss, where layers compute in float16.
        resized: makes the same model for other shapes of its inputs, by name; needed where batches have them.

    Attributes:
        variables: the flat ``tf.Variable`` of each part of the state, by name. Together they are all that a
            checkpoint needs. ``loss_sum`` holds the sum of all losses since it was set to 0, ``term_sums`` each
            one's where there are several.
    """

    def __init__(
        self,
        model: Any,
        settings: TrainingSettings,
        objective: Objective,
        *,
        replicas: Replicas | None = None,
        scale: LossScale | None = None,
        resized: Resized | None = None,
    ) -> None:
        tf = tensorflow()
        self._replicas, self._scale, self._resized = replicas, scale, resized
        if replicas is not None:
            replicas.prepare(model)
        self.model = model
        self.settings = settings
        self.objective = objective
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
        if len(objective.losses) > 1:
            self.variables["term_sums"] = tf.Variable(np.zeros(len(objective.losses), np.float32))
        if scale is not None:
            self.variables |= scale.variables

    def write_back(self) -> Any:
        """Copies the moving averages into the Keras model and returns it."""
        _unpack(self.variables["average_weights"].numpy(), self._trainable)
        _unpack(self.variables["average_statistics"].numpy(), self._statistics)
        return self.model

    def make_step(self, inputs: Mapping[str, np.ndarray], targets: Tree, dropout_share: float = 1.0) -> Step:
        """The traced step for batches of the shapes and types of this one, with this share of the dropout."""
        model = self._model_of({name: tuple(values.shape[1:]) for name, values in inputs.items()})

        def step(*arguments: Any) -> None:
            with _dropout(model, dropout_share):
                self._step(model, *arguments)

        return traced(step, inputs, targets)

    def _model_of(self, shapes: Mapping[str, tuple[int, ...]]) -> Any:
        """The model itself, or the same for inputs of other shapes. Raises InputError when weights depend on them."""
        names = input_names(self.model)
        wanted = [tuple(tensor.shape[1:]) for tensor in self.model.inputs]
        found = bound(shapes, names) if self.objective.raw and self._resized is not None else wanted
        if found == wanted or self._resized is None:
            return self.model
        model = self._resized(dict(zip(names, found, strict=True)))
        if self._replicas is not None:
            self._replicas.prepare(model)
        mine, theirs = ([tuple(v.shape) for v in one.trainable_variables] for one in (self.model, model))
        if mine != theirs:
            raise InputError(
                f"training of {self.model.name!r}: the shapes of its weights depend on the size of its inputs "
                f"({wanted[0]}), so it cannot learn from smaller ones; set progressive.image_size to 1"
            )
        return model

    def _step(self, model: Any, raw: Mapping[str, Any], targets: Tree, step: Any, rate: Any, progress: Any) -> None:
        tf, variables = tensorflow(), self.variables
        statistics = variables["statistics"].read_value()
        weights = variables["weights"].read_value()
        scale: Any = None if self._scale is None else self._scale.value
        given = ((raw, targets), weights, statistics, progress, scale)
        of_batch = partial(self._gradient, model)
        on_all = of_batch(*given) if self._replicas is None else self._replicas.mean(of_batch, *given)
        gradient, terms, found, *counters = on_all

        def move() -> Any:
            self._move(gradient, weights, statistics, found, step, rate)
            for index, value in enumerate(counters):
                variables[f"counter{index}"].assign(value)
            return self._add_losses(terms)

        if self._scale is None:
            move()
            return
        finite = tf.reduce_all(tf.math.is_finite(gradient)) & tf.reduce_all(tf.math.is_finite(found))
        # With the smallest scale it is no overflow: the training is told that it diverges.
        tf.cond(finite | (scale <= 1.0), move, lambda: tf.constant(True))
        self._scale.update(finite)

    def _gradient(
        self,
        model: Any,
        batch: tuple[Mapping[str, Any], Tree],
        weights: Any,
        statistics: Any,
        progress: Any,
        scale: Any,
    ) -> list[Any]:
        """Gradient of the weights, the losses, new statistics as the layers have them, and counters."""
        tf, objective = tensorflow(), self.objective
        raw, targets = batch
        inputs = objective.prepared(raw)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            outputs, fixed = model.stateless_call(
                _split(weights, self._trainable),
                self._fixed(statistics),
                arguments(model, inputs),
                training=True,
            )
            terms = objective.terms(targets, named(outputs, objective.outputs), inputs, progress)
            loss = terms[0] if len(terms) == 1 else tf.add_n(terms)
            scaled = loss if scale is None else loss * scale
        gradient = tape.gradient(scaled, weights)
        pairs = list(zip(fixed, self._is_statistic, strict=True))
        floats = [tf.reshape(value, [-1]) for value, statistic in pairs if statistic]
        found = tf.concat(floats, 0) if floats else statistics
        counters = [value for value, statistic in pairs if not statistic]
        return [gradient if scale is None else gradient / scale, tf.stack(terms), found, *counters]

    def _move(self, gradient: Any, weights: Any, statistics: Any, found: Any, step: Any, rate: Any) -> None:
        """Moves weights, statistics and their averages."""
        tf = tensorflow()
        warm = (1.0 + step) / (10.0 + step)
        weights = self._update_weights(gradient, weights, step, rate)
        statistics = self._update_statistics(statistics, found, warm)
        decay = tf.minimum(self.settings.ema_decay, warm)
        for name, value in (("weights", weights), ("statistics", statistics)):
            average = self.variables[f"average_{name}"]
            average.assign(average * decay + value * (1.0 - decay))

    def _add_losses(self, terms: Any) -> Any:
        tf = tensorflow()
        self.variables["loss_sum"].assign_add(tf.reduce_sum(terms))
        if "term_sums" in self.variables:
            self.variables["term_sums"].assign_add(terms)
        return tf.constant(True)

    def _fixed(self, statistics: Any) -> list[Any]:
        """Non-trainable values in the model's order."""
        floats = iter(_split(statistics, self._statistics))
        counters = iter(self.variables[f"counter{index}"].read_value() for index in range(len(self._counters)))
        return [next(floats if statistic else counters) for statistic in self._is_statistic]

    def _update_weights(self, gradient: Any, weights: Any, step: Any, rate: Any) -> Any:
        variables = self.variables
        (gradient,) = clipped(self.settings, [gradient])
        first, second = variables["first_moment"], variables["second_moment"]
        change = move(self.settings, gradient, weights, first, second, self._decayed, step)
        return variables["weights"].assign(weights - rate * change)

    def _update_statistics(self, old: Any, found: Any, warm: Any) -> Any:
        """Like the layers' own update, but with a smaller momentum at first.

        With 0.99 from the start, the statistics of a training of 100 steps would still be a third initial values.
        """
        if not self._statistics:
            return old
        batch = old + (found - old) / (1.0 - self._momentum)
        momentum = tensorflow().minimum(self._momentum, warm)
        return self.variables["statistics"].assign(old * momentum + batch * (1.0 - momentum))


@contextlib.contextmanager
def _dropout(model: Any, share: float) -> Iterator[None]:
    """While a step is traced, the model's dropout has a share of its rate."""
    layers = [layer for layer in model.layers if share != 1.0 and type(layer).__name__ == "Dropout"]
    rates = [layer.rate for layer in layers]
    for layer, rate in zip(layers, rates, strict=True):
        layer.rate = share * rate
    try:
        yield
    finally:
        for layer, rate in zip(layers, rates, strict=True):
            layer.rate = rate


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
