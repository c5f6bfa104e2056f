"""How a supernet is trained, as plain data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from edgenas.data.augmentation import Augmentation
from edgenas.spaces.errors import InputError

PRECISIONS = ("auto", "float32", "mixed_bfloat16")


@dataclass(frozen=True)
class SupernetSettings:
    """Settings of the shared weights' training. Raises InputError naming the field.

    Attributes:
        epochs: passes over the training examples, by all networks of a step together.
        max_steps: ends it after so many steps.
        batch_size: examples that each network of a step learns from.
        learning_rate: peak of AdamW; then half a cosine down to 0.
        warmup: share of the steps in which the rate grows from 0.
        clip_norm: gradients of a larger norm are scaled down to it; 0: off.
        label_smoothing: of what is learnt from labels.
        sandwich: each step trains the largest and the smallest network of the space as well (BigNAS, arXiv 2003.11142).
            They are trained most, and the largest costs as much as several others.
        distillation: share of the largest network's answers in what the others learn from, at the end; the rest are
            labels. It grows linearly from 0: at first there is nothing to be learnt from it.
        random_networks: networks of a step besides the largest and the smallest. Every option of a decision comes
            equally often among them (FairNAS, arXiv 1907.01845), as far as their number allows.
        rank_weight: of the pairwise rank loss: of two networks of a step, the one with more multiply-accumulates should
            have no larger loss (CVPR 2022 NAS competition, track 1). It grows linearly from 0; 0 turns it off.
        calibration_examples: training examples from which batch-norm statistics are estimated for a scored network.
        scored_examples: held-out examples that a network is scored on; None: all.
        precision: what layers compute in while weights are trained: ``auto``, ``float32``, ``mixed_bfloat16``, as
            :class:`edgenas.training.settings.TrainingSettings` has them. Networks are scored in float32.
        gpus: that share the networks of a step; None: all that TensorFlow sees.
        checkpoint_seconds: a checkpoint is written after so many seconds, and at an interruption.
        augmentation: random changes of training examples.
    """

    epochs: int = 30
    max_steps: int | None = None
    batch_size: int = 32
    learning_rate: float = 3e-3
    warmup: float = 0.05
    clip_norm: float = 1.0
    label_smoothing: float = 0.0
    sandwich: bool = False
    distillation: float = 0.0
    random_networks: int = 4
    rank_weight: float = 0.0
    calibration_examples: int = 512
    scored_examples: int | None = 2000
    checkpoint_seconds: float = 60.0
    precision: str = "auto"
    gpus: int | None = None
    augmentation: Augmentation = dataclasses.field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        least: dict[str, float] = {"epochs": 1, "batch_size": 2, "random_networks": 1, "calibration_examples": 1}
        if self.precision not in PRECISIONS:
            expected = ", ".join(PRECISIONS)
            raise InputError(f"supernet: precision must be one of {expected}, not {self.precision!r}")
        least |= {"rank_weight": 0, "clip_norm": 0, "checkpoint_seconds": 0}
        for name, smallest in least.items():
            if not getattr(self, name) >= smallest:
                raise InputError(f"supernet: {name} must be at least {smallest}, not {getattr(self, name)!r}")
        for name in ("max_steps", "scored_examples", "gpus"):
            if getattr(self, name) is not None and not getattr(self, name) >= 1:
                raise InputError(f"supernet: {name} must be at least 1, not {getattr(self, name)!r}")
        if not self.learning_rate > 0:
            raise InputError(f"supernet: learning_rate must be above 0, not {self.learning_rate!r}")
        if not 0 <= self.distillation <= 1:
            raise InputError(f"supernet: distillation must be in [0, 1], not {self.distillation!r}")
        if self.distillation and not self.sandwich:
            raise InputError(
                "supernet: distillation needs sandwich: true; without it there is no largest to learn from"
            )
        for name in ("warmup", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"supernet: {name} must be in [0, 1), not {getattr(self, name)!r}")

    @property
    def networks(self) -> int:
        """Networks of a step."""
        return self.random_networks + 2 * self.sandwich

    @property
    def one_batch(self) -> bool:
        """Whether the networks of a step learn from the same examples, as they must where they are compared."""
        return bool(self.distillation or self.rank_weight)

    @property
    def step_examples(self) -> int:
        """Examples that all networks of a step use up."""
        return self.batch_size * (1 if self.one_batch else self.networks)

    def steps(self, examples: int) -> int:
        """Steps of the whole training on so many examples."""
        total = max(1, self.epochs * examples // self.step_examples)
        return total if self.max_steps is None else min(total, self.max_steps)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)
