"""What a training minimises: a weighted sum of losses, such as the task's own and the distance to a teacher."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from edgenas.data.examples import Tree
from edgenas.export._tensorflow import tensorflow
from edgenas.tasks.ends import bound, named
from edgenas.tasks.task import Task

#: A weight, or what makes one of the progress of a training, a scalar tensor in (0, 1].
Weight = float | Callable[[Any], Any]
#: How far a network's answers are from its teacher's.
DistillationLoss = Literal["cross_entropy", "mse_softmax", "mse_logits"]


@dataclass(frozen=True)
class Answered:
    """What a loss sees of a batch, all tensors.

    Attributes:
        targets: of the examples.
        outputs: of the network, float32 by name.
        inputs: what the network was given, by name.
        progress: of the training, in (0, 1].
    """

    targets: Tree
    outputs: Mapping[str, Any]
    inputs: Mapping[str, Any]
    progress: Any


class Loss(Protocol):
    """A term of what is minimised. Called while TensorFlow traces."""

    @property
    def name(self) -> str: ...

    @property
    def weight(self) -> Weight: ...

    def __call__(self, answered: Answered) -> Any:
        """The mean over the batch, a scalar tensor."""
        ...


@dataclass(frozen=True)
class TaskLoss:
    """The loss of the task itself, over all outputs of the network."""

    task: Task
    label_smoothing: float = 0.0
    weight: Weight = 1.0
    name: str = "task"

    def __call__(self, answered: Answered) -> Any:
        return self.task.loss(answered.targets, answered.outputs, label_smoothing=self.label_smoothing)


@dataclass(frozen=True, eq=False)
class Distillation:
    """How far the network is from a trained one that gets the same inputs.

    Attributes:
        task: says what distance means for its outputs.
        teacher: a Keras model of the same inputs and outputs; it is only asked.
        temperature: what logits are divided by before they are compared.
        loss: cross_entropy is what the task itself takes for its outputs (softened answers, where there are classes);
            mse_softmax is the mean square of the difference of softened answers, mse_logits of the outputs.
    """

    task: Task
    teacher: Any
    temperature: float = 2.0
    weight: Weight = 1.0
    name: str = "distillation"
    loss: DistillationLoss = "cross_entropy"

    def __call__(self, answered: Answered) -> Any:
        tf = tensorflow()
        taught = called(self.teacher, answered.inputs, tuple(answered.outputs), training=False)
        taught = {name: tf.stop_gradient(value) for name, value in taught.items()}
        if self.loss == "cross_entropy":
            return self.task.distillation(answered.outputs, taught, self.temperature)
        pairs = [(answered.outputs[name], value) for name, value in taught.items()]
        if self.loss == "mse_softmax":
            pairs = [tuple(tf.nn.softmax(one / self.temperature) for one in pair) for pair in pairs]
        return tf.add_n([tf.reduce_mean(tf.square(found - wanted)) for found, wanted in pairs])


@dataclass(frozen=True, eq=False)
class ResidualLoss:
    """The task's loss of what others answer and what the network adds to it: it learns what they leave wrong.

    Attributes:
        task: of the loss.
        others: a Keras model of the same inputs and outputs; it is only asked.
        label_smoothing: as in :class:`TaskLoss`.
    """

    task: Task
    others: Any
    label_smoothing: float = 0.0
    weight: Weight = 1.0
    name: str = "residual"

    def __call__(self, answered: Answered) -> Any:
        tf = tensorflow()
        theirs = called(self.others, answered.inputs, tuple(answered.outputs), training=False)
        together = {name: value + tf.stop_gradient(theirs[name]) for name, value in answered.outputs.items()}
        return self.task.loss(answered.targets, together, label_smoothing=self.label_smoothing)


def taught(task: Task, teacher: Distillation, label_smoothing: float, *, share: float, ramped: bool) -> list[Loss]:
    """The losses of a training with a teacher: its share of the loss, and the labels' rest.

    ``ramped``: the share grows from 0 at the first step to what it is at the last.
    """
    if ramped:
        labels = TaskLoss(task, label_smoothing, weight=lambda progress: 1.0 - share * progress)
        return [labels, dataclasses.replace(teacher, weight=lambda progress: share * progress)]
    return [TaskLoss(task, label_smoothing, weight=1.0 - share), dataclasses.replace(teacher, weight=share)]


def of_task(losses: Sequence[Loss], task: Task) -> list[Loss]:
    """The same losses, those of the task's kind with this one: as it is for the network that is trained."""
    return [
        dataclasses.replace(loss, task=task)  # type: ignore[type-var]
        if getattr(getattr(loss, "task", None), "kind", None) == task.kind
        else loss
        for loss in losses
    ]


class Objective:
    """The losses of a training over the outputs of one network.

    Args:
        losses: at least one.
        task: prepares the inputs.
        preprocessing: of the inputs.
        outputs: names of the network's outputs, in order.
        raw: whether batches hold what is to be prepared in the step, or what the network eats.
    """

    def __init__(
        self, losses: Sequence[Loss], task: Task, preprocessing: Any, outputs: Sequence[str], *, raw: bool
    ) -> None:
        self.losses, self.task, self.preprocessing = tuple(losses), task, preprocessing
        self.outputs, self.raw = tuple(outputs), raw

    def prepared(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the network is given, of the tensors of a batch."""
        if not self.raw:
            return inputs
        found = self.task.prepare_tensors(inputs, self.preprocessing)
        return inputs if found is None else found

    def terms(self, targets: Tree, outputs: Mapping[str, Any], inputs: Mapping[str, Any], progress: Any) -> list[Any]:
        """The weighted losses, a scalar tensor each."""
        tf = tensorflow()
        floats = {name: tf.cast(value, tf.float32) for name, value in outputs.items()}
        answered = Answered(targets, floats, inputs, progress)
        terms = []
        for loss in self.losses:
            weight = loss.weight(progress) if callable(loss.weight) else loss.weight
            term = loss(answered)
            terms.append(term if isinstance(weight, float) and weight == 1.0 else weight * term)
        return terms


def input_names(model: Any) -> list[str]:
    """Names of a Keras model's inputs, in order."""
    return [str(tensor.name).partition(":")[0] for tensor in model.inputs]


def arguments(model: Any, inputs: Mapping[str, Any]) -> Any:
    """Named tensors as a Keras model takes them: one, or a list in the model's order."""
    values = bound(inputs, input_names(model))
    return values[0] if len(values) == 1 else values


def called(model: Any, inputs: Mapping[str, Any], outputs: Sequence[str], *, training: bool) -> dict[str, Any]:
    """A Keras model's outputs by name."""
    return named(model(arguments(model, inputs), training=training), outputs)
