"""The traced functions of a supernet: gradients of one network, the step over their sum, and passes that score one.

Every function is traced once; which network it works on is a matter of the numbers it is fed (see ``places``). The
networks of a step follow each other, so that memory holds the activations of one.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from edgenas.data.examples import Tree
from edgenas.export._tensorflow import tensorflow
from edgenas.supernet.lesson import Batch, Lesson
from edgenas.supernet.network import Supernet
from edgenas.supernet.places import Plan
from edgenas.supernet.settings import SupernetSettings
from edgenas.supernet.shared_layer import Mode
from edgenas.tasks.files import in_memory
from edgenas.training.precision import compute_policy
from edgenas.training.replicas import visible_gpus

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-7


@dataclass(frozen=True)
class StepNetwork:
    """A network of a training step.

    Attributes:
        plan: which one.
        batch: what it learns from.
        above: (networks of the step,) weights of what it loses to each of those that it should be better than.
    """

    plan: Plan
    batch: Batch
    above: np.ndarray


@dataclass(frozen=True)
class Judgement:
    """What a network is worth with shared weights.

    Attributes:
        score: the task's primary metric.
        likelihood: e to the power of minus the task's loss. It says how sure the answers are too, so it ranks networks
            better than the metric does, of which few examples make a coarse figure.
    """

    score: float
    likelihood: float


def _traced(function: Any, *signature: Any) -> Any:
    return tensorflow().function(function, input_signature=signature, autograph=False)


class Learner:
    """A supernet with the state of its optimizer.

    Attributes:
        variables: all of the state but the batch-norm statistics, which are estimated anew for each network: the
            weights, Adam's moments, the number of ``step``s done, and the losses of the last one.
    """

    def __init__(
        self, supernet: Supernet, lesson: Lesson, settings: SupernetSettings, *, devices: Sequence[str] | None = None
    ) -> None:
        tf = tensorflow()
        self.supernet, self.lesson, self.settings = supernet, lesson, settings
        self._devices = visible_gpus(settings.gpus, "supernet") if devices is None else tuple(devices)
        self._dtype = compute_policy(settings.precision).removeprefix("mixed_")
        self.supernet.prepare(self._dtype)
        self.networks = settings.networks
        zeros = np.zeros(supernet.parameters, np.float32)
        self.variables = {
            "weights": supernet.weights,
            "first_moment": tf.Variable(zeros),
            "second_moment": tf.Variable(zeros),
            "step": tf.Variable(0, dtype=tf.int64),
            "losses": tf.Variable(np.zeros(self.networks, np.float32)),
        }
        plan = tf.TensorSpec((len(supernet.places.places), supernet.places.width), tf.int32)
        inputs, targets = lesson.signature()
        scalar = tf.TensorSpec((), tf.float32)
        weights = tf.TensorSpec(supernet.weights.shape, tf.float32)

        losses = tf.TensorSpec((self.networks,), tf.float32)
        self._signature = (inputs, targets, plan, losses, losses)
        self._gradient = _traced(self._gradient_by_labels, *self._signature)
        self._update = _traced(self._move, weights, losses, scalar)
        self._batch_outputs = _traced(self._answer_as_in_training, inputs, plan)
        self._calibrate = _traced(self._mix_statistics, inputs, plan, scalar)
        self._infer = _traced(self._answer, inputs, plan)

    @property
    def step(self) -> int:
        """Training steps done."""
        return int(self.variables["step"].numpy())

    def train(self, networks: Sequence[StepNetwork], taught: float, rate: float) -> None:
        """One step on several networks, of which the first may teach the others.

        Args:
            networks: in the order in which their losses are kept.
            taught: share of the first one's answers in what the others learn from; the rest are labels.
            rate: learning rate.
        """
        answers = self._batch_outputs(networks[0].batch[0], networks[0].plan) if taught else []
        losses, total, found = np.zeros(self.networks, np.float32), None, dict[int, Any]()
        # Those that should be worse come first: the losses that a network is compared with must be known.
        for number in sorted(range(len(networks)), key=lambda number: np.count_nonzero(networks[number].above)):
            one = networks[number]
            if one.above.any():  # else nothing is waited for, and several devices are at work
                _read(found, losses)
            given = (*one.batch, one.plan, one.above.astype(np.float32), losses)
            with self._device(len(found)):
                if taught and number:
                    gradient, found[number] = self._gradient_taught(*given, answers, np.float32(taught))
                else:
                    gradient, found[number] = self._gradient(*given)
            total = gradient if total is None else total + gradient
        _read(found, losses)
        self._update(total, losses, np.float32(rate))

    def _device(self, place: int) -> Any:
        """Where the network of this place in a step is computed."""
        if len(self._devices) < 2:
            return contextlib.nullcontext()
        return tensorflow().device(self._devices[place % len(self._devices)])

    def batch_score(self, batch: Batch, plan: Plan) -> float:
        """The task's figure on one batch, with the statistics of that batch."""
        inputs, targets = batch
        return self.lesson.score(targets, [output.numpy() for output in self._batch_outputs(inputs, plan)])

    def calibrate(self, plan: Plan) -> None:
        """Estimates the batch-norm statistics of one network."""
        for number, inputs in enumerate(self.lesson.calibration(self.settings.calibration_examples)):
            self._calibrate(inputs, plan, np.float32(number / (number + 1)))

    def score(self, plan: Plan) -> float:
        """The task's figure of one network on held-out examples, with statistics of its own."""
        return self.lesson.score(*self.answers(plan))

    def judge(self, plan: Plan) -> Judgement:
        """What one network is worth on held-out examples, with statistics of its own."""
        targets, outputs = self.answers(plan)
        loss = float(self.lesson.loss(targets, list(outputs), 0.0))
        return Judgement(self.lesson.score(targets, outputs), math.exp(-loss) if math.isfinite(loss) else 0.0)

    def answers(self, plan: Plan) -> tuple[Tree, list[np.ndarray]]:
        """Targets of the scored held-out examples, and what one network with statistics of its own puts out."""
        self.calibrate(plan)
        examples = self.lesson.scored(self.settings.scored_examples)
        parts = [
            [output.numpy() for output in self._infer(inputs, plan)] for inputs in self.lesson.in_batches(examples)
        ]
        return in_memory(examples.targets), [np.concatenate(batches) for batches in zip(*parts, strict=True)]

    # Traced --------------------------------------------------------------------------------------------------------

    def _outputs(self, inputs: Any, plan: Any, weights: Any) -> list[Any]:
        return self.supernet.outputs(inputs, plan, weights, Mode(training=True, dtype=self._dtype))

    def _gradient_by_labels(self, inputs: Any, targets: Any, plan: Any, above: Any, losses: Any) -> tuple[Any, Any]:
        """Gradient and loss of one network; ``losses`` are those of the networks that came before it in the step."""
        with tensorflow().GradientTape(watch_accessed_variables=False) as tape:
            weights = self.supernet.weights.read_value()
            tape.watch(weights)
            loss = self.lesson.loss(targets, self._outputs(inputs, plan, weights), self.settings.label_smoothing)
            term = loss + _lost(loss, above, losses)
        return tape.gradient(term, weights), loss

    @cached_property
    def _gradient_taught(self) -> Any:
        """The same, for a network that learns from another's answers too. Traced only where that is wanted."""
        tf, shapes = tensorflow(), self._batch_outputs.get_concrete_function().structured_outputs
        answers = [tf.TensorSpec(shape.shape, shape.dtype) for shape in shapes]

        def gradient(
            inputs: Any, targets: Any, plan: Any, above: Any, losses: Any, answers: Any, share: Any
        ) -> tuple[Any, Any]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                weights = self.supernet.weights.read_value()
                tape.watch(weights)
                outputs = self._outputs(inputs, plan, weights)
                loss = self.lesson.loss(targets, outputs, self.settings.label_smoothing)
                term = share * self.lesson.distillation(outputs, answers) + (1.0 - share) * loss
                term += _lost(loss, above, losses)
            return tape.gradient(term, weights), loss

        return _traced(gradient, *self._signature, answers, tf.TensorSpec((), tf.float32))

    def _move(self, gradient: Any, losses: Any, rate: Any) -> None:
        """Adam; no weight decay, which hurts weights that few networks share."""
        tf, variables = tensorflow(), self.variables
        if self.settings.clip_norm:
            gradient = tf.clip_by_norm(gradient, self.settings.clip_norm)
        count = tf.cast(variables["step"], tf.float32) + 1.0
        first, second = variables["first_moment"], variables["second_moment"]
        mean = first.assign(first * _BETA1 + gradient * (1 - _BETA1)) / (1 - _BETA1**count)
        square = second.assign(second * _BETA2 + tf.square(gradient) * (1 - _BETA2)) / (1 - _BETA2**count)
        self.supernet.weights.assign_sub(rate * mean / (tf.sqrt(square) + _EPSILON))
        variables["losses"].assign(losses)
        # Last, so that the count and the weights of an interrupted training fit each other.
        variables["step"].assign_add(1)

    def _answer_as_in_training(self, inputs: Any, plan: Any) -> list[Any]:
        return self._outputs(inputs, plan, self.supernet.weights.read_value())

    def _mix_statistics(self, inputs: Any, plan: Any, momentum: Any) -> None:
        self.supernet.outputs(inputs, plan, self.supernet.weights.read_value(), Mode(momentum=momentum))

    def _answer(self, inputs: Any, plan: Any) -> list[Any]:
        return self.supernet.outputs(inputs, plan, self.supernet.weights.read_value(), Mode())


def _read(found: dict[int, Any], losses: np.ndarray) -> None:
    """Waits for losses by number."""
    for number, loss in found.items():
        losses[number] = loss.numpy()


def _lost(loss: Any, above: Any, losses: Any) -> Any:
    """The pairwise rank loss: what a network loses to those that it should be better than."""
    tf = tensorflow()
    return tf.reduce_sum(above * tf.nn.relu(loss - losses))
