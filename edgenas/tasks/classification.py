"""Image classification: one label per image, softmax cross-entropy, top-1 accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from edgenas.data.augmentation import Augmentation
from edgenas.data.dataset import Dataset, stratified_choice
from edgenas.data.examples import Examples
from edgenas.data.loading import load_dataset
from edgenas.data.mixing import mixed
from edgenas.data.remarks import remarks
from edgenas.data.task_data import DataRequest
from edgenas.export._tensorflow import tensorflow
from edgenas.export.bundle.words import Described, TaskWords, classifier_words
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.spaces.tensor import Shape
from edgenas.tasks.ends import only
from edgenas.tasks.images import ImageTask
from edgenas.tasks.registry import register_task

_EPSILON = 1e-7


@register_task("classification")
class Classification(ImageTask):
    """Targets are labels ``(N,)`` from 0 to classes - 1; the output is logits ``(N, classes)``."""

    metric: ClassVar[str] = "top1"
    all_augmentations: ClassVar[bool] = True
    output_hint: ClassVar[str] = "set the classes of the space to those of the data"

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

    def check_examples(self, examples: Examples, network: Network, preprocessing: Any) -> None:
        super().check_examples(examples, network, preprocessing)
        classes, largest = network.graph.output_shapes[0][-1], int(examples.targets.max())
        if len(network.outputs) != 1 or largest >= classes:
            outputs = f"{len(network.outputs)} output{'s' * (len(network.outputs) != 1)} of {classes} classes"
            raise InputError(
                f"training of {network.name!r}: label {largest} found, the network has {outputs}; set the classes of "
                f"the space to {largest + 1} or more"
            )

    def augment(
        self, inputs: dict[str, np.ndarray], targets: Any, augmentation: Augmentation, rng: np.random.Generator
    ) -> tuple[dict[str, np.ndarray], Any]:
        """Changes of the images and, with mixup or cutmix, of the labels: (labels, labels of partners, shares)."""
        inputs, targets = super().augment(inputs, targets, augmentation, rng)
        if not (augmentation.mixup or augmentation.cutmix):
            return inputs, targets
        images, mixture = mixed(inputs["image"], targets, augmentation.mixup, augmentation.cutmix, rng)
        return {"image": images}, mixture

    def loss(self, targets: Any, outputs: Mapping[str, Any], *, label_smoothing: float = 0.0) -> Any:
        """Cross-entropy against ``1 - s`` on the label plus ``s / classes`` on every class (arXiv 1512.00567).

        Of mixed images the mixture of both labels' losses.
        """
        tf, logits = tensorflow(), only(outputs)
        if isinstance(targets, tuple):
            labels, partners, share = targets
            own, other = (self._losses(found, logits, label_smoothing) for found in (labels, partners))
            return tf.reduce_mean(share * own + (1.0 - share) * other)
        return tf.reduce_mean(self._losses(targets, logits, label_smoothing))

    def _losses(self, targets: Any, logits: Any, label_smoothing: float) -> Any:
        tf = tensorflow()
        classes = logits.shape[-1]
        wanted = tf.one_hot(
            targets, classes, 1.0 - label_smoothing + label_smoothing / classes, label_smoothing / classes
        )
        return tf.nn.softmax_cross_entropy_with_logits(wanted, logits)

    def distillation(self, outputs: Mapping[str, Any], taught: Mapping[str, Any], temperature: float) -> Any:
        """Divergence of the softened answers, times the temperature's square (Hinton et al., arXiv 1503.02531)."""
        tf = tensorflow()
        target = tf.nn.softmax(only(taught) / temperature)
        entropy = -tf.reduce_sum(target * tf.math.log(target + _EPSILON), -1)
        difference = tf.nn.softmax_cross_entropy_with_logits(target, only(outputs) / temperature) - entropy
        return temperature**2 * tf.reduce_mean(difference)

    def metrics(self, targets: np.ndarray, outputs: Mapping[str, np.ndarray]) -> dict[str, float]:
        """``top1``: share of images whose largest logit is the label's; a row with NaN counts as wrong."""
        logits, labels = np.asarray(only(outputs)), np.asarray(targets).reshape(-1)
        if not len(labels):
            raise InputError("top-1 accuracy of no images is not defined")
        if len(labels) != len(logits):
            raise InputError(f"{len(logits)} images but {len(labels)} labels")
        right = (logits.argmax(axis=-1) == labels) & np.isfinite(logits).all(axis=-1)
        return {"top1": float(right.mean())}

    def class_probabilities(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """The softmax of the logits; a row with NaN stays one."""
        logits = np.asarray(only(outputs), np.float64)
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))

    def calibration_rows(self, examples: Examples, how: str, count: int, seed: int) -> np.ndarray:
        """``stratified`` gives every class its share."""
        if how == "stratified":
            return stratified_choice(examples.targets, count, seed)
        return super().calibration_rows(examples, how, count, seed)

    def metadata(self, data: Dataset, preprocessing: Any) -> Described | None:  # type: ignore[override]
        if data.image_shape[-1] not in (1, 3):
            return None
        return Described("Image classifier", data.class_names, preprocessing)

    def words(self, data: Dataset, network: Network, preprocessing: Any) -> TaskWords:  # type: ignore[override]
        return classifier_words(network.inputs[0][1], data.class_names, preprocessing, data.name)
