"""How a network is trained, as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgenas.data.augmentation import Augmentation
from edgenas.spaces.errors import InputError

OPTIMIZERS = ("adamw", "sgd")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
#: What ``precision`` was called in settings of earlier versions, and its values then.
_EARLIER_PRECISION = {"auto": "auto", "off": "float32"}
#: Augmentations that earlier versions did not have, and their values when they are off.
_LATER = ("randaugment", "randaugment_operations", "mixup", "cutmix", "size")
_AS_BEFORE = Augmentation()


@dataclass(frozen=True)
class Progressive:
    """Stages of a training, see :mod:`edgenas.training.progressive`. Raises InputError for what is out of range.

    Attributes:
        stages: how many.
        image_size: share of the images' side that the first stage is a step above.
        regularisation: share of RandAugment, mixup, cutmix and dropout in the first stage.
        dropout: whether dropout has part in that.
    """

    stages: int = 4
    image_size: float = 0.5
    regularisation: float = 0.5
    dropout: bool = True

    def __post_init__(self) -> None:
        if not self.stages >= 2:
            raise InputError(f"training: progressive.stages must be at least 2, not {self.stages!r}")
        if not 0 < self.image_size <= 1:
            raise InputError(f"training: progressive.image_size must be in (0, 1], not {self.image_size!r}")
        if not 0 <= self.regularisation <= 1:
            raise InputError(f"training: progressive.regularisation must be in [0, 1], not {self.regularisation!r}")


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of one training. Raises InputError naming the field, what was found and what was expected.

    Attributes:
        epochs: passes over the training images.
        max_steps: ends the training after so many optimizer steps when the epochs would take more; the schedule is
            stretched over what is left. Bounds the time on large data sets.
        batch_size: images per step; the last, smaller batch of an epoch is left out.
        learning_rate: the peak, reached after the warm-up; then half a cosine down to ``final_learning_rate``.
        optimizer: ``adamw`` (arXiv 1711.05101) or ``sgd`` with Nesterov momentum.
        momentum: of SGD; beta1 of AdamW.
        weight_decay: decoupled, times the learning rate, on kernels only (not on biases or batch norms).
        label_smoothing: share of the label that is given to all classes alike.
        ema_decay: of the moving average of weights that is evaluated and returned; 0 turns it off. Early steps use
            ``(1 + step) / (10 + step)`` where that is smaller, so that short trainings are not held back.
        warmup: share of the steps in which the learning rate grows linearly from 0.
        clip_norm: gradients of a larger global norm are scaled down to it; 0 turns it off.
        augmentation: random changes of the training images.
        progressive: stages of smaller images and weaker regularisation before the full ones; None: none.
        precision: what layers compute in; weights, statistics and losses are float32 always. ``auto`` is
            ``mixed_bfloat16`` on GPUs that compute it (compute capability 8.0), else ``float32``. ``mixed_float16``
            scales the loss, so that small gradients are not lost.
        gpus: that share the examples of each step; None: all that TensorFlow sees.
    """

    epochs: int = 30
    max_steps: int | None = None
    batch_size: int = 128
    learning_rate: float = 4e-3
    final_learning_rate: float = 0.0
    optimizer: str = "adamw"
    momentum: float = 0.9
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    ema_decay: float = 0.998
    warmup: float = 0.1
    clip_norm: float = 1.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    precision: str = "auto"
    gpus: int | None = None
    progressive: Progressive | None = None

    def __post_init__(self) -> None:
        _at_least(self, 1, "epochs", "batch_size")
        for name in ("max_steps", "gpus"):
            if getattr(self, name) is not None:
                _at_least(self, 1, name)
        _at_least(self, 0.0, "final_learning_rate", "weight_decay", "clip_norm")
        if not self.learning_rate > 0:
            raise InputError(f"training: learning_rate must be above 0, not {self.learning_rate!r}")
        for name in ("momentum", "label_smoothing", "ema_decay", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"training: {name} must be in [0, 1), not {getattr(self, name)!r}")
        if self.optimizer not in OPTIMIZERS:
            raise InputError(f"training: optimizer must be one of {', '.join(OPTIMIZERS)}, not {self.optimizer!r}")
        if self.precision not in PRECISIONS:
            raise InputError(f"training: precision must be one of {', '.join(PRECISIONS)}, not {self.precision!r}")

    def steps(self, images: int) -> tuple[int, int]:
        """(steps of an epoch, steps of the whole training) on so many images."""
        epoch_steps = max(1, images // self.batch_size)
        total = self.epochs * epoch_steps
        return epoch_steps, total if self.max_steps is None else min(total, self.max_steps)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that :meth:`from_dict` reads back, without what came later and is off.

        So trainings that were begun before that go on.
        """
        found = dataclasses.asdict(self)
        for name in _LATER:
            if found["augmentation"][name] == getattr(_AS_BEFORE, name):
                del found["augmentation"][name]
        if self.progressive is None:
            del found["progressive"]
        return found

    def fingerprint(self) -> dict[str, Any]:
        """Plain data that differ where a checkpoint of one training is none of the other.

        The GPUs do not count: a training goes on with others. ``auto`` and ``float32`` are told as earlier versions
        told them, whose checkpoints are continued.
        """
        values = self.to_dict()
        del values["gpus"]
        earlier = {now: before for before, now in _EARLIER_PRECISION.items()}
        if self.precision in earlier:
            values["mixed_precision"] = earlier[values.pop("precision")]
        return values

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TrainingSettings:
        """Reads what :meth:`to_dict` wrote; missing keys are defaults. InputError names an unknown key."""
        values = current_names(data)
        values["augmentation"] = _construct(Augmentation, "augmentation", values.get("augmentation", {}))
        if values.get("progressive") is not None:
            values["progressive"] = _construct(Progressive, "training.progressive", values["progressive"])
        return _construct(cls, "training", values)


def current_names(data: Mapping[str, Any]) -> dict[str, Any]:
    """The same with names of today for those of earlier versions.

    >>> current_names({"mixed_precision": "off", "epochs": 3})
    {'epochs': 3, 'precision': 'float32'}
    """
    values = dict(data)
    if "mixed_precision" in values and "precision" not in values:
        before = values.pop("mixed_precision")
        before = "off" if before is False else before  # an unquoted off of YAML
        values["precision"] = _EARLIER_PRECISION.get(before, before)
    return values


def decisive(data: Mapping[str, Any]) -> dict[str, Any]:
    """Of a training's plain settings, of any version, what another result comes from: not where it was computed.

    >>> decisive({"mixed_precision": "auto", "epochs": 3}) == decisive({"precision": "auto", "epochs": 3, "gpus": 2})
    True
    """
    return {key: value for key, value in current_names(data).items() if key != "gpus"}


def _construct(cls: Any, owner: str, values: Mapping[str, Any]) -> Any:
    known = [item.name for item in dataclasses.fields(cls)]
    for key in values:
        if key not in known:
            raise InputError(f"{owner}: unknown key {key!r}; expected one of {', '.join(known)}")
    return cls(**values)


def _at_least(settings: TrainingSettings, smallest: float, *names: str) -> None:
    for name in names:
        if not getattr(settings, name) >= smallest:
            raise InputError(f"training: {name} must be at least {smallest}, not {getattr(settings, name)!r}")
