"""What a supernet learns from: batches that depend on the number of the step only, and what the task makes of outputs.

The only file of the supernet that knows how data and tasks are handed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.data.augmentation import Augmentation
from edgenas.data.examples import Examples, Tree, tree_map
from edgenas.export._tensorflow import tensorflow
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.tasks.ends import bound, named
from edgenas.tasks.task import Task
from edgenas.training.checkpoint import training_fingerprint

_ORDER, _CHANGES, _HELD_OUT = 1, 2, 3
_BATCH = 256

Batch = tuple[dict[str, np.ndarray], Tree]


@dataclass(frozen=True)
class Lesson:
    """Training and held-out examples of a task, and what is done to them.

    Attributes:
        task: what is learned.
        space: whose networks learn it.
        training: what weights learn from.
        held_out: what rewards and scores are measured on.
        preprocessing: what the task's ``fit`` found on the training examples.
        augmentation: random changes of training batches.
        seed: of order and changes.
    """

    task: Task
    space: SearchSpace
    training: Examples
    held_out: Examples
    preprocessing: Any
    augmentation: Augmentation
    seed: int

    def check(self, batch_size: int) -> None:
        """Raises InputError when the space does not fit the examples, or there are too few of them."""
        rows = self.space.sample(np.random.default_rng(0), 1)
        self.task.check_examples(self.training, self.space.decode(rows[0]), self.preprocessing)
        if len(self.training) < batch_size:
            raise InputError(
                f"supernet: {len(self.training)} training examples are less than one batch of {batch_size}; use more "
                "examples or a smaller batch_size"
            )
        least = max(2 * getattr(self.space, "classes", 1), 2)
        if len(self.held_out) < least:
            raise InputError(
                f"supernet: {len(self.held_out)} held-out examples are too few to compare networks on, expected at "
                f"least {least} (two a class); raise data.validation_fraction or use more examples"
            )

    def fingerprint(self, facts: Mapping[str, Any]) -> str:
        """Short text that differs when the facts or the training examples differ."""
        more = {"preprocessing": self.preprocessing.to_dict(), "task": self.task.kind, "seed": self.seed}
        return training_fingerprint({**facts, **more}, self.training)

    # Batches -------------------------------------------------------------------------------------------------------

    def batch(self, step: int, size: int) -> Batch:
        """The training batch of a step: every example once an epoch, the same for the same seed and step."""
        steps = max(1, len(self.training) // size)
        order = np.random.default_rng([self.seed, _ORDER, step // steps]).permutation(len(self.training))
        rows = order[step % steps * size : (step % steps + 1) * size]
        rng = np.random.default_rng([self.seed, _CHANGES, step])
        inputs, targets = self.task.augment(*self.training.batch(rows), self.augmentation, rng)
        return self._prepared(inputs), targets

    def reward_batch(self, step: int, size: int) -> Batch:
        """The held-out batch of a step of the controller."""
        rng = np.random.default_rng([self.seed, _HELD_OUT, step])
        rows = rng.choice(len(self.held_out), min(size, len(self.held_out)), replace=False)
        inputs, targets = self.held_out.batch(rows)
        return self._prepared(inputs), targets

    def calibration(self, count: int) -> Iterator[dict[str, np.ndarray]]:
        """Inputs of training examples, unchanged, from which batch-norm statistics are estimated."""
        return self.in_batches(self.training.subset(count, self.seed))

    def scored(self, count: int | None) -> Examples:
        """The held-out examples that networks are scored on, all when None."""
        found: Examples = self.held_out if count is None else self.held_out.subset(count, self.seed)
        return found

    def in_batches(self, examples: Examples) -> Iterator[dict[str, np.ndarray]]:
        """The inputs of some examples, batch by batch."""
        for start in range(0, len(examples), _BATCH):
            yield self._prepared(examples.batch(slice(start, start + _BATCH))[0])

    def _prepared(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the supernet is given, by the names of the space's inputs."""
        names = [name for name, _ in self.space.inputs]
        return named(bound(self.task.prepare(inputs, self.preprocessing), names), names)

    # What the task makes of it -------------------------------------------------------------------------------------

    def signature(self) -> tuple[dict[str, Any], Tree]:
        """Specs of the inputs and targets of a batch of any size."""
        tf = tensorflow()
        inputs, targets = self.training.batch(slice(0, 1))

        def spec(array: np.ndarray) -> Any:
            return tf.TensorSpec((None, *array.shape[1:]), array.dtype)

        return {name: spec(array) for name, array in self._prepared(inputs).items()}, tree_map(spec, targets)

    def loss(self, targets: Tree, outputs: list[Any], label_smoothing: float) -> Any:
        """The task's loss of a batch."""
        return self.task.loss(targets, named(outputs, self.space.outputs), label_smoothing=label_smoothing)

    def distillation(self, outputs: list[Any], taught: list[Any]) -> Any:
        """How far a network's answers are from its teacher's, as the task says."""
        names = self.space.outputs
        return self.task.distillation(named(outputs, names), named(taught, names), 1.0)

    def score(self, targets: Tree, outputs: list[np.ndarray]) -> float:
        """The task's primary figure, in [0, 1]."""
        return self.task.score(targets, named(outputs, self.space.outputs))
