"""How much each tower counts: all alike, or by weights that are learned on validation examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgenas.tasks.task import Task

Outputs = Mapping[str, np.ndarray]
_STEPS, _RATE = 200, 0.05


def summed(outputs: Sequence[Outputs], shares: Sequence[float]) -> dict[str, np.ndarray]:
    """The ensemble's outputs, of those of its towers."""
    return {
        name: np.asarray(sum(share * one[name] for share, one in zip(shares, outputs, strict=True)))
        for name in outputs[0]
    }


def equal_shares(count: int) -> tuple[float, ...]:
    """Those of an average."""
    return (1.0 / count,) * count


def learned_shares(task: Task, targets: Any, outputs: Sequence[Outputs]) -> tuple[float, ...]:
    """Shares that lessen the task's loss on examples, from those of an average: one number a tower, by Adam."""
    from edgenas.export._tensorflow import tensorflow

    tf = tensorflow()
    shares = tf.Variable(np.array(equal_shares(len(outputs)), np.float32))
    stacked = {name: tf.constant(np.stack([one[name] for one in outputs], -1)) for name in outputs[0]}
    first, second = np.zeros(len(outputs)), np.zeros(len(outputs))
    for step in range(1, _STEPS + 1):
        with tf.GradientTape() as tape:
            loss = task.loss(targets, {name: tf.linalg.matvec(values, shares) for name, values in stacked.items()})
        gradient = tape.gradient(loss, shares).numpy()
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        move = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        shares.assign_sub(np.asarray(_RATE * move, np.float32))
    return tuple(float(share) for share in shares.numpy())
