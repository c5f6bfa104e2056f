"""A short training of a network that is trained already, in the form in which it is deployed.

It may compute with fake quantization and its kernels may be projected (pruned, clustered) after every step. The
trained float network is the teacher: the loss mixes the labels with its softened answers (Hinton et al.,
arXiv 1503.02531), so that what changes is how the network computes rather than what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgenas.data.augmentation import Augmentation
from edgenas.data.examples import Examples
from edgenas.spaces.errors import InputError
from edgenas.tasks.task import Task
from edgenas.training.batches import Batches
from edgenas.training.in_place import InPlaceModel
from edgenas.training.losses import Distillation, Loss, Objective, TaskLoss
from edgenas.training.schedule import CosineSchedule
from edgenas.training.settings import TrainingSettings
from edgenas.training.trainer import Callback, Plan, Trainer

_WARMUP = 0.1


@dataclass(frozen=True)
class FineTuningSettings:
    """Settings of one fine-tuning. Raises InputError naming the field, what was found and what was expected.

    Attributes:
        epochs: passes over the training images.
        max_steps: ends the fine-tuning after so many steps when the epochs would take more.
        batch_size: images per step.
        learning_rate: of Adam (arXiv 1412.6980) at its peak, after a warm-up of a tenth; then half a cosine to 0.
        distillation: weight of the teacher's answers in the loss, in [0, 1]; the labels have the rest.
        temperature: what both networks' logits are divided by in the teacher's part.
        augmentation: random changes of the training images.
    """

    epochs: int = 3
    max_steps: int | None = None
    batch_size: int = 64
    learning_rate: float = 5e-4
    distillation: float = 0.9
    temperature: float = 2.0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "max_steps"):
            value = getattr(self, name)
            if value is not None and not value >= 1:
                raise InputError(f"fine-tuning: {name} must be at least 1, not {value!r}")
        for name in ("learning_rate", "temperature"):
            if not getattr(self, name) > 0:
                raise InputError(f"fine-tuning: {name} must be above 0, not {getattr(self, name)!r}")
        if not 0 <= self.distillation <= 1:
            raise InputError(f"fine-tuning: distillation must be in [0, 1], not {self.distillation!r}")

    def steps(self, images: int) -> int:
        """Steps of the whole fine-tuning on so many images."""
        return self.training().steps(images)[1]

    def training(self) -> TrainingSettings:
        """The same as settings of any training: Adam without decay, clipping or averages."""
        return TrainingSettings(
            epochs=self.epochs,
            max_steps=self.max_steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=0.0,
            label_smoothing=0.0,
            ema_decay=0.0,
            warmup=_WARMUP,
            clip_norm=0.0,
            augmentation=self.augmentation,
            precision="float32",
        )


def fine_tune(
    model: Any,
    teacher: Any,
    examples: Examples,
    settings: FineTuningSettings,
    *,
    task: Task,
    seed: int,
    preprocessing: Any,
    outputs: Sequence[str] = ("output",),
    project: Callable[[float], None] | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> float:
    """Trains ``model`` in place; returns the seconds it took.

    Args:
        model: a Keras or tf-keras model without a last activation, made of the trained network's weights.
        teacher: the trained float model; it is only asked.
        examples: for training.
        settings: how.
        task: what is learned.
        seed: of the order and the changes of the examples; equal seeds give equal results on the same machine.
        preprocessing: of the examples, as the network was trained with.
        outputs: names of the models' outputs in order; needed where there are several.
        project: called with the progress in (0, 1] after every step; keeps the weights pruned or clustered.
        on_step: called with (steps done, steps) after every step.

    Raises:
        InputError: no examples.
        TrainingDivergedError: the loss is not a finite number any more.
    """
    if not len(examples):
        raise InputError(f"fine-tuning of {model.name!r}: no training examples")
    training = settings.training()
    plan = Plan(training, CosineSchedule(training), len(examples), f"fine-tuning of {model.name!r}")
    batches = Batches(examples, task, preprocessing, batch_size=plan.batch_size, seed=seed)
    objective = Objective(_losses(settings, task, teacher), task, preprocessing, outputs, raw=batches.raw)
    trainer = Trainer(
        InPlaceModel(model, training, objective), batches, plan, seed=seed, callbacks=[_AfterStep(project, on_step)]
    )
    trainer.run()
    return trainer.seconds


def _losses(settings: FineTuningSettings, task: Task, teacher: Any) -> list[Loss]:
    if not settings.distillation:
        return [TaskLoss(task)]
    return [
        TaskLoss(task, weight=1 - settings.distillation),
        Distillation(task, teacher, settings.temperature, weight=settings.distillation),
    ]


@dataclass(frozen=True)
class _AfterStep(Callback):
    project: Callable[[float], None] | None
    on_step: Callable[[int, int], None] | None

    def after_step(self, step: int, steps: int) -> None:
        if self.project is not None:
            self.project(step / steps)
        if self.on_step is not None:
            self.on_step(step, steps)
