"""What the exported file of a detection finds in the test pictures, kept with the trial for the report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.export.bundle.check import file_checksum
from edgenas.export.bundle.picture_drawing import colours
from edgenas.export.files import file_name, write_atomically
from edgenas.run.mistakes import data_url
from edgenas.tasks.files import in_memory

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.tasks.detection.detections import Found
    from edgenas.tasks.task import Task

#: Pictures that are kept, from the worst to the best.
PICTURES = 6
#: Longest side of a kept picture.
_SIDE = 256
#: Boxes of at least this score are drawn.
SHOWN_SCORE = 0.3
_BLACK = (0, 0, 0)


@dataclass(frozen=True)
class BoxFigures:
    """Of each class and each group: average precision, by name; nothing for tasks without boxes."""

    classes: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, float] = field(default_factory=dict)


def boxes_path(trial_path: Path, quantization: str) -> Path:
    """Where the boxes of a trial's file in one quantization are kept."""
    return trial_path / "final" / f"boxes-{file_name(quantization)}.json"


def save_boxes(context: RunContext, task: Task, number: int, model: bytes, outputs: Mapping[str, Any]) -> BoxFigures:
    """Writes figures of every class and group, and pictures with their boxes; nothing for tasks without.

    ``task`` is bound to the network, ``outputs`` are what the file answered to the test examples.
    """
    from edgenas.tasks.detection.precision import average_precisions

    test = context.dataset.test
    found = task.boxes_found(outputs)
    if found is None:
        return BoxFigures()
    targets, labels = in_memory(test.targets), context.labels
    precisions = average_precisions(targets, found, len(labels))
    counts = [int(((targets["labels"] == k) & (targets["ignored"] == 0)).sum()) for k in range(len(labels))]
    palette = colours(len(labels))
    classes = [
        {
            "label": label,
            "ap": _known(precisions.of_classes[place]),
            "ap50": _known(precisions.at_half[place]),
            "recall": _known(precisions.recall[place]),
            "boxes": counts[place],
            "colour": palette[place].tolist(),
        }
        for place, label in enumerate(labels)
    ]
    groups = _groups(context, targets, found)
    document = {
        "format": 1,
        "trial": number,
        "quantization": context.recipe.export.quantization,
        "model_sha256": file_checksum(model),
        "examples": len(test),
        "shown_score": SHOWN_SCORE,
        "classes": classes,
        "groups": groups,
        "pictures": _pictures(context, task, targets, found, palette),
    }
    path = boxes_path(context.folder.trial_path(number), context.recipe.export.quantization)
    write_atomically(path, json.dumps(document, separators=(",", ":")) + "\n")
    return BoxFigures(
        {str(one["label"]): float(one["ap"]) for one in classes if one["ap"] is not None},
        {str(one["group"]): float(one["ap"]) for one in groups if one["ap"] is not None},
    )


def _groups(context: RunContext, targets: Mapping[str, np.ndarray], found: Sequence[Found]) -> list[dict[str, Any]]:
    """Figures of the groups that the annotations name and the test part has."""
    from edgenas.tasks.detection.precision import group_precisions

    rows = []
    for place, group in enumerate(context.dataset.facts["groups"]):
        if not (targets["groups"] == place).any():
            continue
        precisions, boxes, images = group_precisions(targets, found, len(context.labels), place)
        recall = precisions.recall[np.isfinite(precisions.recall)]
        rows.append(
            {
                "group": group,
                "ap": round(precisions.map, 4),
                "ap50": round(precisions.ap50, 4),
                "recall": round(float(recall.mean()), 4) if recall.size else None,
                "boxes": boxes,
                "images": images,
            }
        )
    return rows


def _pictures(
    context: RunContext,
    task: Task,
    targets: Mapping[str, np.ndarray],
    found: Sequence[Found],
    palette: np.ndarray,
) -> list[dict[str, Any]]:
    """The picture, the true boxes and the found ones of some test images, from the worst to the best."""
    from edgenas.tasks.detection.detections import true_boxes

    test, count = context.dataset.test, len(found)
    each = [_agreement(true_boxes(targets, row), found[row].above(SHOWN_SCORE)) for row in range(count)]
    order = np.argsort(each, kind="stable")
    shown = order[np.unique(np.linspace(0, count - 1, min(PICTURES, count)).round().astype(int))]
    pictures = task.pictures(test.batch(shown)[0])
    if pictures is None:
        return []
    kept = []
    for row, picture in zip(shown, pictures, strict=True):
        true, some = true_boxes(targets, int(row)), found[int(row)].above(SHOWN_SCORE)
        coloured = [tuple(palette[label]) for label in true["labels"]]
        true_colours = [_BLACK if left else one for one, left in zip(coloured, true["ignored"], strict=True)]
        drawn = {
            "picture": with_boxes(picture, np.zeros((0, 4)), []),
            "truth": with_boxes(picture, true["boxes"], true_colours),
            "predicted": with_boxes(picture, some.boxes, [tuple(palette[label]) for label in some.labels]),
        }
        told = {name: data_url(image, _SIDE, exact=96) for name, image in drawn.items()}
        kept.append({"index": int(row), "agreement": round(each[int(row)], 4), **told})
    return kept


def _agreement(true: Mapping[str, np.ndarray], found: Found) -> float:
    """Twice the boxes that are found (overlap 0.5, same class, each once) by the number of both; 1 of two nothings."""
    from edgenas.tasks.detection.boxes import box_overlaps

    counted = true["ignored"] == 0
    total = int(counted.sum()) + len(found.labels)
    if not total:
        return 1.0
    same = true["labels"][counted][:, None] == found.labels[None]
    overlaps = np.where(same, box_overlaps(true["boxes"][counted], found.boxes), 0)
    hits = 0
    for place in range(len(found.labels)):
        best = int(overlaps[:, place].argmax()) if len(overlaps) else 0
        if len(overlaps) and overlaps[best, place] >= 0.5:
            hits += 1
            overlaps[best] = 0
    return 2 * hits / total


def with_boxes(picture: np.ndarray, boxes: np.ndarray, colours_of: Sequence[tuple[int, ...]]) -> np.ndarray:
    """A uint8 picture of three channels, enlarged where it is small, with boxes (n, 4) drawn into it."""
    from PIL import Image, ImageDraw

    whole = np.repeat(picture, 3, axis=-1) if picture.shape[-1] == 1 else picture
    times = max(1, _SIDE // max(whole.shape[:2]))
    image = Image.fromarray(whole).resize((whole.shape[1] * times, whole.shape[0] * times), Image.Resampling.NEAREST)
    pencil = ImageDraw.Draw(image)
    for (top, left, bottom, right), colour in zip(boxes, colours_of, strict=True):
        edges = [float(left) * image.width, float(top) * image.height]
        edges += [
            max(edges[0] + 1, float(right) * image.width - 1),
            max(edges[1] + 1, float(bottom) * image.height - 1),
        ]
        pencil.rectangle(edges, outline=tuple(int(value) for value in colour), width=2)
    return np.asarray(image, np.uint8)


def _known(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None
