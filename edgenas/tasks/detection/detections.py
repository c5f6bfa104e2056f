"""From what networks and files put out to the boxes that they find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.spaces.errors import InputError
from edgenas.tasks.detection.boxes import decode_boxes, select_boxes, sigmoid

#: Outputs of a network, and of a file that ends in TFLite_Detection_PostProcess, in order.
RAW = ("boxes", "classes")
FINISHED = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")


@dataclass(frozen=True)
class Found:
    """The boxes of one image, best first: (n, 4) inside of it, (n,) classes and scores."""

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray

    def above(self, score: float) -> Found:
        """Those of a score of at least so much."""
        kept = self.scores >= score
        return Found(self.boxes[kept], self.labels[kept], self.scores[kept])


def raw_outputs(outputs: Mapping[str, Any]) -> tuple[Any, Any]:
    """(box encodings (N, A, 4), logits (N, A, classes)) of a network's two outputs.

    By their names, ``boxes`` and ``classes`` alone or at the end; else the first is the boxes'. Raises InputError when
    there are others.
    """
    names = list(outputs)
    if len(names) == 2:
        ends = {kind: [name for name in names if name.endswith(kind)] for kind in RAW}
        if all(len(found) == 1 for found in ends.values()):
            names = [ends[kind][0] for kind in RAW]
        return outputs[names[0]], outputs[names[1]]
    raise InputError(
        f"expected the two outputs {' and '.join(RAW)} of a detector, found {', '.join(names) or 'nothing'}"
    )


def is_finished(outputs: Mapping[str, Any]) -> bool:
    """Whether these are the four outputs of a file that has decoded and suppressed its boxes itself."""
    return len(outputs) == len(FINISHED)


def decoded(
    outputs: Mapping[str, np.ndarray], anchors: np.ndarray, *, overlap: float, threshold: float, most: int
) -> list[Found]:
    """The boxes of each image out of a network's outputs and its anchors (A, 4); see ``select_boxes``."""
    boxes, logits = (np.asarray(values) for values in raw_outputs(outputs))
    if boxes.shape[1:] != (len(anchors), 4) or logits.shape[:2] != boxes.shape[:2]:
        raise InputError(
            f"outputs of {boxes.shape} and {logits.shape} for {len(anchors)} anchors; expected (N, {len(anchors)}, 4) "
            f"and (N, {len(anchors)}, classes)"
        )
    found = []
    for some, scores in zip(boxes, sigmoid(logits), strict=True):
        with np.errstate(over="ignore", invalid="ignore"):
            whole = decode_boxes(some, anchors)
        wrong = ~(np.isfinite(whole).all(axis=1) & np.isfinite(scores).all(axis=1))
        usable = np.where(wrong[:, None], np.float32(0), scores)
        found.append(_inside(*select_boxes(np.where(wrong[:, None], 0, whole), usable, overlap, threshold, most)))
    return found


def finished(outputs: Mapping[str, np.ndarray], threshold: float) -> list[Found]:
    """The same out of the four outputs of TFLite_Detection_PostProcess: boxes, classes, scores, number."""
    values = list(outputs.values())
    if set(outputs) == set(FINISHED):
        values = [outputs[name] for name in FINISHED]
    boxes, labels, scores, counts = (np.asarray(one) for one in values)
    found = []
    for index, count in enumerate(counts.reshape(-1).astype(int)):
        one = Found(
            *(part[index].reshape((-1, *shape))[:count] for part, shape in ((boxes, (4,)), (labels, ()), (scores, ())))
        )
        one = one.above(threshold)
        found.append(_inside(one.boxes, np.rint(one.labels).astype(np.int64), one.scores))
    return found


def _inside(boxes: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> Found:
    return Found(np.clip(boxes, 0, 1), labels, scores)


def true_boxes(targets: Mapping[str, np.ndarray], row: int) -> dict[str, np.ndarray]:
    """The boxes of one image without the empty rows: ``boxes``, ``labels``, ``groups``, ``ignored``."""
    there = targets["labels"][row] >= 0
    return {name: np.asarray(values[row])[there] for name, values in targets.items()}


def count_images(found: Sequence[Found], targets: Mapping[str, np.ndarray]) -> None:
    """Raises InputError when there are no images, or another number of answers."""
    count = len(targets["labels"])
    if not count:
        raise InputError("the average precision of no images is not defined")
    if len(found) != count:
        raise InputError(f"{count} images but {len(found)} answers")
