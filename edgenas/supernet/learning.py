"""The traced functions of a supernet: one training step over several networks, and passes that score one.

Every function is traced once; which networks it works on is a matter of the numbers it is fed (see ``places``).
"""

from __future__ import annotations

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

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-7


class Learner:
    """A supernet with the state of its optimizer.

    Attributes:
        variables: all of the state but the batch-norm statistics, which are estimated anew for each network: the
            weights, Adam's moments, the number of ``step``s done, and the losses of the last one.
    """

    def __init__(self, supernet: Supernet, lesson: Lesson, settings: SupernetSettings) -> None:
        tf = tensorflow()
        self.supernet, self.lesson, self.settings = supernet, lesson, settings
        self.networks = 2 + settings.random_networks
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

        def traced(function: Any, *signature: Any) -> Any:
            return tf.function(function, input_signature=signature, autograph=False)

        # A function of its own, so that the networks of a step share one graph, forwards and backwards.
        self._train_forward = traced(self._forward, inputs, plan, weights)
        plans = tf.TensorSpec((self.networks, *plan.shape), tf.int32)
        pairs = tf.TensorSpec((self.networks, self.networks), tf.float32)
        self._step = traced(self._train_step, inputs, targets, plans, pairs, scalar, scalar)
        self._batch_outputs = traced(self._answer_as_in_training, inputs, plan)
        self._calibrate = traced(self._mix_statistics, inputs, plan, scalar)
        self._infer = traced(self._answer, inputs, plan)

    @property
    def step(self) -> int:
        """Training steps done."""
        return int(self.variables["step"].numpy())

    def train(self, batch: Batch, plans: np.ndarray, pairs: np.ndarray, taught: float, rate: float) -> None:
        """One step on several networks, of which the first learns from labels and teaches the others.

        ``pairs[i, j]`` is the weight of what network ``i``, which should be the better one, loses to ``j``. ``taught``
        is the share of the first one's answers in what the others learn from; the rest are labels.
        """
        self._step(*batch, plans, pairs.astype(np.float32), np.float32(taught), np.float32(rate))

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

    def answers(self, plan: Plan) -> tuple[Tree, list[np.ndarray]]:
        """Targets of the scored held-out examples, and what one network with statistics of its own puts out."""
        self.calibrate(plan)
        examples = self.lesson.scored(self.settings.scored_examples)
        parts = [
            [output.numpy() for output in self._infer(inputs, plan)] for inputs in self.lesson.in_batches(examples)
        ]
        return in_memory(examples.targets), [np.concatenate(batches) for batches in zip(*parts, strict=True)]

    # Traced --------------------------------------------------------------------------------------------------------

    def _forward(self, inputs: Any, plan: Any, weights: Any) -> list[Any]:
        return self.supernet.outputs(inputs, plan, weights, Mode(training=True))

    def _train_step(self, inputs: Any, targets: Any, plans: Any, pairs: Any, share: Any, rate: Any) -> None:
        tf, lesson = tensorflow(), self.lesson
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            weights = self.supernet.weights.read_value()
            tape.watch(weights)
            answers = [self._train_forward(inputs, plans[number], weights) for number in range(self.networks)]
            taught = [tf.stop_gradient(answer) for answer in answers[0]]
            labelled = [lesson.loss(targets, answer, self.settings.label_smoothing) for answer in answers]
            terms = labelled[:1]
            for answer, loss in zip(answers[1:], labelled[1:], strict=True):
                terms.append(share * lesson.distillation(answer, taught) + (1.0 - share) * loss)
            losses = tf.stack(labelled)
            ranked = pairs * tf.nn.relu(losses[:, None] - tf.stop_gradient(losses)[None, :])
            loss = tf.add_n(terms) + tf.reduce_sum(ranked)
        self._update(tape.gradient(loss, weights), weights, rate)
        self.variables["losses"].assign(losses)
        # Last, so that the count and the weights of an interrupted training fit each other.
        self.variables["step"].assign_add(1)

    def _update(self, gradient: Any, weights: Any, rate: Any) -> None:
        """Adam; no weight decay, which hurts weights that few networks share."""
        tf, variables = tensorflow(), self.variables
        if self.settings.clip_norm:
            gradient = tf.clip_by_norm(gradient, self.settings.clip_norm)
        count = tf.cast(variables["step"], tf.float32) + 1.0
        first, second = variables["first_moment"], variables["second_moment"]
        mean = first.assign(first * _BETA1 + gradient * (1 - _BETA1)) / (1 - _BETA1**count)
        square = second.assign(second * _BETA2 + tf.square(gradient) * (1 - _BETA2)) / (1 - _BETA2**count)
        self.supernet.weights.assign(weights - rate * mean / (tf.sqrt(square) + _EPSILON))

    def _answer_as_in_training(self, inputs: Any, plan: Any) -> list[Any]:
        answers: list[Any] = self._train_forward(inputs, plan, self.supernet.weights.read_value())
        return answers

    def _mix_statistics(self, inputs: Any, plan: Any, momentum: Any) -> None:
        self.supernet.outputs(inputs, plan, self.supernet.weights.read_value(), Mode(momentum=momentum))

    def _answer(self, inputs: Any, plan: Any) -> list[Any]:
        return self.supernet.outputs(inputs, plan, self.supernet.weights.read_value(), Mode())
