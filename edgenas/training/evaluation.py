"""Accuracy of a Keras model on uint8 images."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgenas.export._tensorflow import tensorflow
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.spaces.errors import InputError
from edgenas.tasks import Task, get_task
from edgenas.training.packed import normalised
from edgenas.training.runtime import light_graphs

_BATCH_SIZE = 256


class ModelScorer:
    """Evaluates one model many times: its graph is built once, and reads the model's weights of the moment."""

    def __init__(self, model: Any, preprocessing: Preprocessing, task: Task | None = None) -> None:
        tf = tensorflow()
        self.task = task or get_task("classification")
        self._shape = tuple(model.inputs[0].shape[1:])

        def forward(images: Any) -> Any:
            return tf.cast(model(normalised(images, preprocessing), training=False), tf.float32)

        signature = [tf.TensorSpec((None, *self._shape), tf.uint8)]
        self._forward = tf.function(forward, input_signature=signature, autograph=False)

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """float32 outputs of uint8 images. Raises InputError when they are not what the model takes."""
        if images.dtype != np.uint8 or images.shape[1:] != self._shape or not len(images):
            raise InputError(
                f"evaluate: expected uint8 images of shape (N, {', '.join(map(str, self._shape))}) with N > 0, "
                f"found {images.dtype} of shape {images.shape}"
            )
        with light_graphs():
            batches = [
                self._forward(tensorflow().constant(images[start : start + _BATCH_SIZE])).numpy()
                for start in range(0, len(images), _BATCH_SIZE)
            ]
        return np.concatenate(batches)

    def __call__(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The task's figure, such as top-1 accuracy in [0, 1]."""
        return self.task.score(labels, self.outputs(images))


def evaluate(
    model: Any, images: np.ndarray, labels: np.ndarray, preprocessing: Preprocessing, *, task: Task | None = None
) -> float:
    """Top-1 accuracy in [0, 1] (or the figure of another task) of a Keras model on uint8 NHWC images."""
    return ModelScorer(model, preprocessing, task)(images, labels)
