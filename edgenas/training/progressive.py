"""Progressive learning (EfficientNetV2, arXiv 2104.00298): small images and weak regularisation first, then more.

A training of E epochs has ``stages`` stages of equal length (one an epoch, where there are fewer). In stage i of n,
from 0, images have ``image_size + (1 - image_size) * (i + 1) / n`` of their side, and every regularisation that is on
has ``regularisation + (1 - regularisation) * i / (n - 1)`` of its strength: RandAugment's magnitude, mixup, cutmix,
and the dropout of the network.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from edgenas.data.augmentation import Augmentation
from edgenas.spaces.errors import InputError
from edgenas.training.schedule import learning_rate
from edgenas.training.settings import Progressive, TrainingSettings

_MULTIPLE = 4


@dataclass(frozen=True)
class ProgressiveSchedule:
    """The cosine of the learning rate, and stages.

    Attributes:
        settings: with :class:`Progressive` in them.
        image: (height, width) of the images.
    """

    settings: TrainingSettings
    image: tuple[int, int]

    def learning_rate(self, step: int, steps: int) -> float:
        return learning_rate(self.settings, step, steps)

    def augmentation(self, epoch: int, epochs: int) -> Augmentation:
        stage, stages = self._stage(epoch, epochs)
        share = self._strength(stage, stages)
        full = self.settings.augmentation
        size = tuple(self._side(side, stage, stages) for side in self.image)
        return dataclasses.replace(
            full,
            randaugment=full.randaugment * share,
            mixup=full.mixup * share,
            cutmix=full.cutmix * share,
            size=None if size == self.image else (size[0], size[1]),
        )

    def dropout_share(self, epoch: int, epochs: int) -> float:
        """What the rates of dropout are multiplied by."""
        return self._strength(*self._stage(epoch, epochs)) if self._progressive.dropout else 1.0

    @property
    def _progressive(self) -> Progressive:
        return self.settings.progressive or Progressive()

    def _stage(self, epoch: int, epochs: int) -> tuple[int, int]:
        stages = min(self._progressive.stages, epochs)
        return min(epoch * stages // epochs, stages - 1), stages

    def _strength(self, stage: int, stages: int) -> float:
        least = self._progressive.regularisation
        return 1.0 if stages == 1 else least + (1 - least) * stage / (stages - 1)

    def _side(self, side: int, stage: int, stages: int) -> int:
        least = self._progressive.image_size
        wanted = side * (least + (1 - least) * (stage + 1) / stages)
        return min(side, max(_MULTIPLE, round(wanted / _MULTIPLE) * _MULTIPLE)) if stage + 1 < stages else side


def progressive_schedule(settings: TrainingSettings, shapes: dict[str, tuple[int, ...]]) -> ProgressiveSchedule:
    """The schedule for examples of these shapes by input. Raises InputError when they are no images."""
    shape = shapes.get("image", ())
    if len(shape) != 3:
        raise InputError("training: progressive is for tasks whose input is an image; leave it out")
    return ProgressiveSchedule(settings, (shape[0], shape[1]))
