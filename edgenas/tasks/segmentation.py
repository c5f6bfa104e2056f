"""Semantic segmentation: a class for every pixel, judged by the mean intersection over union at full resolution.

A network ends in logits ``(h, w, classes)`` of any size; they are enlarged to that of the masks wherever they are
compared with them. A finished file may end in labels instead (``export.finalize``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgenas.data.augmentation import Augmentation
from edgenas.data.examples import Examples
from edgenas.data.segmentation import VOID, load_segmentation
from edgenas.data.segmentation.augmentation import augment_pairs
from edgenas.data.segmentation.remarks import remarks
from edgenas.data.task_data import DataRequest, ExampleSet
from edgenas.export._tensorflow import tensorflow
from edgenas.export.bundle.segmentation_words import segmentation_words
from edgenas.export.bundle.words import TaskWords
from edgenas.spaces.block import Block
from edgenas.spaces.blocks import LabelMap
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.spaces.tensor import Shape
from edgenas.tasks.endings import EndingSettings
from edgenas.tasks.ends import listed, only
from edgenas.tasks.images import ImageTask
from edgenas.tasks.pixels import confusion_matrix, label_maps, mean_iou, pixel_accuracy
from edgenas.tasks.registry import register_task

BALANCED = "balanced"
_EPSILON = 1e-6


@register_task("segmentation")
@dataclass(frozen=True)
class Segmentation(ImageTask):
    """Targets are labels ``(N, height, width)`` uint8, 255 for void; the output is logits ``(N, h, w, classes)``.

    Attributes:
        dice: weight of the dice loss (1 - mean over classes of twice the overlap by the sum, arXiv 1606.04797) beside
            the cross-entropy; 0 turns it off.
        class_weights: ``none``; ``balanced``, by one over the square root of a class's share of a batch's pixels; or
            a number for each class.
        scale: smallest and largest random enlargement of training images; with ``augmentation.shift: 0`` none.
    """

    dice: float = 0.0
    class_weights: Any = "none"
    scale: tuple[float, float] = (0.5, 2.0)

    metric: ClassVar[str] = "miou"
    is_finalized: ClassVar[bool] = True
    output_hint: ClassVar[str] = "set the classes of the space to those of the data"

    def __post_init__(self) -> None:
        if isinstance(self.dice, bool) or not isinstance(self.dice, (int, float)) or not self.dice >= 0:
            raise ValueError(f"dice must be a number of at least 0, not {self.dice!r}")
        weights = self.class_weights
        if isinstance(weights, (list, tuple)):
            if not weights or not all(
                isinstance(w, (int, float)) and not isinstance(w, bool) and w >= 0 for w in weights
            ):
                raise ValueError(f"class_weights must be numbers of at least 0, not {weights!r}")
            object.__setattr__(self, "class_weights", tuple(float(weight) for weight in weights))
        elif weights not in ("none", BALANCED):
            raise ValueError(f"class_weights must be none, {BALANCED}, or a list of numbers, not {weights!r}")
        scale = tuple(self.scale) if isinstance(self.scale, (list, tuple)) else ()
        numbers = len(scale) == 2 and all(isinstance(s, (int, float)) and not isinstance(s, bool) for s in scale)
        if not numbers or not 0.1 <= scale[0] <= scale[1] <= 10:
            raise ValueError(f"scale must be [smallest, largest] between 0.1 and 10, not {self.scale!r}")
        object.__setattr__(self, "scale", scale)

    def load(self, request: DataRequest) -> ExampleSet:
        data = load_segmentation(request)
        given = self.class_weights
        if isinstance(given, tuple) and len(given) != len(data.facts["classes"]):
            raise InputError(
                f"task_options: {len(given)} class_weights, data set {data.name!r} has {len(data.facts['classes'])} "
                f"classes: {', '.join(data.facts['classes'])}"
            )
        return data

    def remarks(self, data: ExampleSet, validation_fraction: float, seed: int) -> tuple[str, ...]:  # type: ignore[override]
        return remarks(data)

    def labels(self, data: ExampleSet) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(data.facts["classes"])

    def space_arguments(self, data: ExampleSet) -> Mapping[str, Any]:  # type: ignore[override]
        return {"input_shape": tuple(data.train.inputs["image"].shape[1:]), "classes": len(self.labels(data))}

    def outputs(self, data: ExampleSet) -> Mapping[str, Shape]:  # type: ignore[override]
        """At full resolution; :meth:`check` accepts logits of any size."""
        return {"logits": (*data.train.inputs["image"].shape[1:3], len(self.labels(data)))}

    def check(self, data: ExampleSet, network: Network) -> None:  # type: ignore[override]
        found, wanted = dict(network.inputs), self.inputs(data)
        if list(found.values()) != list(wanted.values()):
            raise InputError(
                f"network {network.name!r} takes {listed(found)}, data set {data.name!r} has {listed(wanted)}; "
                f"{self.input_hint}"
            )
        ends, classes = network.learned.graph.output_shapes, len(self.labels(data))
        if len(ends) != 1 or len(ends[0]) != 3 or ends[0][-1] != classes:
            shown = listed(dict(zip(network.learned.outputs, ends, strict=True)))
            raise InputError(
                f"network {network.name!r} ends in {shown}, data set {data.name!r} needs one output (height, width, "
                f"{classes}) for segmentation; {self.output_hint}"
            )

    def ending(self, data: ExampleSet, settings: EndingSettings | None) -> Block | None:  # type: ignore[override]
        """From logits to labels at full resolution, unless the settings say otherwise."""
        settings = settings or EndingSettings()
        if settings.argmax == "none":
            return None
        height, width = data.train.inputs["image"].shape[1:3]
        return LabelMap(height, width, *settings.sides(height, width), settings.argmax)

    def check_examples(self, examples: Examples, network: Network, preprocessing: Any) -> None:
        super().check_examples(examples, network, preprocessing)
        ends = network.learned.graph.output_shapes
        if len(ends) != 1 or len(ends[0]) != 3:
            raise InputError(
                f"training of {network.name!r}: it ends in {', '.join(str(tuple(end)) for end in ends)}; segmentation "
                "needs one output (height, width, classes)"
            )

    def augment(
        self, inputs: dict[str, np.ndarray], targets: np.ndarray, augmentation: Augmentation, rng: np.random.Generator
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        images, masks = augment_pairs(inputs["image"], targets, augmentation, self.scale, rng)
        return {"image": images}, masks

    def loss(self, targets: Any, outputs: Mapping[str, Any], *, label_smoothing: float = 0.0) -> Any:
        """Mean cross-entropy of the pixels that are not void, weighted by class, plus :attr:`dice` times that loss."""
        tf = tensorflow()
        masks = tf.cast(targets, tf.int32)
        logits = enlarged(only(outputs), masks.shape[1:3])
        classes = logits.shape[-1]
        valid = tf.not_equal(masks, VOID)
        labels = tf.where(valid, masks, 0)
        truth = tf.one_hot(labels, classes) * tf.cast(valid, tf.float32)[..., None]
        weights = tf.reduce_sum(truth * self._weights(truth), -1)
        wanted = truth * (1.0 - label_smoothing) + label_smoothing / classes
        entropy = tf.nn.softmax_cross_entropy_with_logits(wanted, logits)
        loss = tf.reduce_sum(entropy * weights) / tf.maximum(tf.reduce_sum(weights), 1.0)
        return loss + self.dice * _dice(truth, tf.nn.softmax(logits)) if self.dice else loss

    def _weights(self, truth: Any) -> Any:
        """A weight for each class, with mean 1 over the pixels of the batch where it is balanced."""
        tf = tensorflow()
        if self.class_weights == "none":
            return tf.ones(truth.shape[-1])
        if self.class_weights != BALANCED:
            return tf.constant(self.class_weights, tf.float32)
        counts = tf.reduce_sum(truth, [0, 1, 2])
        weights = tf.math.rsqrt(tf.maximum(counts, 1.0))
        return weights * tf.reduce_sum(counts) / tf.maximum(tf.reduce_sum(counts * weights), _EPSILON)

    def distillation(self, outputs: Mapping[str, Any], taught: Mapping[str, Any], temperature: float) -> Any:
        """Divergence of the softened answers of every place, times the temperature's square (arXiv 1503.02531)."""
        tf = tensorflow()
        answer, target = only(outputs), tf.nn.softmax(only(taught) / temperature)
        entropy = -tf.reduce_sum(target * tf.math.log(target + _EPSILON), -1)
        difference = tf.nn.softmax_cross_entropy_with_logits(target, answer / temperature) - entropy
        return temperature**2 * tf.reduce_mean(difference)

    def confusion(self, targets: Any, outputs: Mapping[str, np.ndarray], classes: int | None = None) -> np.ndarray:
        """:func:`edgenas.tasks.pixels.confusion_matrix` of outputs; ``classes`` is needed where these are labels."""
        found = np.asarray(only(outputs))
        if not len(targets):
            raise InputError("the mean IoU of no images is not defined")
        if len(found) != len(targets):
            raise InputError(f"{len(targets)} masks but {len(found)} outputs")
        labels = label_maps(found, tuple(targets.shape[1:3]))
        if classes is None:
            largest = max(int(np.where(mask == VOID, 0, mask).max(initial=0)) for mask in targets)
            classes = found.shape[-1] if found.ndim == 4 else max(largest, int(labels.max(initial=0))) + 1
        return confusion_matrix(targets, labels, classes)

    def pixel_labels(self, targets: Any, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return label_maps(np.asarray(only(outputs)), tuple(targets.shape[1:3]))

    def words(self, data: ExampleSet, network: Network, preprocessing: Any) -> TaskWords:  # type: ignore[override]
        ends = network.inputs[0][1], network.graph.output_shapes[0]
        return segmentation_words(*ends, self.labels(data), preprocessing, data.name)

    def metrics(self, targets: Any, outputs: Mapping[str, np.ndarray]) -> dict[str, float]:
        """``miou`` over the classes that are there or were seen, and ``pixel_accuracy``; void does not count."""
        counts = self.confusion(targets, outputs)
        return {"miou": mean_iou(counts), "pixel_accuracy": pixel_accuracy(counts)}


def enlarged(logits: Any, size: Any) -> Any:
    """Logits of a batch as a tensor of another size, bilinear."""
    tf = tensorflow()
    logits = tf.convert_to_tensor(logits)
    same = tuple(logits.shape[1:3]) == tuple(size)
    return logits if same else tf.image.resize(logits, tuple(size), "bilinear")


def _dice(truth: Any, shares: Any) -> Any:
    """One minus the mean dice of the classes that the batch has."""
    tf = tensorflow()
    counted = tf.reduce_sum(truth, -1, keepdims=True)
    overlap = 2.0 * tf.reduce_sum(truth * shares, [0, 1, 2])
    total = tf.reduce_sum(truth, [0, 1, 2]) + tf.reduce_sum(shares * counted, [0, 1, 2])
    present = tf.cast(tf.reduce_sum(truth, [0, 1, 2]) > 0, tf.float32)
    dice = (overlap + 1.0) / (total + 1.0)
    return 1.0 - tf.reduce_sum(dice * present) / tf.maximum(tf.reduce_sum(present), 1.0)
