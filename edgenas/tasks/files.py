"""A network's inputs out of examples, and the metrics of a model file on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgenas.data.columns import StreamedColumn
from edgenas.data.examples import Examples, leaves, tree_map
from edgenas.export.tflite.reader import model_io
from edgenas.export.verify import tflite_outputs
from edgenas.spaces.network import Network
from edgenas.tasks.ends import bound
from edgenas.tasks.task import Task


def network_inputs(task: Task, examples: Examples, network: Network, preprocessing: Any) -> list[Any]:
    """What a network takes of some examples: a column for each of its inputs, in its order.

    Columns are arrays, or read and prepared when they are needed where the examples are.
    """
    names = [name for name, _ in network.inputs]
    if not examples.streamed:
        return bound(task.prepare(examples.batch(slice(None))[0], preprocessing), names)
    first = task.prepare(examples.batch(slice(0, 1))[0], preprocessing)
    return bound(
        {name: _Prepared(task, examples, preprocessing, name, values) for name, values in first.items()}, names
    )


def file_outputs(
    model: bytes, examples: Examples, *, task: Task, network: Network, preprocessing: Any, processes: int = 2
) -> dict[str, Any]:
    """What a ``.tflite`` file of a network answers to examples, by output, in real numbers.

    Outputs that an operator behind the network makes have the file's own names.
    Raises as :func:`edgenas.export.verify.tflite_outputs`.
    """
    found = tflite_outputs(model, network_inputs(task, examples, network, preprocessing), processes=processes)
    names = network.outputs if len(found) == len(network.outputs) else [end.name for end in model_io(model).outputs]
    return dict(zip(names, found, strict=True))


def file_metrics(
    model: bytes, examples: Examples, *, task: Task, network: Network, preprocessing: Any, processes: int = 2
) -> dict[str, float]:
    """The task's metrics of a ``.tflite`` file of a network. Raises as :func:`edgenas.export.verify.tflite_outputs`."""
    found = file_outputs(model, examples, task=task, network=network, preprocessing=preprocessing, processes=processes)
    return task.for_network(network, preprocessing).metrics(in_memory(examples.targets), found)


def in_memory(targets: Any) -> Any:
    """The targets of a whole set of examples as arrays."""
    if all(isinstance(leaf, np.ndarray) for leaf in leaves(targets)):
        return targets
    return tree_map(lambda column: np.asarray(column[:]), targets)


class _Prepared(StreamedColumn):
    """One prepared input of examples that are read from a disk."""

    def __init__(self, task: Task, examples: Examples, preprocessing: Any, name: str, first: np.ndarray) -> None:
        super().__init__((len(examples), *first.shape[1:]), first.dtype)
        self.task, self.examples, self.preprocessing, self.name = task, examples, preprocessing, name

    def read(self, indices: np.ndarray) -> np.ndarray:
        return self.task.prepare(self.examples.batch(indices)[0], self.preprocessing)[self.name]
