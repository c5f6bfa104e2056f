"""Image classification: one label per image, softmax cross-entropy, top-1 accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from edgenas.data.augmentation import Augmentation
from edgenas.data.dataset import Dataset
from edgenas.data.loading import load_dataset
from edgenas.data.mixing import mixed
from edgenas.data.remarks import remarks
from edgenas.data.task_data import DataRequest
from edgenas.export.bundle.words import Described, TaskWords, classifier_words
from edgenas.spaces.network import Network
from edgenas.spaces.tensor import Shape
from edgenas.tasks.class_labels import ClassLabelTask
from edgenas.tasks.images import ImageTask
from edgenas.tasks.registry import register_task


@register_task("classification")
class Classification(ClassLabelTask, ImageTask):
    """Targets are labels ``(N,)`` from 0 to classes - 1; the output is logits ``(N, classes)``."""

    metric: ClassVar[str] = "top1"
    all_augmentations: ClassVar[bool] = True

    def load(self, request: DataRequest) -> Dataset:
        return load_dataset(
            request.spec,
            request.directory,
            image_size=request.image_size,
            channels=request.channels,
            seed=request.seed,
        )

    def remarks(self, data: Dataset, validation_fraction: float, seed: int) -> tuple[str, ...]:  # type: ignore[override]
        return remarks(data, validation_fraction, seed)

    def labels(self, data: Dataset) -> tuple[str, ...]:  # type: ignore[override]
        return data.class_names

    def space_arguments(self, data: Dataset) -> Mapping[str, Any]:  # type: ignore[override]
        return {"input_shape": data.image_shape, "classes": data.classes}

    def outputs(self, data: Dataset) -> Mapping[str, Shape]:  # type: ignore[override]
        return {"logits": (data.classes,)}

    def augment(
        self, inputs: dict[str, np.ndarray], targets: Any, augmentation: Augmentation, rng: np.random.Generator
    ) -> tuple[dict[str, np.ndarray], Any]:
        """Changes of the images and, with mixup or cutmix, of the labels: (labels, labels of partners, shares)."""
        inputs, targets = super().augment(inputs, targets, augmentation, rng)
        if not (augmentation.mixup or augmentation.cutmix):
            return inputs, targets
        images, mixture = mixed(inputs["image"], targets, augmentation.mixup, augmentation.cutmix, rng)
        return {"image": images}, mixture

    def metadata(self, data: Dataset, preprocessing: Any) -> Described | None:  # type: ignore[override]
        if data.image_shape[-1] not in (1, 3):
            return None
        return Described("Image classifier", data.class_names, preprocessing)

    def words(self, data: Dataset, network: Network, preprocessing: Any) -> TaskWords:  # type: ignore[override]
        return classifier_words(network.inputs[0][1], data.class_names, preprocessing, data.name)
