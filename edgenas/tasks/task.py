"""The task interface: what is learned, from which data, by which loss, and by which figure it is judged.

One class per task, found by name in a registry::

    @register_task("classification")
    class Classification(Task): ...

A task is stateless. The training loop, the evaluation and the recipes read nothing about a task but this.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np

from edgenas.data.dataset import Dataset
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.spaces.ops import Shape

_REGISTRY: dict[str, type[Task]] = {}
TaskType = TypeVar("TaskType", bound="type[Task]")


class Task(ABC):
    """What is learned. Subclasses take no arguments."""

    #: The registered name, the key ``task`` of a search space.
    kind: ClassVar[str] = ""
    #: Name of the figure that :meth:`score` returns, such as ``top1``.
    metric: ClassVar[str] = ""

    @abstractmethod
    def output_shape(self, dataset: Dataset) -> Shape:
        """Shape of the network's output (without batch) that the data need: ``(classes,)`` for classification."""

    @abstractmethod
    def loss(self, labels: Any, outputs: Any, *, label_smoothing: float = 0.0) -> Any:
        """Mean loss of a batch as a scalar tensor. Called while TensorFlow traces, with float32 outputs."""

    @abstractmethod
    def score(self, labels: np.ndarray, outputs: np.ndarray) -> float:
        """The figure that networks are compared by, in [0, 1], higher is better. Raises InputError on no labels."""

    def check(self, dataset: Dataset, network: Network) -> None:
        """Raises InputError, with what to change, when the network does not fit the data."""
        shapes = [shape for _, shape in network.inputs]
        if shapes != [dataset.image_shape]:
            raise InputError(
                f"network {network.name!r} takes {_list(shapes)}, data set {dataset.name!r} has images of "
                f"{dataset.image_shape}; set image_size and channels of the data, or the space's input_shape"
            )
        outputs = list(network.graph.output_shapes)
        wanted = self.output_shape(dataset)
        if outputs != [wanted]:
            raise InputError(
                f"network {network.name!r} ends in {_list(outputs)}, data set {dataset.name!r} needs {wanted} for "
                f"{self.kind} with {dataset.classes} classes; set the classes of the space to {dataset.classes}"
            )


def register_task(kind: str) -> Callable[[TaskType], TaskType]:
    """Class decorator that makes a task known under ``kind``. Raises InputError when the name is taken."""

    def register(cls: TaskType) -> TaskType:
        known = _REGISTRY.get(kind)
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise InputError(f"task {kind!r} is already registered by {known.__qualname__}")
        cls.kind = kind
        _REGISTRY[kind] = cls
        return cls

    return register


def task_names() -> tuple[str, ...]:
    """Names of all registered tasks, sorted."""
    return tuple(sorted(_REGISTRY))


def get_task(kind: str) -> Task:
    """The task registered under ``kind``. Raises InputError with the known names."""
    try:
        return _REGISTRY[kind]()
    except KeyError:
        raise InputError(f"unknown task {kind!r}: expected one of {', '.join(task_names())}") from None


def _list(shapes: Sequence[Shape]) -> str:
    return " and ".join(map(str, shapes)) or "nothing"
