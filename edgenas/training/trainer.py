"""The one loop of all training: batches in, schedules and losses applied, callbacks told, checkpoints kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.data.examples import leaves
from edgenas.spaces.errors import InputError, WorkError
from edgenas.training.batches import Batches
from edgenas.training.checkpoint import Checkpoint, checkpoint_path, load_checkpoint, save_checkpoint
from edgenas.training.learner import Learner, Step
from edgenas.training.runtime import light_graphs, set_determinism
from edgenas.training.schedule import Schedule
from edgenas.training.settings import TrainingSettings

#: Least seconds between two calls of ``on_step``; each looks at the loss, which waits for the step.
_REPORT_SECONDS = 1.0


class TrainingDivergedError(WorkError):
    """The loss is not a finite number any more."""


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training is: ``epoch`` of ``epochs`` finished, ``step`` of ``steps``, mean ``loss`` of this epoch so far.

    ``validation`` is the task's primary metric of the averaged weights and ``metrics`` all of them, only after an
    epoch and with validation data.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    validation: float | None
    seconds: float
    seconds_left: float
    metrics: Mapping[str, float] = field(default_factory=dict)


class Callback:
    """What may act between the steps of a training. Exceptions end the training."""

    def after_step(self, step: int, steps: int) -> None:
        """After every step; ``step`` counts those done."""

    def after_epoch(self, progress: TrainingProgress) -> None:
        """After every epoch, with its checkpoint written."""


@dataclass(frozen=True)
class Plan:
    """How long a training is and how it goes.

    Attributes:
        settings: batch size, epochs, optimizer.
        schedule: learning rate and augmentation over the steps and epochs.
        examples: number of training examples.
        name: of what is trained, for messages: ``training of 'small'``.
    """

    settings: TrainingSettings
    schedule: Schedule
    examples: int
    name: str

    @property
    def batch_size(self) -> int:
        return min(self.settings.batch_size, self.examples)

    @property
    def epoch_steps(self) -> int:
        return self.settings.steps(self.examples)[0]

    @property
    def steps(self) -> int:
        return self.settings.steps(self.examples)[1]

    @property
    def epochs(self) -> int:
        return math.ceil(self.steps / self.epoch_steps)


class Trainer:
    """One training, from its first step or from a checkpoint.

    Args:
        learner: the network and its step.
        batches: what it learns from.
        plan: how long and how.
        seed: of everything random in TensorFlow; batches have their own.
        callbacks: told in their order.
        evaluate: gives the metrics of the learner's model after an epoch; None: nothing is evaluated.
        metric: name of the primary one.
        checkpoint_dir: folder for one checkpoint per epoch.
        fingerprint: of the training that a checkpoint must belong to.
    """

    def __init__(
        self,
        learner: Learner,
        batches: Batches,
        plan: Plan,
        *,
        seed: int,
        callbacks: Sequence[Callback] = (),
        evaluate: Callable[[], Mapping[str, float]] | None = None,
        metric: str = "",
        checkpoint_dir: Path | None = None,
        fingerprint: str = "",
    ) -> None:
        self._began = self._start = time.monotonic()
        set_determinism(seed)
        self.learner, self.batches, self.plan = learner, batches, plan
        self.callbacks, self.evaluate, self.metric = tuple(callbacks), evaluate, metric
        self.folder, self.fingerprint = checkpoint_dir, fingerprint
        self.epoch = self.step = self.resumed_epoch = 0
        self.history: list[dict[str, Any]] = []
        self.build_seconds = 0.0
        self._steps: dict[Any, Step] = {}

    @property
    def seconds(self) -> float:
        """Of this training, interrupted parts included."""
        return time.monotonic() - self._start

    def run(
        self,
        on_epoch: Callable[[TrainingProgress], None] | None = None,
        on_step: Callable[[TrainingProgress], None] | None = None,
    ) -> None:
        """Trains to the end. ``on_epoch`` hears of every epoch, ``on_step`` about once a second in between."""
        self._resume()
        while self.step < self.plan.steps:
            record, loss = self._run_epoch(on_step)
            metrics: Mapping[str, float] = {}
            if self.evaluate is not None:
                self.learner.write_back()
                metrics = self.evaluate()
                record |= metrics
            self.history.append(record)
            self._save()
            progress = self._progress(loss, metrics)
            if on_epoch is not None:
                on_epoch(progress)
            for callback in self.callbacks:
                callback.after_epoch(progress)

    def diverged(self, what: str) -> TrainingDivergedError:
        """The error that says so, with what to change."""
        plan = self.plan
        kept = f"; the last checkpoint is {checkpoint_path(self.folder)}" if self.folder and self.epoch else ""
        return TrainingDivergedError(
            f"{plan.name} diverged: {what} not finite at step {self.step} of {plan.steps} "
            f"(epoch {self.epoch + 1} of {plan.epochs}); use a learning_rate below {plan.settings.learning_rate:g} "
            f"or a longer warmup{kept}"
        )

    def _resume(self) -> None:
        checkpoint = load_checkpoint(self.folder, self.fingerprint) if self.folder else None
        if self.folder is None or checkpoint is None:
            return
        try:
            for name, variable in self.learner.variables.items():
                variable.assign(checkpoint.arrays[name])
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(
                f"{checkpoint_path(self.folder)}: does not fit the network ({error}); delete it to train anew"
            ) from None
        self.epoch, self.step, self.resumed_epoch = checkpoint.epoch, checkpoint.step, checkpoint.epoch
        self.history = [dict(record) for record in checkpoint.history]
        self._start -= checkpoint.seconds

    def _save(self) -> None:
        if self.folder is not None:
            arrays = {name: variable.numpy() for name, variable in self.learner.variables.items()}
            history = tuple(self.history)
            save_checkpoint(
                self.folder, Checkpoint(self.epoch, self.step, self.seconds, history, self.fingerprint, arrays)
            )

    def _run_epoch(self, on_step: Callable[[TrainingProgress], None] | None) -> tuple[dict[str, Any], float]:
        """One pass (or what ``max_steps`` leaves of it): its record, and the mean loss."""
        plan, variables = self.plan, self.learner.variables
        loss_sum = variables["loss_sum"]
        loss_sum.assign(0.0)
        if "term_sums" in variables:
            variables["term_sums"].assign(np.zeros(variables["term_sums"].shape, np.float32))
        first, last_report = self.step, time.monotonic()
        count = min(plan.epoch_steps, plan.steps - self.step)
        rate = 0.0
        with light_graphs():
            augmentation = plan.schedule.augmentation(self.epoch, plan.epochs)
            dropout_share = plan.schedule.dropout_share(self.epoch, plan.epochs)
            for inputs, targets in self.batches.epoch(self.epoch, count, augmentation):
                rate = plan.schedule.learning_rate(self.step, plan.steps)
                step = self._step_for(inputs, targets, dropout_share)
                step(inputs, targets, self.step, rate, (self.step + 1) / plan.steps)
                self.step += 1
                if not self.build_seconds:
                    self._finite(float(loss_sum))
                    self.build_seconds = time.monotonic() - self._began
                for callback in self.callbacks:
                    callback.after_step(self.step, plan.steps)
                if time.monotonic() - last_report >= _REPORT_SECONDS:
                    mean = self._finite(float(loss_sum) / (self.step - first))
                    last_report = time.monotonic()
                    if on_step is not None and self.step - first < count:
                        on_step(self._progress(mean, {}))
        loss = self._finite(float(loss_sum) / count)
        self.epoch += 1
        record: dict[str, Any] = {"epoch": self.epoch, "step": self.step, "loss": loss, "learning_rate": rate}
        if "term_sums" in variables:
            sums = variables["term_sums"].numpy() / count
            names = [term.name for term in self.learner.objective.losses]
            record |= {f"loss_{name}": float(value) for name, value in zip(names, sums, strict=True)}
        record["seconds"] = self.seconds
        return record, loss

    def _step_for(self, inputs: Mapping[str, np.ndarray], targets: Any, dropout_share: float) -> Step:
        """The traced step for batches of this form; a schedule may change it between epochs."""
        form = (*(tuple(values.shape) for values in leaves((dict(inputs), targets))), dropout_share)
        if form not in self._steps:
            self._steps[form] = self.learner.make_step(inputs, targets, dropout_share)
        return self._steps[form]

    def _progress(self, loss: float, metrics: Mapping[str, float]) -> TrainingProgress:
        plan, seconds = self.plan, self.seconds
        left = (seconds - self.build_seconds) / self.step * (plan.steps - self.step)
        return TrainingProgress(
            self.epoch, plan.epochs, self.step, plan.steps, loss, metrics.get(self.metric), seconds, left, metrics
        )

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            raise self.diverged("the loss is")
        return loss
