"""A task's metrics of a Keras model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgenas.data.examples import Examples
from edgenas.export._tensorflow import tensorflow
from edgenas.spaces.errors import InputError
from edgenas.tasks.files import in_memory
from edgenas.tasks.task import Task
from edgenas.training.losses import Objective, called
from edgenas.training.runtime import light_graphs

_BATCH_SIZE = 256


class ModelScorer:
    """Evaluates one model many times: its graph is built once, and reads the model's weights of the moment.

    Args:
        model: a Keras model.
        task: prepares the inputs and judges the outputs.
        preprocessing: as the model was trained with.
        outputs: names of the model's outputs in order; needed where there are several.
    """

    def __init__(self, model: Any, *, task: Task, preprocessing: Any, outputs: Sequence[str] = ("output",)) -> None:
        self.model, self.task, self.preprocessing = model, task, preprocessing
        raw = type(task).prepare_tensors is not Task.prepare_tensors
        self._objective = Objective((), task, preprocessing, outputs, raw=raw)
        self._forward: Any = None
        self._form: Any = None

    def outputs(self, examples: Examples) -> dict[str, np.ndarray]:
        """float32 outputs by name. Raises InputError when there are no examples or they are not what the task takes."""
        if not len(examples):
            raise InputError("evaluate: expected at least one example, found none")
        parts = []
        with light_graphs():
            for start in range(0, len(examples), _BATCH_SIZE):
                inputs, _ = examples.batch(slice(start, start + _BATCH_SIZE))
                if not self._objective.raw:
                    inputs = self.task.prepare(inputs, self.preprocessing)
                parts.append(self._run(inputs))
        return {name: np.concatenate([part[name] for part in parts]) for name in self._objective.outputs}

    def __call__(self, examples: Examples) -> dict[str, float]:
        """The task's metrics, such as ``{"top1": 0.9}``."""
        return self.task.metrics(in_memory(examples.targets), self.outputs(examples))

    def _run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        form = {name: (values.shape[1:], str(values.dtype)) for name, values in inputs.items()}
        if self._forward is None or form != self._form:
            self._form, self._forward = form, self._traced(inputs)
        return {name: value.numpy() for name, value in self._forward(*inputs.values()).items()}

    def _traced(self, inputs: Mapping[str, np.ndarray]) -> Any:
        tf, objective, names = tensorflow(), self._objective, list(inputs)

        def forward(*values: Any) -> dict[str, Any]:
            prepared = objective.prepared(dict(zip(names, values, strict=True)))
            found = called(self.model, prepared, objective.outputs, training=False)
            return {name: tf.cast(value, tf.float32) for name, value in found.items()}

        signature = [tf.TensorSpec((None, *values.shape[1:]), values.dtype) for values in inputs.values()]
        return tf.function(forward, input_signature=signature, autograph=False)


def evaluate(
    model: Any, examples: Examples, *, task: Task, preprocessing: Any, outputs: Sequence[str] = ("output",)
) -> dict[str, float]:
    """The task's metrics of a Keras model on examples; see :class:`ModelScorer`."""
    return ModelScorer(model, task=task, preprocessing=preprocessing, outputs=outputs)(examples)
