"""Training of one network from random or given weights, resumable after every epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.data.examples import Examples
from edgenas.export.keras.builder import build_keras
from edgenas.spaces.network import Network
from edgenas.spaces.tensor import TensorSpec
from edgenas.tasks.task import Task
from edgenas.training.batches import Batches
from edgenas.training.checkpoint import training_fingerprint
from edgenas.training.evaluation import ModelScorer
from edgenas.training.initial import InitialWeights, set_initial_weights
from edgenas.training.losses import Loss, Objective, TaskLoss, of_task
from edgenas.training.packed import PackedModel
from edgenas.training.precision import LossScale, compute_policy
from edgenas.training.progressive import progressive_schedule
from edgenas.training.replicas import Replicas, training_devices
from edgenas.training.runtime import dtype_policy, release_graphs
from edgenas.training.schedule import CosineSchedule, Schedule
from edgenas.training.settings import TrainingSettings
from edgenas.training.trainer import Callback, Plan, Trainer, TrainingDivergedError, TrainingProgress

__all__ = ["Start", "TrainingDivergedError", "TrainingProgress", "TrainingResult", "train"]

#: What a training begins with instead of random weights.
Start = Mapping[str, np.ndarray] | Callable[[Any], InitialWeights]


@dataclass(frozen=True)
class TrainingResult:
    """A trained model (Keras, float32, averaged weights in place) and how it came about.

    ``history`` holds a mapping per epoch: epoch, step, loss, learning_rate, seconds, ``loss_NAME`` of each where there
    are several, and, with validation data, the task's metrics by name. ``seconds`` counts interrupted parts too;
    ``build_seconds`` is the share before the first step was done, ``resumed_epoch`` where this run took over;
    ``initial`` says which of the given weights it began with.
    """

    model: Any
    history: list[dict[str, Any]]
    seconds: float
    build_seconds: float
    steps: int
    resumed_epoch: int
    initial: InitialWeights | None = None


def train(
    network: Network,
    examples: Examples,
    settings: TrainingSettings,
    *,
    task: Task,
    seed: int,
    preprocessing: Any,
    validation: Examples | None = None,
    losses: Sequence[Loss] | None = None,
    schedule: Schedule | None = None,
    initial: Start | None = None,
    devices: Sequence[str] | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint_dir: Path | None = None,
    on_epoch: Callable[[TrainingProgress], None] | None = None,
    on_step: Callable[[TrainingProgress], None] | None = None,
) -> TrainingResult:
    """Trains a network, from random weights where no others are given.

    Args:
        network: any number of inputs and outputs, as the task has them.
        examples: what it learns from.
        settings: see :class:`TrainingSettings`.
        task: what is learned.
        seed: of the initial weights, the order of examples, augmentation and dropout. The same seed on the same
            machine and number of threads gives the same weights.
        preprocessing: what the task's ``fit`` found on the training examples.
        validation: evaluated after every epoch, for the record; never decides anything.
        losses: what is minimised; the task's own loss when left out.
        schedule: learning rate and augmentation; those of the settings when left out.
        initial: arrays by the name of the variable that begins with them (:mod:`edgenas.training.initial`), or what
            sets the variables of a model itself (:class:`edgenas.training.transfer.Transfer`).
        devices: names of those that share each batch, such as ``GPU:0``; None: as ``settings.gpus`` says.
        callbacks: act between the steps.
        checkpoint_dir: folder for one checkpoint per epoch; a training found there is continued and ends as if it had
            not been interrupted.
        on_epoch: called after every epoch.
        on_step: called about once a second in between.

    Raises:
        InputError: the examples do not fit the network, or the checkpoint is another training's.
        TrainingDivergedError: a WorkError; the loss became infinite or not a number.
    """
    task.check_examples(examples, network.learned, preprocessing)
    task = task.for_network(network, preprocessing)
    began = time.monotonic()
    if schedule is None:
        shapes = {name: tuple(column.shape[1:]) for name, column in examples.inputs.items()}
        schedule = progressive_schedule(settings, shapes) if settings.progressive else CosineSchedule(settings)
    plan = Plan(settings, schedule, len(examples), f"training of {network.name!r}")
    batches = Batches(examples, task, preprocessing, batch_size=plan.batch_size, seed=seed)
    policy = compute_policy(settings.precision)
    release_graphs()
    with dtype_policy(policy):
        model = build_keras(network, seed=seed)
    set_initial_weights(model, task.initial_weights(model, network))
    taken = None
    if initial is not None:
        taken = set_initial_weights(model, initial) if isinstance(initial, Mapping) else initial(model)
    terms = (TaskLoss(task, settings.label_smoothing),) if losses is None else tuple(of_task(losses, task))
    objective = Objective(terms, task, preprocessing, network.outputs, raw=batches.raw)

    def resized(shapes: Mapping[str, tuple[int, ...]]) -> Any:
        inputs = tuple((name, TensorSpec.of(shapes.get(name, spec))) for name, spec in network.learned.inputs)
        with dtype_policy(policy):
            return build_keras(replace(network.learned, inputs=inputs), seed=seed)

    if devices is None:
        devices = training_devices(settings.gpus, plan.batch_size)
    packed = PackedModel(
        model,
        settings,
        objective,
        replicas=Replicas(devices) if len(devices) > 1 else None,
        scale=LossScale() if policy == "mixed_float16" else None,
        resized=resized,
    )
    evaluate = None
    if validation is not None:
        scorer = ModelScorer(model, task=task, preprocessing=preprocessing, outputs=network.outputs)

        def evaluate() -> Mapping[str, float]:
            return scorer(validation)

    trainer = Trainer(
        packed,
        batches,
        plan,
        seed=seed,
        callbacks=callbacks,
        evaluate=evaluate,
        metric=task.metric,
        checkpoint_dir=checkpoint_dir,
        fingerprint=_fingerprint(network, examples, settings, seed, preprocessing, task, terms, initial)
        if checkpoint_dir
        else "",
    )
    before = time.monotonic() - began
    trainer.run(on_epoch, on_step)
    if not np.isfinite(packed.variables["average_weights"].numpy()).all():
        raise trainer.diverged("a weight is")
    trained = packed.write_back()
    if policy != "float32":
        trained = _in_float32(network, seed, trained)
    return TrainingResult(
        trained,
        trainer.history,
        trainer.seconds + before,
        trainer.build_seconds + before,
        trainer.step,
        trainer.resumed_epoch,
        taken,
    )


def _in_float32(network: Network, seed: int, model: Any) -> Any:
    plain = build_keras(network, seed=seed)
    plain.set_weights(model.get_weights())
    return plain


def _fingerprint(
    network: Network,
    examples: Examples,
    settings: TrainingSettings,
    seed: int,
    preprocessing: Any,
    task: Task,
    losses: Sequence[Loss],
    initial: Start | None,
) -> str:
    facts: dict[str, Any] = {
        "network": network.learned.to_dict(),
        "settings": settings.fingerprint(),
        "seed": seed,
        "preprocessing": preprocessing.to_dict(),
        "task": task.kind,
    }
    names = [loss.name for loss in losses]
    if names != ["task"]:
        facts["losses"] = names
    if initial is not None:
        facts["initial"] = sorted(initial) if isinstance(initial, Mapping) else "transfer"
    return training_fingerprint(facts, examples)
