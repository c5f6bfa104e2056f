"""What the training loop drives: something with variables and a step. Two exist: packed, and in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from edgenas.data.examples import Tree, leaves, tree_map
from edgenas.export._tensorflow import tensorflow
from edgenas.training.losses import Objective

#: ``(inputs, targets, step from 0, learning rate, progress)``; adds the losses to the sums of the learner.
Step = Callable[[Mapping[str, np.ndarray], Tree, int, float, float], None]


class Learner(Protocol):
    """A network in training."""

    @property
    def variables(self) -> Mapping[str, Any]:
        """The state as ``tf.Variable`` by name: all that a checkpoint needs. ``loss_sum`` sums the losses."""
        ...

    @property
    def objective(self) -> Objective:
        """What its step minimises."""
        ...

    def make_step(self, inputs: Mapping[str, np.ndarray], targets: Tree, dropout_share: float = 1.0) -> Step:
        """The traced step for batches of the shapes and types of this one, with this share of the dropout."""
        ...

    def write_back(self) -> Any:
        """Puts the weights that are to be used into the Keras model and returns it."""
        ...


def traced(
    function: Callable[[Mapping[str, Any], Tree, Any, Any, Any], None], inputs: Mapping[str, np.ndarray], targets: Tree
) -> Step:
    """A step of tensors as a step of arrays, traced once for batches of this form.

    The leaves of a batch are the arguments: TensorFlow spends less time on a call with few plain ones.
    """
    tf = tensorflow()
    form = (dict(inputs), targets)
    scalar = tf.TensorSpec((), tf.float32)
    signature = [tf.TensorSpec(leaf.shape, leaf.dtype) for leaf in leaves(form)]

    def flat(*values: Any) -> None:
        *parts, step, rate, progress = values
        rest: Iterator[Any] = iter(parts)
        given, wanted = tree_map(lambda _: next(rest), form)
        function(given, wanted, step, rate, progress)

    compiled = tf.function(flat, input_signature=[*signature, scalar, scalar, scalar], autograph=False)
    form = tree_map(lambda leaf: None, form)  # the batch itself need not be kept

    def run(inputs: Mapping[str, np.ndarray], targets: Tree, step: int, rate: float, progress: float) -> None:
        compiled(*leaves((inputs, targets)), np.float32(step), np.float32(rate), np.float32(progress))

    return run
