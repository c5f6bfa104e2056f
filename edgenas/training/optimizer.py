"""The optimizers, as arithmetic on one tensor: a flat vector of all weights, or one variable among many."""

from __future__ import annotations

from typing import Any

from edgenas.export._tensorflow import tensorflow
from edgenas.training.settings import TrainingSettings

_EPSILON = 1e-7
_BETA2 = 0.999


def clipped(settings: TrainingSettings, gradients: list[Any]) -> list[Any]:
    """Gradients scaled down together to the largest norm allowed."""
    tf = tensorflow()
    if not settings.clip_norm:
        return gradients
    if len(gradients) == 1:
        return [tf.clip_by_norm(gradients[0], settings.clip_norm)]
    return list(tf.clip_by_global_norm(gradients, settings.clip_norm)[0])


def move(
    settings: TrainingSettings, gradient: Any, weights: Any, first: Any, second: Any, decayed: Any, step: Any
) -> Any:
    """What is subtracted from the weights, per learning rate, at a step from 0.

    AdamW (arXiv 1711.05101), or SGD with Nesterov momentum. ``first`` and ``second`` are the variables of the moments
    (the second of AdamW only), ``decayed`` is 1 where weights decay.
    """
    tf, momentum = tensorflow(), settings.momentum
    if settings.optimizer == "adamw":
        mean = first.assign(first * momentum + gradient * (1.0 - momentum)) / (1.0 - momentum ** (step + 1.0))
        square = second.assign(second * _BETA2 + tf.square(gradient) * (1.0 - _BETA2))
        change = mean / (tf.sqrt(square / (1.0 - _BETA2 ** (step + 1.0))) + _EPSILON)
    else:
        velocity = first.assign(first * momentum + gradient)
        change = gradient + momentum * velocity
    return change + settings.weight_decay * decayed * weights if settings.weight_decay else change
