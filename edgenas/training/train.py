"""Training of one network from scratch, resumable after every epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.data.dataset import Split
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.keras.builder import build_keras
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.network import Network
from edgenas.tasks import Task, get_task
from edgenas.training.augmentation import Augmentation, augment
from edgenas.training.checkpoint import (
    Checkpoint,
    checkpoint_path,
    load_checkpoint,
    save_checkpoint,
    training_fingerprint,
)
from edgenas.training.evaluation import ModelScorer
from edgenas.training.packed import PackedModel
from edgenas.training.runtime import compute_policy, dtype_policy, light_graphs, release_graphs
from edgenas.training.schedule import learning_rate
from edgenas.training.settings import TrainingSettings

#: Least seconds between two calls of ``on_step``; each looks at the loss, which waits for the step.
_REPORT_SECONDS = 1.0


class TrainingDivergedError(WorkError):
    """The loss is not a finite number any more."""


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training is: ``epoch`` of ``epochs`` finished, ``step`` of ``steps``, mean ``loss`` of this epoch so far.

    ``validation`` is the task's figure (top-1) of the averaged weights, only after an epoch and with validation data.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    validation: float | None
    seconds: float
    seconds_left: float


@dataclass(frozen=True)
class TrainingResult:
    """A trained model (Keras, float32, averaged weights in place) and how it came about.

    ``history`` holds a mapping per epoch: epoch, step, loss, learning_rate, seconds and, with validation data,
    the task's metric by its name. ``seconds`` counts interrupted parts too; ``build_seconds`` is the share before the
    first step was done, ``resumed_epoch`` where this run took over.
    """

    model: Any
    history: list[dict[str, Any]]
    seconds: float
    build_seconds: float
    steps: int
    resumed_epoch: int


def train(
    network: Network,
    train_split: Split,
    settings: TrainingSettings,
    *,
    seed: int,
    preprocessing: Preprocessing,
    validation: Split | None = None,
    task: Task | None = None,
    checkpoint_dir: Path | None = None,
    on_epoch: Callable[[TrainingProgress], None] | None = None,
    on_step: Callable[[TrainingProgress], None] | None = None,
) -> TrainingResult:
    """Trains a network from random weights.

    Args:
        network: one image input, one output.
        train_split: uint8 images and labels.
        settings: see :class:`TrainingSettings`.
        seed: of the initial weights, the order of images, augmentation and dropout. The same seed on the same machine
            and number of threads gives the same weights.
        preprocessing: what the network eats of a pixel.
        validation: evaluated after every epoch, for the record; never decides anything.
        task: classification when left out.
        checkpoint_dir: folder for one checkpoint per epoch; a training found there is continued and ends as if it had
            not been interrupted.
        on_epoch: called after every epoch.
        on_step: called about once a second in between.

    Raises:
        InputError: the images do not fit the network, or the checkpoint is another training's.
        TrainingDivergedError: a WorkError; the loss became infinite or not a number.
    """
    _check(network, train_split)
    task = task or get_task("classification")
    start = time.monotonic()
    trainer = _Trainer(network, train_split, settings, seed, preprocessing, task, checkpoint_dir)
    resumed = trainer.resume()
    start -= resumed.seconds if resumed else 0.0
    scorer = ModelScorer(trainer.packed.model, preprocessing, task) if validation is not None else None
    while trainer.step < trainer.steps:
        loss = trainer.run_epoch(on_step, start)
        seconds = time.monotonic() - start
        record = {
            "epoch": trainer.epoch,
            "step": trainer.step,
            "loss": loss,
            "learning_rate": learning_rate(settings, trainer.step - 1, trainer.steps),
            "seconds": seconds,
        }
        score = None
        if scorer is not None and validation is not None:
            trainer.packed.write_back()
            score = record[task.metric] = scorer(validation.images, validation.labels)
        trainer.history.append(record)
        trainer.save(time.monotonic() - start)
        if on_epoch is not None:
            on_epoch(trainer.progress(loss, score, start))
    model = trainer.finished_model()
    seconds = time.monotonic() - start
    resumed_epoch = resumed.epoch if resumed else 0
    return TrainingResult(model, trainer.history, seconds, trainer.build_seconds, trainer.step, resumed_epoch)


class _Trainer:
    """The state of one training and what can be done with it."""

    def __init__(
        self,
        network: Network,
        split: Split,
        settings: TrainingSettings,
        seed: int,
        preprocessing: Preprocessing,
        task: Task,
        checkpoint_dir: Path | None,
    ) -> None:
        self._began = time.monotonic()
        self.network, self.split, self.settings, self.seed = network, split, settings, seed
        self.folder = checkpoint_dir
        self.epoch = self.step = 0
        self.history: list[dict[str, Any]] = []
        self.batch_size = min(settings.batch_size, len(split))
        self.epoch_steps, self.steps = settings.steps(len(split))
        self.epochs = math.ceil(self.steps / self.epoch_steps)
        self.policy = compute_policy(settings.mixed_precision)
        release_graphs()
        with dtype_policy(self.policy):
            self.packed = PackedModel(build_keras(network, seed=seed), settings, task, preprocessing)
        self._step = self.packed.make_step(self.batch_size)
        self.build_seconds = 0.0
        facts = {
            "network": network.to_dict(),
            "settings": settings.to_dict(),
            "seed": seed,
            "preprocessing": preprocessing.to_dict(),
            "task": task.kind,
        }
        self.fingerprint = training_fingerprint(facts, split) if checkpoint_dir else ""

    def resume(self) -> Checkpoint | None:
        """Takes over the checkpoint of the folder, if there is one."""
        checkpoint = load_checkpoint(self.folder, self.fingerprint) if self.folder else None
        if self.folder and checkpoint:
            try:
                for name, variable in self.packed.variables.items():
                    variable.assign(checkpoint.arrays[name])
            except (KeyError, ValueError, TypeError) as error:
                raise InputError(
                    f"{checkpoint_path(self.folder)}: does not fit the network ({error}); delete it to train anew"
                ) from None
            self.epoch, self.step = checkpoint.epoch, checkpoint.step
            self.history = [dict(record) for record in checkpoint.history]
        return checkpoint

    def save(self, seconds: float) -> None:
        if self.folder:
            arrays = {name: variable.numpy() for name, variable in self.packed.variables.items()}
            save_checkpoint(
                self.folder,
                Checkpoint(self.epoch, self.step, seconds, tuple(self.history), self.fingerprint, arrays),
            )

    def run_epoch(self, on_step: Callable[[TrainingProgress], None] | None, start: float) -> float:
        """One pass (or what ``max_steps`` leaves of it); returns the mean loss."""
        loss_sum = self.packed.variables["loss_sum"]
        loss_sum.assign(0.0)
        rng = np.random.default_rng([self.seed, self.epoch])
        first, last_report = self.step, time.monotonic()
        count = min(self.epoch_steps, self.steps - self.step)
        with light_graphs():
            for images, labels in _batches(self.split, self.batch_size, count, self.settings.augmentation, rng):
                rate = learning_rate(self.settings, self.step, self.steps)
                self._step(images, labels, np.float32(self.step), np.float32(rate))
                self.step += 1
                if not self.build_seconds:
                    self._checked_loss(float(loss_sum))
                    self.build_seconds = time.monotonic() - self._began
                if time.monotonic() - last_report >= _REPORT_SECONDS:
                    mean = self._checked_loss(float(loss_sum) / (self.step - first))
                    last_report = time.monotonic()
                    if on_step is not None and self.step - first < count:
                        on_step(self.progress(mean, None, start))
        self.epoch += 1
        return self._checked_loss(float(loss_sum) / count)

    def progress(self, loss: float, score: float | None, start: float) -> TrainingProgress:
        seconds = time.monotonic() - start
        left = (seconds - self.build_seconds) / self.step * (self.steps - self.step)
        return TrainingProgress(self.epoch, self.epochs, self.step, self.steps, loss, score, seconds, left)

    def finished_model(self) -> Any:
        """The Keras model in float32 with the averaged weights."""
        if not np.isfinite(self.packed.variables["average_weights"].numpy()).all():
            raise self._diverged("a weight is")
        model = self.packed.write_back()
        if self.policy == "float32":
            return model
        plain = build_keras(self.network, seed=self.seed)
        plain.set_weights(model.get_weights())
        return plain

    def _checked_loss(self, loss: float) -> float:
        if not math.isfinite(loss):
            raise self._diverged("the loss is")
        return loss

    def _diverged(self, what: str) -> TrainingDivergedError:
        kept = f"; the last checkpoint is {checkpoint_path(self.folder)}" if self.folder and self.epoch else ""
        return TrainingDivergedError(
            f"training of {self.network.name!r} diverged: {what} not finite at step {self.step} of {self.steps} "
            f"(epoch {self.epoch + 1} of {self.epochs}); use a learning_rate below {self.settings.learning_rate:g} "
            f"or a longer warmup{kept}"
        )


def _batches(
    split: Split, batch_size: int, count: int, augmentation: Augmentation, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """``count`` batches in a random order, changed by the augmentation."""
    order = rng.permutation(len(split))
    for index in range(count):
        chosen = order[index * batch_size : (index + 1) * batch_size]
        yield augment(split.images[chosen], augmentation, rng), split.labels[chosen]


def _check(network: Network, split: Split) -> None:
    shapes = [shape for _, shape in network.inputs]
    outputs = network.graph.output_shapes
    if not len(split):
        raise InputError(f"training of {network.name!r}: no training images")
    if shapes != [split.images.shape[1:]] or len(outputs) != 1:
        raise InputError(
            f"training of {network.name!r}: the network takes {shapes} and has {len(outputs)} outputs; the images are "
            f"{split.images.shape[1:]} and one output is expected"
        )
    if int(split.labels.max()) >= outputs[0][-1]:
        raise InputError(
            f"training of {network.name!r}: label {int(split.labels.max())} found, the network has {outputs[0][-1]} "
            f"outputs; set the classes of the space to {int(split.labels.max()) + 1} or more"
        )
