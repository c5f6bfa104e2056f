"""A short training of a network that is trained already, in the form in which it is deployed.

It may compute with fake quantization and its kernels may be projected (pruned, clustered) after every step. The
trained float network is the teacher: the loss mixes the labels with its softened answers (Hinton et al.,
arXiv 1503.02531), so that what changes is how the network computes rather than what it says.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgenas.data.dataset import Split
from edgenas.export._tensorflow import tensorflow
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.spaces.errors import InputError
from edgenas.tasks import Task, get_task
from edgenas.training.augmentation import Augmentation, augment
from edgenas.training.packed import normalised
from edgenas.training.runtime import light_graphs
from edgenas.training.train import TrainingDivergedError

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-7
_WARMUP = 0.1


@dataclass(frozen=True)
class FineTuningSettings:
    """Settings of one fine-tuning. Raises InputError naming the field, what was found and what was expected.

    Attributes:
        epochs: passes over the training images.
        max_steps: ends the fine-tuning after so many steps when the epochs would take more.
        batch_size: images per step.
        learning_rate: of Adam (arXiv 1412.6980) at its peak, after a warm-up of a tenth; then half a cosine to 0.
        distillation: weight of the teacher's answers in the loss, in [0, 1]; the labels have the rest.
        temperature: what both networks' logits are divided by in the teacher's part.
        augmentation: random changes of the training images.
    """

    epochs: int = 3
    max_steps: int | None = None
    batch_size: int = 64
    learning_rate: float = 5e-4
    distillation: float = 0.9
    temperature: float = 2.0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "max_steps"):
            value = getattr(self, name)
            if value is not None and not value >= 1:
                raise InputError(f"fine-tuning: {name} must be at least 1, not {value!r}")
        for name in ("learning_rate", "temperature"):
            if not getattr(self, name) > 0:
                raise InputError(f"fine-tuning: {name} must be above 0, not {getattr(self, name)!r}")
        if not 0 <= self.distillation <= 1:
            raise InputError(f"fine-tuning: distillation must be in [0, 1], not {self.distillation!r}")

    def steps(self, images: int) -> int:
        """Steps of the whole fine-tuning on so many images."""
        total = self.epochs * max(1, images // self.batch_size)
        return total if self.max_steps is None else min(total, self.max_steps)


def fine_tune(
    model: Any,
    teacher: Any,
    split: Split,
    settings: FineTuningSettings,
    *,
    seed: int,
    preprocessing: Preprocessing,
    project: Callable[[float], None] | None = None,
    on_step: Callable[[int, int], None] | None = None,
    task: Task | None = None,
) -> float:
    """Trains ``model`` in place; returns the seconds it took.

    Args:
        model: a Keras or tf-keras model of logits, made of the trained network's weights.
        teacher: the trained float model; it is only asked.
        split: training images, uint8.
        settings: how.
        seed: of the order and the changes of the images; equal seeds give equal results on the same machine.
        preprocessing: of the images, as the network was trained with.
        project: called with the progress in (0, 1] after every step; keeps the weights pruned or clustered.
        on_step: called with (steps done, steps) after every step.
        task: what the labels mean; classification when left out.

    Raises:
        InputError: no images.
        TrainingDivergedError: the loss is not a finite number any more.
    """
    if not len(split):
        raise InputError(f"fine-tuning of {model.name!r}: no training images")
    start = time.monotonic()
    batch_size = min(settings.batch_size, len(split))
    steps = settings.steps(len(split))
    tuner = _Tuner(model, teacher, settings, preprocessing, task or get_task("classification"))
    step_function = tuner.make_step((batch_size, *split.images.shape[1:]))
    rng = np.random.default_rng(seed)
    order = np.empty(0, np.int64)
    with light_graphs():
        for step in range(steps):
            if len(order) < batch_size:
                order = rng.permutation(len(split))
            chosen, order = order[:batch_size], order[batch_size:]
            images = augment(split.images[chosen], settings.augmentation, rng)
            loss = step_function(
                images, split.labels[chosen], np.float32(_learning_rate(settings, step, steps)), np.float32(step + 1)
            )
            if project is not None:
                project((step + 1) / steps)
            if not math.isfinite(float(loss)):
                raise TrainingDivergedError(
                    f"fine-tuning of {model.name!r} diverged: the loss is not finite at step {step + 1} of {steps}; "
                    f"use a learning_rate below {settings.learning_rate:g}"
                )
            if on_step is not None:
                on_step(step + 1, steps)
    return time.monotonic() - start


class _Tuner:
    """One step of Adam on the mixed loss, over the model's variables wherever they come from."""

    def __init__(
        self, model: Any, teacher: Any, settings: FineTuningSettings, preprocessing: Preprocessing, task: Task
    ) -> None:
        tf = tensorflow()
        self.model, self.teacher = model, teacher
        self.settings, self.preprocessing, self.task = settings, preprocessing, task
        self.variables = _plain_variables(model)
        self.first = [tf.Variable(tf.zeros_like(variable)) for variable in self.variables]
        self.second = [tf.Variable(tf.zeros_like(variable)) for variable in self.variables]

    def make_step(self, shape: tuple[int, ...]) -> Any:
        """The traced step ``(images uint8, labels, learning rate, step from 1) -> loss``."""
        tf = tensorflow()
        scalar = tf.TensorSpec((), tf.float32)
        signature = [tf.TensorSpec(shape, tf.uint8), tf.TensorSpec(shape[:1], tf.int64), scalar, scalar]
        return tf.function(self._step, input_signature=signature, autograph=False)

    def _step(self, images: Any, labels: Any, rate: Any, step: Any) -> Any:
        tf = tensorflow()
        inputs = normalised(images, self.preprocessing)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.variables)
            loss = self._loss(labels, self.model(inputs, training=True), inputs)
        gradients = tape.gradient(loss, self.variables)
        shrink = tf.sqrt(1.0 - _BETA2**step) / (1.0 - _BETA1**step)
        for variable, gradient, first, second in zip(self.variables, gradients, self.first, self.second, strict=True):
            if gradient is None:
                continue
            mean = first.assign(first * _BETA1 + gradient * (1.0 - _BETA1))
            square = second.assign(second * _BETA2 + tf.square(gradient) * (1.0 - _BETA2))
            variable.assign_sub(rate * shrink * mean / (tf.sqrt(square) + _EPSILON))
        return loss

    def _loss(self, labels: Any, logits: Any, inputs: Any) -> Any:
        tf, settings = tensorflow(), self.settings
        loss = self.task.loss(labels, logits)
        if not settings.distillation:
            return loss
        temperature = settings.temperature
        target = tf.nn.softmax(tf.stop_gradient(self.teacher(inputs, training=False)) / temperature)
        entropy = -tf.reduce_sum(target * tf.math.log(target + _EPSILON), -1)
        difference = tf.nn.softmax_cross_entropy_with_logits(target, logits / temperature) - entropy
        taught = temperature**2 * tf.reduce_mean(difference)
        return (1 - settings.distillation) * loss + settings.distillation * taught


def _plain_variables(model: Any) -> Sequence[Any]:
    """TensorFlow's own variables, which Keras 3 keeps inside of its own kind."""
    return [
        getattr(variable, "value", variable) if not callable(getattr(variable, "value", None)) else variable
        for variable in model.trainable_variables
    ]


def _learning_rate(settings: FineTuningSettings, step: int, steps: int) -> float:
    warmup = max(1, round(_WARMUP * steps))
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
