"""What tasks have in common whose examples are of one class each, whatever their inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from edgenas.data.dataset import stratified_choice
from edgenas.data.examples import Examples
from edgenas.export._tensorflow import tensorflow
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.tasks.ends import only
from edgenas.tasks.task import Task

_EPSILON = 1e-7


class ClassLabelTask(Task):
    """Targets are labels ``(N,)`` from 0 to classes - 1; the output is logits ``(N, classes)``."""

    output_hint: ClassVar[str] = "set the classes of the space to those of the data"

    def check_examples(self, examples: Examples, network: Network, preprocessing: Any) -> None:
        super().check_examples(examples, network, preprocessing)
        classes, largest = network.graph.output_shapes[0][-1], int(examples.targets.max())
        if len(network.outputs) != 1 or largest >= classes:
            outputs = f"{len(network.outputs)} output{'s' * (len(network.outputs) != 1)} of {classes} classes"
            raise InputError(
                f"training of {network.name!r}: label {largest} found, the network has {outputs}; set the classes of "
                f"the space to {largest + 1} or more"
            )

    def loss(self, targets: Any, outputs: Mapping[str, Any], *, label_smoothing: float = 0.0) -> Any:
        """Cross-entropy against ``1 - s`` on the label plus ``s / classes`` on every class (arXiv 1512.00567).

        Of mixed examples the mixture of both labels' losses.
        """
        tf, logits = tensorflow(), only(outputs)
        if isinstance(targets, tuple):
            labels, partners, share = targets
            own, other = (self._losses(found, logits, label_smoothing) for found in (labels, partners))
            return tf.reduce_mean(share * own + (1.0 - share) * other)
        return tf.reduce_mean(self._losses(targets, logits, label_smoothing))

    def _losses(self, targets: Any, logits: Any, label_smoothing: float) -> Any:
        tf = tensorflow()
        classes = logits.shape[-1]
        wanted = tf.one_hot(
            targets, classes, 1.0 - label_smoothing + label_smoothing / classes, label_smoothing / classes
        )
        return tf.nn.softmax_cross_entropy_with_logits(wanted, logits)

    def distillation(self, outputs: Mapping[str, Any], taught: Mapping[str, Any], temperature: float) -> Any:
        """Divergence of the softened answers, times the temperature's square (Hinton et al., arXiv 1503.02531)."""
        tf = tensorflow()
        target = tf.nn.softmax(only(taught) / temperature)
        entropy = -tf.reduce_sum(target * tf.math.log(target + _EPSILON), -1)
        difference = tf.nn.softmax_cross_entropy_with_logits(target, only(outputs) / temperature) - entropy
        return temperature**2 * tf.reduce_mean(difference)

    def metrics(self, targets: np.ndarray, outputs: Mapping[str, np.ndarray]) -> dict[str, float]:
        """``top1``: share of examples whose largest logit is the label's; a row with NaN counts as wrong."""
        logits, labels = self.checked(targets, outputs)
        right = (logits.argmax(axis=-1) == labels) & np.isfinite(logits).all(axis=-1)
        return {"top1": float(right.mean())}

    def checked(self, targets: np.ndarray, outputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """(logits, labels). Raises InputError when there are none, or not as many of each."""
        logits, labels = np.asarray(only(outputs)), np.asarray(targets).reshape(-1)
        if not len(labels):
            raise InputError(f"top-1 accuracy of no {self.example}s is not defined")
        if len(labels) != len(logits):
            raise InputError(f"{len(logits)} {self.example}s but {len(labels)} labels")
        return logits, labels

    def class_probabilities(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """The softmax of the logits; a row with NaN stays one."""
        logits = np.asarray(only(outputs), np.float64)
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))

    def calibration_rows(self, examples: Examples, how: str, count: int, seed: int) -> np.ndarray:
        """``stratified`` gives every class its share."""
        if how == "stratified":
            return stratified_choice(examples.targets, count, seed)
        return super().calibration_rows(examples, how, count, seed)
