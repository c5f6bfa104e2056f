"""What a supernet learns from: batches that depend on the number of the step only, and what the task makes of outputs.

The only file of the supernet that knows how data and tasks are handed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from edgenas.data.dataset import Split
from edgenas.export._tensorflow import tensorflow
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.tasks import Task
from edgenas.training.augmentation import Augmentation, augment
from edgenas.training.checkpoint import training_fingerprint
from edgenas.training.packed import normalised

_ORDER, _CHANGES, _HELD_OUT = 1, 2, 3
_BATCH = 256


@dataclass(frozen=True)
class Lesson:
    """Training and held-out examples of a task, and what is done to them.

    Attributes:
        task: what is learned.
        training: what weights learn from.
        held_out: what rewards and scores are measured on.
        preprocessing: of both.
        augmentation: random changes of training batches.
        seed: of order and changes.
    """

    task: Task
    training: Split
    held_out: Split
    preprocessing: Preprocessing
    augmentation: Augmentation
    seed: int

    def check(self, space: SearchSpace, batch_size: int) -> None:
        """Raises InputError when the space does not fit the examples, or there are too few of them."""
        if len(space.inputs) != 1 or tuple(space.input_shape) != self.training.images.shape[1:]:
            raise InputError(
                f"space {space.name!r} takes {', '.join(str(spec) for _, spec in space.inputs)}, the images are "
                f"{self.training.images.shape[1:]}; set the inputs of the space to those of the data"
            )
        if len(self.training) < batch_size:
            raise InputError(
                f"supernet: {len(self.training)} training images are less than one batch of {batch_size}; use more "
                "images or a smaller batch_size"
            )
        least = 2 * len(np.unique(self.training.labels))
        if len(self.held_out) < least:
            raise InputError(
                f"supernet: {len(self.held_out)} held-out images are too few to compare networks on, expected at least "
                f"{least} (two a class); raise data.validation_fraction or use more images"
            )

    def fingerprint(self, facts: Mapping[str, Any]) -> str:
        """Short text that differs when the facts or the training examples differ."""
        more = {"preprocessing": self.preprocessing.to_dict(), "task": self.task.kind, "seed": self.seed}
        return training_fingerprint({**facts, **more}, self.training)

    # Batches -------------------------------------------------------------------------------------------------------

    def batch(self, step: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The training batch of a step: every example once an epoch, the same for the same seed and step."""
        steps = max(1, len(self.training) // size)
        chosen = self._order(step // steps)[step % steps * size : (step % steps + 1) * size]
        rng = np.random.default_rng([self.seed, _CHANGES, step])
        return augment(self.training.images[chosen], self.augmentation, rng), self.training.labels[chosen]

    def _order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, _ORDER, epoch]).permutation(len(self.training))

    def reward_batch(self, step: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The held-out batch of a step of the controller."""
        rng = np.random.default_rng([self.seed, _HELD_OUT, step])
        chosen = rng.choice(len(self.held_out), min(size, len(self.held_out)), replace=False)
        return self.held_out.images[chosen], self.held_out.labels[chosen]

    def calibration(self, count: int) -> list[np.ndarray]:
        """Batches of training images, unchanged, from which batch-norm statistics are estimated."""
        images = self.training.subset(count, self.seed).images
        return [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]

    def scored(self, count: int | None) -> Split:
        """The held-out examples that networks are scored on, all when None."""
        return self.held_out if count is None else self.held_out.subset(count, self.seed)

    @staticmethod
    def in_batches(split: Split) -> Iterator[np.ndarray]:
        """Images of a split, batch by batch."""
        for start in range(0, len(split), _BATCH):
            yield split.images[start : start + _BATCH]

    # What the task makes of it -------------------------------------------------------------------------------------

    @cached_property
    def signature(self) -> list[Any]:
        """Of a batch of images and labels of any size."""
        tf = tensorflow()
        return [tf.TensorSpec((None, *self.training.images.shape[1:]), tf.uint8), tf.TensorSpec((None,), tf.int64)]

    def prepared(self, space: SearchSpace, images: Any) -> dict[str, Any]:
        """What the supernet is given of a batch of images, by name of the input."""
        return {space.inputs[0][0]: normalised(images, self.preprocessing)}

    def loss(self, labels: Any, outputs: list[Any], label_smoothing: float) -> Any:
        """The task's loss of a batch."""
        return self.task.loss(labels, outputs[0], label_smoothing=label_smoothing)

    def distillation(self, outputs: list[Any], taught: list[Any]) -> Any:
        """Cross-entropy of a network's answers with those of its teacher (arXiv 1503.02531), at temperature 1."""
        tf = tensorflow()
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(taught[0]), outputs[0]))

    def score(self, labels: np.ndarray, outputs: np.ndarray) -> float:
        """The task's figure, in [0, 1]."""
        return self.task.score(labels, outputs)
