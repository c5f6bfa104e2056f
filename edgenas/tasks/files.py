"""A network's inputs out of examples, and the metrics of a model file on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgenas.data.columns import StreamedColumn
from edgenas.data.examples import Examples, leaves, tree_map
from edgenas.export.tflite.reader import model_io
from edgenas.export.verify import tflite_outputs
from edgenas.spaces.network import Network
from edgenas.tasks.ends import bound
from edgenas.tasks.task import Task

Prepare = Callable[[Mapping[str, np.ndarray], Any], dict[str, np.ndarray]]


def network_inputs(task: Task, examples: Examples, network: Network, preprocessing: Any) -> list[Any]:
    """What the trained part of a network takes of some examples: a column for each of its inputs, in its order.

    Columns are arrays, or read and prepared when they are needed where the examples are.
    """
    return _columns(task.prepare, examples, network, preprocessing)


def _columns(prepare: Prepare, examples: Examples, network: Network, preprocessing: Any) -> list[Any]:
    names = [name for name, _ in network.inputs]
    if not examples.streamed:
        return bound(prepare(examples.batch(slice(None))[0], preprocessing), names)
    first = prepare(examples.batch(slice(0, 1))[0], preprocessing)
    return bound(
        {name: _Prepared(prepare, examples, preprocessing, name, values) for name, values in first.items()}, names
    )


def file_outputs(
    model: bytes, examples: Examples, *, task: Task, network: Network, preprocessing: Any, processes: int = 2
) -> dict[str, Any]:
    """What a shipped file of a network answers to examples, by output, as its trained part would.

    Outputs that an operator behind the network makes have the file's own names.
    Raises as :func:`edgenas.export.verify.tflite_outputs`.
    """
    inputs = _columns(task.file_inputs, examples, network, preprocessing)
    found = tflite_outputs(model, inputs, processes=processes)
    names = network.outputs if len(found) == len(network.outputs) else [end.name for end in model_io(model).outputs]
    return task.file_answers(dict(zip(names, found, strict=True)), preprocessing)


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

    def __init__(self, prepare: Prepare, examples: Examples, preprocessing: Any, name: str, first: np.ndarray) -> None:
        super().__init__((len(examples), *first.shape[1:]), first.dtype)
        self.prepare, self.examples, self.preprocessing, self.name = prepare, examples, preprocessing, name

    def read(self, indices: np.ndarray) -> np.ndarray:
        return self.prepare(self.examples.batch(indices)[0], self.preprocessing)[self.name]
