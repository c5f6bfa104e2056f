"""What the exported file of a segmentation makes of the test pictures, kept with the trial for the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.data.segmentation.legend import VOID
from edgenas.export.bundle.check import file_checksum
from edgenas.export.bundle.picture_drawing import colours
from edgenas.export.bundle.run_masks import draw
from edgenas.export.files import file_name, write_atomically
from edgenas.run.mistakes import data_url
from edgenas.tasks.files import in_memory
from edgenas.tasks.pixels import class_iou, confusion_matrix, mean_iou

if TYPE_CHECKING:
    from edgenas.run.context import RunContext

#: Pictures that are kept, from the worst to the best.
PICTURES = 6
#: Longest side of a kept picture.
_SIDE = 224
_COVERED = 0.6


def masks_path(trial_path: Path, quantization: str) -> Path:
    """Where the masks of a trial's file in one quantization are kept."""
    return trial_path / "final" / f"masks-{file_name(quantization)}.json"


def save_masks(context: RunContext, number: int, model: bytes, outputs: Mapping[str, Any]) -> dict[str, float]:
    """Writes figures of every class, and pictures with their masks; nothing for tasks without.

    ``outputs`` are what the file answered to the test examples. Returns the IoU by class.
    """
    task, test = context.task, context.dataset.test
    masks = in_memory(test.targets)
    found = task.pixel_labels(masks, outputs)
    if found is None:
        return {}
    labels = context.labels
    counts = confusion_matrix(masks, found, len(labels))
    each = [mean_iou(confusion_matrix(masks[i : i + 1], found[i : i + 1], len(labels))) for i in range(len(masks))]
    order = np.argsort(each, kind="stable")
    shown = order[np.unique(np.linspace(0, len(order) - 1, min(PICTURES, len(order))).round().astype(int))]
    pictures = task.pictures(test.batch(shown)[0])
    iou, pixels = class_iou(counts), counts.sum(axis=1)
    classes = [
        {
            "label": label,
            "iou": None if np.isnan(iou[place]) else round(float(iou[place]), 4),
            "right": round(float(counts[place, place] / pixels[place]), 4) if pixels[place] else None,
            "share": round(float(pixels[place] / max(1, pixels.sum())), 5),
            "colour": colours(len(labels))[place].tolist(),
        }
        for place, label in enumerate(labels)
    ]
    document = {
        "format": 1,
        "trial": number,
        "quantization": context.recipe.export.quantization,
        "model_sha256": file_checksum(model),
        "examples": len(test),
        "classes": classes,
        "pictures": []
        if pictures is None
        else [
            {"index": int(row), "miou": round(each[row], 4)} | _three(picture, masks[row], found[row], len(labels))
            for row, picture in zip(shown, pictures, strict=True)
        ],
    }
    path = masks_path(context.folder.trial_path(number), context.recipe.export.quantization)
    write_atomically(path, json.dumps(document, separators=(",", ":")) + "\n")
    return {label: float(value) for label, value in zip(labels, iou, strict=True) if not np.isnan(value)}


def _three(picture: np.ndarray, truth: np.ndarray, labels: np.ndarray, classes: int) -> dict[str, str]:
    """The picture, the truth over it with void in black, and what was predicted."""
    palette = np.zeros((VOID + 1, 3), np.uint8)
    palette[:classes] = colours(classes)
    whole = np.repeat(picture, 3, axis=-1) if picture.shape[-1] == 1 else picture
    drawn = {"picture": whole}
    for name, values in (("truth", truth), ("predicted", np.where(truth == VOID, VOID, labels.clip(0, VOID)))):
        drawn[name] = draw(whole, values.astype(np.uint8), palette, _COVERED)
    return {name: data_url(image, _SIDE, exact=96) for name, image in drawn.items()}
