"""Image classification: one label per image, softmax cross-entropy, top-1 accuracy."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from edgenas.data.dataset import Dataset
from edgenas.export._tensorflow import tensorflow
from edgenas.spaces.errors import InputError
from edgenas.spaces.ops import Shape
from edgenas.tasks.task import Task, register_task


@register_task("classification")
class Classification(Task):
    """Labels ``(N,)`` from 0 to classes - 1; outputs are logits ``(N, classes)``."""

    metric: ClassVar[str] = "top1"

    def output_shape(self, dataset: Dataset) -> Shape:
        return (dataset.classes,)

    def loss(self, labels: Any, outputs: Any, *, label_smoothing: float = 0.0) -> Any:
        """Cross-entropy against ``1 - s`` on the label plus ``s / classes`` on every class (arXiv 1512.00567)."""
        tf = tensorflow()
        classes = outputs.shape[-1]
        targets = tf.one_hot(
            labels, classes, 1.0 - label_smoothing + label_smoothing / classes, label_smoothing / classes
        )
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, outputs))

    def score(self, labels: np.ndarray, outputs: np.ndarray) -> float:
        """Share of images whose largest logit is the label's; a row with NaN counts as wrong."""
        if not len(labels):
            raise InputError("top-1 accuracy of no images is not defined")
        right = (outputs.argmax(axis=1) == labels) & np.isfinite(outputs).all(axis=1)
        return float(right.mean())
