"""Average precision as COCO defines it, computed by its own program (``pycocotools``).

Precision is averaged over 101 recalls and, for ``map``, over the overlaps 0.50, 0.55, ..., 0.95; at most 100 boxes of
an image count (Lin et al., arXiv 1405.0312).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.export.extra import DETECTION
from edgenas.tasks.detection.detections import Found, count_images

MOST_BOXES = 100
#: Boxes that count have this area, others a larger one: COCO's program leaves out what is outside of a range of areas.
_COUNTED, _LEFT_OUT, _RANGE = 1.0, 1e9, (0.0, 10.0)


@dataclass(frozen=True)
class Precisions:
    """Average precisions in [0, 1]; NaN for a class without boxes.

    Attributes:
        of_classes: (classes,) over overlaps from 0.50 to 0.95.
        at_half: (classes,) at an overlap of 0.50.
        recall: (classes,) share of the boxes that are found at an overlap of 0.50.
    """

    of_classes: np.ndarray
    at_half: np.ndarray
    recall: np.ndarray

    @property
    def map(self) -> float:
        """Mean over the classes that have boxes; 0 where none has."""
        return mean_known(self.of_classes)

    @property
    def ap50(self) -> float:
        """The same at an overlap of 0.50."""
        return mean_known(self.at_half)


def mean_known(values: np.ndarray) -> float:
    """Mean of those that are numbers; 0 where none is.

    >>> mean_known(np.array([0.5, np.nan])), mean_known(np.array([np.nan]))
    (0.5, 0.0)
    """
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else 0.0


def average_precisions(targets: Mapping[str, np.ndarray], found: Sequence[Found], classes: int) -> Precisions:
    """Of what was found in images with these targets. Raises InputError when ``pycocotools`` is missing."""
    count_images(found, targets)
    return _evaluated(targets, found, classes, np.ones(targets["labels"].shape, bool))


def group_precisions(
    targets: Mapping[str, np.ndarray], found: Sequence[Found], classes: int, group: int
) -> tuple[Precisions, int, int]:
    """(precisions, boxes, images) of the boxes of one group, on the images that have any.

    Boxes of other groups neither count nor are mistakes; a box that is found where nothing is counts against every
    group of the image.
    """
    mine = (np.asarray(targets["groups"]) == group) & (np.asarray(targets["ignored"]) == 0)
    mine &= np.asarray(targets["labels"]) >= 0
    rows = np.flatnonzero(mine.any(axis=1))
    some = {name: np.asarray(values)[rows] for name, values in targets.items()}
    precisions = _evaluated(some, [found[int(row)] for row in rows], classes, mine[rows])
    return precisions, int(mine.sum()), len(rows)


def _evaluated(
    targets: Mapping[str, np.ndarray], found: Sequence[Found], classes: int, counted: np.ndarray
) -> Precisions:
    DETECTION.require()
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images = [{"id": row + 1} for row in range(len(found))]
    categories = [{"id": label + 1} for label in range(classes)]
    with _quiet():
        truth, answers = COCO(), COCO()
        for store, boxes in ((truth, _true(targets, counted)), (answers, _answers(found))):
            store.dataset = {"images": images, "categories": categories, "annotations": list(boxes)}
            store.createIndex()
        judged = COCOeval(truth, answers, "bbox")
        judged.params.areaRng, judged.params.areaRngLbl = [list(_RANGE)], ["counted"]
        judged.params.maxDets = [MOST_BOXES]
        judged.evaluate()
        judged.accumulate()
    precision = judged.eval["precision"][..., 0, 0]  # (overlaps, recalls, classes), -1 without boxes
    recall = judged.eval["recall"][..., 0, 0]  # (overlaps, classes)
    known = precision[0, 0] > -1
    return Precisions(
        np.where(known, precision.mean(axis=(0, 1)), np.nan),
        np.where(known, precision[0].mean(axis=0), np.nan),
        np.where(known, recall[0], np.nan),
    )


def _true(targets: Mapping[str, np.ndarray], counted: np.ndarray) -> Iterator[dict[str, Any]]:
    labels, ignored = np.asarray(targets["labels"]), np.asarray(targets["ignored"])
    for number, (row, place) in enumerate(np.argwhere(labels >= 0), start=1):
        yield {
            **_record(number, row, int(labels[row, place]), np.asarray(targets["boxes"])[row, place]),
            "area": _COUNTED if counted[row, place] else _LEFT_OUT,
            "iscrowd": int(ignored[row, place] != 0),
        }


def _answers(found: Sequence[Found]) -> Iterator[dict[str, Any]]:
    number = 0
    for row, one in enumerate(found):
        for box, label, score in zip(one.boxes, one.labels, one.scores, strict=True):
            number += 1
            yield {**_record(number, row, int(label), box), "area": _COUNTED, "score": float(score)}


def _record(number: int, row: int, label: int, box: np.ndarray) -> dict[str, Any]:
    top, left, bottom, right = (float(edge) for edge in box)
    return {
        "id": number,
        "image_id": int(row) + 1,
        "category_id": label + 1,
        "bbox": [left, top, right - left, bottom - top],
    }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing that is printed inside reaches standard output, which is for data."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
