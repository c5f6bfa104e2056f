"""The task interface: what is learned, from which data, by which loss, and by which figures it is judged.

One class per task, found by name in a registry::

    @register_task("classification")
    class Classification(Task): ...

It decides everything that differs between tasks, from reading the data to what the bundle says; the training loop,
the search, the export and the reports read nothing about a task but this. A task that is a frozen dataclass has its
fields as options (``task_options`` of a recipe). Otherwise it is stateless. Examples and their columns are explained
in :mod:`edgenas.data.examples`.

A task of your own is one file: named under ``plugins`` of a recipe, or in a package with an entry point in the group
``edgenas.tasks``. ``edgenas.tasks.conformance.TaskConformance`` is the test class that it should pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from edgenas.data.augmentation import Augmentation
from edgenas.data.examples import Examples, Tree
from edgenas.data.task_data import DataRequest, TaskData
from edgenas.export.bundle.words import Described, TaskWords
from edgenas.spaces.block import Block
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.spaces.tensor import Shape
from edgenas.tasks.endings import EndingSettings
from edgenas.tasks.ends import bound, listed


class Task(ABC):
    """What is learned. See the module for how to write one."""

    #: The registered name, the key ``task`` of a search space or a recipe.
    kind: ClassVar[str] = ""
    #: Name of the figure among :meth:`metrics` that networks are compared by, such as ``top1``.
    metric: ClassVar[str] = ""
    #: Those of :meth:`metrics` of which less is better: errors of at least 0, in any unit. Never the primary one.
    smaller_is_better: ClassVar[frozenset[str]] = frozenset()
    #: What one of its examples is called in messages and reports.
    example: ClassVar[str] = "example"
    #: Whether ``export.finalize`` says how its networks end.
    is_finalized: ClassVar[bool] = False
    #: Whether its augmentation knows RandAugment, mixup, cutmix and smaller images.
    all_augmentations: ClassVar[bool] = False
    #: What to change in a recipe when a network does not fit the data at its inputs, or at its outputs.
    input_hint: ClassVar[str] = "set the inputs of the space to those of the data"
    output_hint: ClassVar[str] = "set the outputs of the space to those of the data"

    def for_devices(self, take_reals: bool) -> Task:
        """The task as it is for what a recipe ships to; ``take_reals``: its devices compute on real numbers, too."""
        return self

    # Data ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def load(self, request: DataRequest) -> TaskData:
        """The data that a recipe asks for. Raises InputError naming file and place of what is wrong."""

    def remarks(self, data: TaskData, validation_fraction: float, seed: int) -> tuple[str, ...]:
        """What a user should hear about the data before a search is built on it, a sentence each."""
        return data.notes

    def labels(self, data: TaskData) -> tuple[str, ...]:
        """Names of what is told apart, in the order of the outputs, for ``labels.txt``; empty when nothing has one."""
        return ()

    # Network -------------------------------------------------------------------------------------------------------

    def space_arguments(self, data: TaskData) -> Mapping[str, Any]:
        """What of ``SearchSpace.load`` follows the data: ``input_shape``, ``classes``."""
        return {}

    def inputs(self, data: TaskData) -> Mapping[str, Shape]:
        """Specs of the network's inputs by name, without the batch; the data's own when left out."""
        return {name: tuple(column.shape[1:]) for name, column in data.train.inputs.items()}

    @abstractmethod
    def outputs(self, data: TaskData) -> Mapping[str, Shape]:
        """Specs of the network's outputs by name. A single one fits whatever its node is called."""

    def check(self, data: TaskData, network: Network) -> None:
        """Raises InputError, with what to change, when the network does not fit the data."""
        found, wanted = dict(network.inputs), self.inputs(data)
        if not _same(found, wanted):
            raise InputError(
                f"network {network.name!r} takes {listed(found)}, data set {data.name!r} has {listed(wanted)}; "
                f"{self.input_hint}"
            )
        ends = dict(zip(network.outputs, network.graph.output_shapes, strict=True))
        if not _same(ends, self.outputs(data)):
            raise InputError(
                f"network {network.name!r} ends in {listed(ends)}, data set {data.name!r} needs "
                f"{listed(self.outputs(data))} for {self.kind}; {self.output_hint}"
            )

    def check_examples(self, examples: Examples, network: Network, preprocessing: Any) -> None:
        """Raises InputError when a network cannot be trained on these examples."""
        if not len(examples):
            raise InputError(f"training of {network.name!r}: no training examples")
        inputs = self.prepare(examples.batch(slice(0, 1))[0], preprocessing)
        shapes = {name: values.shape[1:] for name, values in inputs.items()}
        if not _same(dict(network.inputs), shapes):
            raise InputError(
                f"training of {network.name!r}: the network takes {listed(dict(network.inputs))}, the examples are "
                f"{listed(shapes)}; {self.input_hint}"
            )

    def for_network(self, network: Network, preprocessing: Any) -> Task:
        """The task as it is learned and judged with one network: itself, unless its outputs are told by the network.

        Detection takes the anchors of the network's levels. Whoever asks for a loss or metrics asks for this first.
        """
        return self

    # What a network eats -------------------------------------------------------------------------------------------

    def fit(self, examples: Examples) -> Any:
        """The preprocessing that these training examples need: an object with ``to_dict()``."""
        return NoPreprocessing()

    def read_preprocessing(self, data: Mapping[str, Any]) -> Any:
        """The inverse of its ``to_dict()``. Raises InputError when that is not what it wrote."""
        return NoPreprocessing()

    def prepare(self, inputs: Mapping[str, np.ndarray], preprocessing: Any) -> dict[str, np.ndarray]:
        """What the network is given, float32 or whole numbers: the same for training, calibration and verification."""
        return {
            name: values if np.issubdtype(values.dtype, np.integer) else values.astype(np.float32)
            for name, values in inputs.items()
        }

    def file_inputs(self, inputs: Mapping[str, np.ndarray], preprocessing: Any) -> dict[str, np.ndarray]:
        """What the shipped file is given: as the network, unless the file begins with :meth:`beginning`."""
        return self.prepare(inputs, preprocessing)

    def file_answers(self, outputs: Mapping[str, np.ndarray], preprocessing: Any) -> dict[str, np.ndarray]:
        """What a network would have put out where the shipped file puts out this; the inverse of :meth:`ending`."""
        return dict(outputs)

    def constants(self, preprocessing: Any) -> Mapping[str, tuple[np.ndarray, ...]]:
        """Arrays of the deployed parts of a network that are not trained, by the kind of block."""
        return {}

    def prepare_tensors(self, inputs: Mapping[str, Any], preprocessing: Any) -> dict[str, Any] | None:
        """:meth:`prepare` in TensorFlow ops, as part of the training step; None: it is done in NumPy before."""
        return None

    # Training ------------------------------------------------------------------------------------------------------

    def augment(
        self,
        inputs: dict[str, np.ndarray],
        targets: Tree,
        augmentation: Augmentation,
        rng: np.random.Generator,
    ) -> tuple[dict[str, np.ndarray], Tree]:
        """Random changes of a training batch, before :meth:`prepare`; the same for the same generator state."""
        return inputs, targets

    def initial_weights(self, model: Any, network: Network) -> Mapping[str, np.ndarray]:
        """Values that some variables of a new Keras model begin with, by path, where no initialiser knows them."""
        return {}

    @abstractmethod
    def loss(self, targets: Tree, outputs: Mapping[str, Any], *, label_smoothing: float = 0.0) -> Any:
        """Mean loss of a batch, over all outputs, as a scalar tensor.

        Called while TensorFlow traces; ``outputs`` are float32 by name of the network's output.
        """

    def distillation(self, outputs: Mapping[str, Any], taught: Mapping[str, Any], temperature: float) -> Any:
        """How far a network's outputs are from its teacher's: a scalar tensor. The mean square where left out."""
        from edgenas.export._tensorflow import tensorflow

        tf = tensorflow()
        parts = [tf.reduce_mean(tf.square(outputs[name] - taught[name])) for name in outputs]
        return tf.add_n(parts)

    # Judging -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def metrics(self, targets: Tree, outputs: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Figures in [0, 1] by name, higher is better, but for those of :attr:`smaller_is_better`.

        :attr:`metric` is one of them.

        ``outputs`` are those of a whole set of examples, of the trained model or of the shipped file. Raises
        InputError when there are none.
        """

    def score(self, targets: Tree, outputs: Mapping[str, np.ndarray]) -> float:
        """The primary one of :meth:`metrics`."""
        return self.metrics(targets, outputs)[self.metric]

    def class_probabilities(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """(N, classes) of tasks whose examples have one class each, with its index as their target: for the report's
        table of which class is taken for which. None for other tasks.
        """
        return None

    def pixel_labels(self, targets: Tree, outputs: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """(N, height, width) classes of pixels, of tasks whose targets are such maps, with 255 for void: for the
        report's pictures. None for other tasks.
        """
        return None

    def predicted_values(
        self, targets: Tree, outputs: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """(true, predicted) values, each ``(N,)`` in their unit, of tasks that predict one: for the report's plots."""
        return None

    def baselines(self, train: Examples, test: Examples, preprocessing: Any) -> dict[str, dict[str, float]]:
        """:meth:`metrics` on the test examples of what needs no search, by its name; empty where nothing is told."""
        return {}

    def boxes_found(self, outputs: Mapping[str, np.ndarray]) -> Any:
        """The boxes of each example (:class:`edgenas.tasks.detection.detections.Found`), of tasks that find some: for
        the report's pictures and figures. None for other tasks.
        """
        return None

    def pictures(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """(N, height, width, 1 or 3) uint8 of the inputs of a batch, for people to look at; None where there are none.

        ``inputs`` are those of the data, before :meth:`prepare`.
        """
        return None

    def beginning(self, data: TaskData) -> Block | None:
        """What runs before the trained part in deployed networks only: from :meth:`inputs` to :meth:`prepare`'s."""
        return None

    def ending(self, data: TaskData, settings: EndingSettings | None) -> Block | None:
        """What runs behind the trained part in deployed networks only, None where nothing does.

        Raises InputError for settings of a task that has no such part.
        """
        if settings is not None:
            raise InputError(
                f"export.finalize is for tasks whose networks end in a map of logits, such as segmentation, not for "
                f"{self.kind}; remove it"
            )
        return None

    # Shipping ------------------------------------------------------------------------------------------------------

    def calibration_rows(self, examples: Examples, how: str, count: int, seed: int) -> np.ndarray:
        """Which training examples set the ranges of integer tensors; ``how`` as in a recipe."""
        if how == "first":
            return np.arange(count)
        return np.sort(np.random.default_rng(seed).choice(len(examples), count, replace=False))

    def bundle_preprocessing(self, network: Network, preprocessing: Any) -> Any:
        """The preprocessing as a bundle tells it: with what its program needs to know of the network."""
        return preprocessing

    def decoding(self) -> Mapping[str, Any]:
        """How outputs become answers, for ``decoding`` of ``metrics.json``; empty where they are answers."""
        return {}

    def deployed(self, model: bytes, network: Network, preprocessing: Any = None) -> bytes:
        """A file of the network that goes on to answers by an operator of its own; the same bytes where none does.

        ``preprocessing`` is None for networks that have learned nothing yet.
        """
        return model

    def deployed_block(self, network: Network) -> SlotEntry | None:
        """What :meth:`deployed` puts behind a file of the network, as a latency table has it; None where nothing is."""
        return None

    def metadata(self, data: TaskData, preprocessing: Any) -> Described | None:
        """What TFLite metadata in the file say, for apps that read them; None when their schema has no such task."""
        return None

    def further_files(self, network: Network, model: Any) -> Mapping[str, bytes]:
        """Other files of a bundle by name, such as the trained network (a Keras ``model``) in another form.

        Names are those of :data:`edgenas.export.bundle.check.OPTIONAL_FILES`.
        """
        return {}

    def words(self, data: TaskData, network: Network, preprocessing: Any) -> TaskWords:
        """What the bundle says of the task: sentences of the model card and the program ``run.py``."""
        ends = (
            listed(dict(network.inputs)),
            listed(dict(zip(network.outputs, network.graph.output_shapes, strict=True))),
        )
        return TaskWords(task=self.kind, title=f"{self.kind.replace('_', ' ').capitalize()}: {ends[0]} to {ends[1]}")


class NoPreprocessing:
    """For tasks whose examples are what the network eats."""

    def to_dict(self) -> dict[str, Any]:
        return {}


def _same(found: Mapping[str, Shape], wanted: Mapping[str, Shape]) -> bool:
    try:
        return list(found.values()) == bound(wanted, tuple(found))
    except InputError:
        return False
