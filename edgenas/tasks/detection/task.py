"""Object detection with anchors: a box and scores for each anchor, judged by COCO's mean average precision.

A network ends in ``boxes`` (A, 4), encodings against its A anchors, and ``classes`` (A, classes), logits without one
for the background. A finished file may hold the decoding and the suppression too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from edgenas.data.augmentation import Augmentation
from edgenas.data.detection import load_detection
from edgenas.data.detection.augmentation import augment_boxes
from edgenas.data.detection.remarks import remarks
from edgenas.data.examples import Examples
from edgenas.data.task_data import DataRequest, ExampleSet
from edgenas.export._tensorflow import tensorflow
from edgenas.export.bundle.detection_words import detection_words
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.bundle.words import Described, TaskWords
from edgenas.export.extra import DETECTION
from edgenas.export.tflite.post_processing import NOTHING, PostProcessing, with_post_processing
from edgenas.spaces.blocks import PostProcess
from edgenas.spaces.detection import anchor_levels
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.spaces.tensor import Shape, TensorSpec
from edgenas.tasks.detection import losses
from edgenas.tasks.detection.anchors import AnchorGrid, fit_anchors, generate_anchors
from edgenas.tasks.detection.boxes import BOX_SCALES, corners
from edgenas.tasks.detection.detections import RAW, Found, count_images, decoded, finished, is_finished, raw_outputs
from edgenas.tasks.detection.matching import encoded, match
from edgenas.tasks.detection.options import check_options
from edgenas.tasks.detection.precision import average_precisions
from edgenas.tasks.detection.preprocessing import DetectionPreprocessing, typical_sizes
from edgenas.tasks.ends import listed
from edgenas.tasks.images import ImageTask
from edgenas.tasks.registry import register_task

#: Score that every anchor begins with (arXiv 1708.02002): most of them are no box of any class.
PRIOR = 0.01
GENERATED, FITTED = "generated", "fitted"


@register_task("detection")
@dataclass(frozen=True)
class Detection(ImageTask):
    """Targets are boxes and labels as :func:`edgenas.data.detection.example_set.example_set` makes them.

    Attributes:
        classes: names of the classes that are kept, in the order of the outputs; empty: all.
        anchors: ``fitted`` to the sizes of the training boxes, or ``generated`` as for SSD.
        match: least intersection over union by which an anchor learns a box; a box's best anchor always does.
        focal_alpha: weight of what an anchor is, beside what it is not, in the focal loss.
        focal_gamma: how little what is told well counts.
        box_weight: of the loss of boxes beside that of classes.
        crop: smallest and largest area of the part that is cut out of a training image, as shares of its area; above 1
            the image becomes a part of a larger ground. With ``augmentation.shift: 0`` none is.
        colour: how far brightness, contrast and saturation of training images change; 0: not at all.
        score_threshold: boxes of lower scores are dropped before the suppression.
        overlap: intersection over union above which the box of lower score is dropped, within its class.
        most_boxes: that are kept of an image.
    """

    classes: tuple[str, ...] = ()
    anchors: str = FITTED
    match: float = 0.5
    focal_alpha: float = 0.75
    focal_gamma: float = 2.0
    box_weight: float = 1.0
    crop: tuple[float, float] = (0.1, 1.0)
    colour: float = 0.2
    score_threshold: float = 0.01
    overlap: float = 0.6
    most_boxes: int = 100
    #: The anchors of the network that it is about; None before :meth:`for_network`.
    grid: AnchorGrid | None = field(default=None, init=False, repr=False)

    metric: ClassVar[str] = "map"
    output_hint: ClassVar[str] = "set the classes of the space to those of the data"

    def __post_init__(self) -> None:
        for name, value in check_options(self).items():
            object.__setattr__(self, name, value)

    # Data ----------------------------------------------------------------------------------------------------------

    def load(self, request: DataRequest) -> ExampleSet:
        DETECTION.require()
        return load_detection(request, self.classes)

    def remarks(self, data: ExampleSet, validation_fraction: float, seed: int) -> tuple[str, ...]:  # type: ignore[override]
        return remarks(data)

    def labels(self, data: ExampleSet) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(data.facts["classes"])

    # Network -------------------------------------------------------------------------------------------------------

    def space_arguments(self, data: ExampleSet) -> Mapping[str, Any]:  # type: ignore[override]
        return {"input_shape": tuple(data.train.inputs["image"].shape[1:]), "classes": len(self.labels(data))}

    def outputs(self, data: ExampleSet) -> Mapping[str, Shape]:  # type: ignore[override]
        """Of one anchor; :meth:`check` accepts any number of them."""
        return dict(zip(RAW, ((1, 4), (1, len(self.labels(data)))), strict=True))

    def check(self, data: ExampleSet, network: Network) -> None:  # type: ignore[override]
        found, wanted = dict(network.inputs), self.inputs(data)
        if list(found.values()) != list(wanted.values()):
            raise InputError(
                f"network {network.name!r} takes {listed(found)}, data set {data.name!r} has {listed(wanted)}; "
                f"{self.input_hint}"
            )
        self._check_ends(network, len(self.labels(data)), f"data set {data.name!r} needs")

    def check_examples(self, examples: Examples, network: Network, preprocessing: Any) -> None:
        super().check_examples(examples, network, preprocessing)
        largest = int(np.asarray(examples.targets["labels"][:]).max(initial=0))
        self._check_ends(network, largest + 1, "the examples need", at_least=True)

    def _check_ends(self, network: Network, classes: int, who: str, at_least: bool = False) -> None:
        learned = network.learned
        ends = dict(zip(learned.outputs, (tuple(shape) for shape in learned.graph.output_shapes), strict=True))
        problem = True
        if len(ends) == 2:
            boxes, logits = raw_outputs(ends)
            problem = len(boxes) != 2 or boxes[1] != 4 or len(logits) != 2 or boxes[0] != logits[0]
            problem = problem or (logits[1] < classes if at_least else logits[1] != classes)
        if problem:
            raise InputError(
                f"network {network.name!r} ends in {listed(ends)}; {who} the outputs boxes (anchors, 4) and classes "
                f"(anchors, {classes}) for detection; {self.output_hint}"
            )

    # Anchors -------------------------------------------------------------------------------------------------------

    def for_network(self, network: Network, preprocessing: Any) -> Detection:
        """With the anchors of the network's levels: generated, or fitted to what the preprocessing says of boxes."""
        if preprocessing.anchors is not None:
            return self._with(preprocessing.anchors)
        levels = anchor_levels(network.learned)
        sides, per_cell = [(level[0], level[1]) for level in levels], [level[2] for level in levels]
        if not preprocessing.sizes:
            return self._with(generate_anchors(sides, per_cell, network.inputs[0][1]))
        told = np.array(preprocessing.sizes)
        return self._with(fit_anchors(sides, per_cell, network.inputs[0][1], told[:, :2], told[:, 2]))

    def _with(self, grid: AnchorGrid) -> Detection:
        bound = replace(self)
        object.__setattr__(bound, "grid", grid)
        return bound

    def bundle_preprocessing(self, network: Network, preprocessing: Any) -> Any:
        return replace(preprocessing, sizes=(), anchors=self.for_network(network, preprocessing).known_grid)

    @property
    def known_grid(self) -> AnchorGrid:
        """The anchors. Raises InputError before :meth:`for_network`."""
        if self.grid is None:
            raise InputError(
                "detection: which anchors the outputs are told against is not known; use for_network first"
            )
        return self.grid

    # What a network eats -------------------------------------------------------------------------------------------

    def fit(self, examples: Examples) -> DetectionPreprocessing:
        plain = super().fit(examples)
        sizes: tuple[tuple[float, float, int], ...] = ()
        if self.anchors == FITTED:
            targets = examples.targets
            learned = (targets["labels"] >= 0) & (targets["ignored"] == 0)
            sizes = typical_sizes(np.asarray(targets["boxes"])[learned])
        return DetectionPreprocessing(plain.mean, plain.std, sizes)

    def read_preprocessing(self, data: Mapping[str, Any]) -> DetectionPreprocessing:
        return DetectionPreprocessing.from_dict(data)

    # Training ------------------------------------------------------------------------------------------------------

    def initial_weights(self, model: Any, network: Network) -> Mapping[str, np.ndarray]:
        """Every class of every anchor begins with a score of :data:`PRIOR`: the biases of the last layers say so."""
        from edgenas.training.last_layers import last_biases

        _, output = raw_outputs({name: index for index, name in enumerate(network.learned.outputs)})
        biases = last_biases(model, network.learned, output)
        value = -math.log((1 - PRIOR) / PRIOR)
        return {variable.path: np.full(variable.shape, value, np.float32) for variable in biases}

    def augment(
        self, inputs: dict[str, np.ndarray], targets: Any, augmentation: Augmentation, rng: np.random.Generator
    ) -> tuple[dict[str, np.ndarray], Any]:
        images, changed = augment_boxes(
            inputs["image"], targets, augmentation, crop=self.crop, colour=self.colour, rng=rng
        )
        return {"image": images}, changed

    def loss(self, targets: Any, outputs: Mapping[str, Any], *, label_smoothing: float = 0.0) -> Any:
        """Focal loss of the classes and smooth L1 of the boxes, each by the number of anchors that learn a box.

        ``label_smoothing`` changes nothing: focal loss does without.
        """
        tf = tensorflow()
        anchors = self.known_grid.boxes()
        found_boxes, logits = (tf.convert_to_tensor(values) for values in raw_outputs(outputs))
        boxes, labels = tf.cast(targets["boxes"], tf.float32), tf.cast(targets["labels"], tf.int32)
        matched = match(boxes, labels, targets["ignored"], tf.constant(corners(anchors)), self.match)
        positive = tf.cast(matched.positive, tf.float32)
        count = tf.maximum(tf.reduce_sum(positive), 1.0)
        wanted = tf.one_hot(tf.gather(labels, matched.box, batch_dims=1), logits.shape[-1]) * positive[..., None]
        of_classes = losses.focal(logits, wanted, self.focal_alpha, self.focal_gamma) * matched.counted[..., None]
        aims = encoded(tf.gather(boxes, matched.box, batch_dims=1), tf.constant(anchors), BOX_SCALES)
        aims = tf.where(matched.positive[..., None], aims, found_boxes)
        of_boxes = tf.reduce_mean(losses.smooth_l1(found_boxes - tf.stop_gradient(aims)), -1) * positive
        return (tf.reduce_sum(of_classes) + self.box_weight * tf.reduce_sum(of_boxes)) / count

    def distillation(self, outputs: Mapping[str, Any], taught: Mapping[str, Any], temperature: float) -> Any:
        """See :func:`edgenas.tasks.detection.losses.taught`."""
        return losses.taught(*raw_outputs(outputs), *raw_outputs(taught), temperature)

    # Judging -------------------------------------------------------------------------------------------------------

    def boxes_found(self, outputs: Mapping[str, np.ndarray]) -> list[Found]:
        """The boxes of each image, of a network's outputs or of a file's that has suppressed them itself."""
        if is_finished(outputs):
            return finished(outputs, self.score_threshold)
        anchors = self.known_grid.boxes()
        return decoded(outputs, anchors, overlap=self.overlap, threshold=self.score_threshold, most=self.most_boxes)

    def decoding(self) -> Mapping[str, Any]:
        found = {"overlap": self.overlap, "score_threshold": self.score_threshold, "most_boxes": self.most_boxes}
        return {**found, "box_scales": list(BOX_SCALES)}

    def deployed(self, model: bytes, network: Network, preprocessing: Any = None) -> bytes:
        given = DetectionPreprocessing((0.0,), (1.0,)) if preprocessing is None else preprocessing
        # A network that has learned nothing scores every anchor about 0.5, and its suppression would take very long.
        threshold = NOTHING if preprocessing is None else self.score_threshold
        anchors = self.for_network(network, given).known_grid.boxes()
        settings = PostProcessing(anchors, self.overlap, threshold, self.most_boxes, BOX_SCALES)
        return with_post_processing(model, settings)

    def deployed_block(self, network: Network) -> SlotEntry:
        ends = dict(zip(network.learned.outputs, network.learned.graph.output_shapes, strict=True))
        return SlotEntry(PostProcess(self.most_boxes), tuple(TensorSpec.of(end) for end in raw_outputs(ends)))

    def metadata(self, data: ExampleSet, preprocessing: Any) -> Described | None:  # type: ignore[override]
        if data.train.inputs["image"].shape[-1] not in (1, 3):
            return None
        plain = Preprocessing(preprocessing.mean, preprocessing.std)
        return Described("Object detector", self.labels(data), plain)

    def words(self, data: ExampleSet, network: Network, preprocessing: Any) -> TaskWords:  # type: ignore[override]
        anchors = sum(level.height * level.width * level.anchors for level in anchor_levels(network.learned))
        return detection_words(network.inputs[0][1], anchors, self.labels(data), preprocessing, data.name)

    def metrics(self, targets: Any, outputs: Mapping[str, np.ndarray]) -> dict[str, float]:
        """``map`` over overlaps from 0.50 to 0.95, and ``ap50``, after decoding and suppression, as COCO has them."""
        if not len(targets["labels"]):
            raise InputError("the average precision of no images is not defined")
        found = self.boxes_found(outputs)
        count_images(found, targets)
        largest = max((int(one.labels.max(initial=0)) for one in found), default=0)
        classes = max(largest, int(np.asarray(targets["labels"]).max(initial=0))) + 1
        precisions = average_precisions(targets, found, classes)
        return {"map": precisions.map, "ap50": precisions.ap50}
