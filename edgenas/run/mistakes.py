"""What the exported file gets wrong on the test examples, kept with the trial for the report."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.export.bundle.check import file_checksum
from edgenas.export.files import file_name, write_atomically
from edgenas.tasks.files import in_memory
from edgenas.tasks.mistakes import Mistakes, find_mistakes

if TYPE_CHECKING:
    from edgenas.run.context import RunContext

#: Longest side of a kept picture, in pixels.
MOST_PIXELS = 96
#: Pictures up to this side are kept as they are; larger ones are for looking at only, and smaller as JPEG.
_EXACT_PIXELS = 40
#: Classes that the model card names.
_CARD_CLASSES = 3


def mistakes_path(trial_path: Path, quantization: str) -> Path:
    """Where the mistakes of a trial's file in one quantization are kept."""
    return trial_path / "final" / f"mistakes-{file_name(quantization)}.json"


def save_mistakes(context: RunContext, number: int, model: bytes, outputs: Mapping[str, Any]) -> Mistakes | None:
    """Writes which class the file takes for which, and some wrong pictures; nothing for tasks without classes.

    ``outputs`` are what the file answered to the test examples. The digest of the file says which one it was. Returns
    what it found.
    """
    task, test = context.task, context.dataset.test
    probabilities = task.class_probabilities(outputs)
    if probabilities is None:
        return None
    found = find_mistakes(probabilities, np.asarray(in_memory(test.targets)).reshape(-1))
    pictures: list[str | None] = [None] * len(found.wrong)
    if found.wrong:
        shown = task.pictures(test.batch(np.array([wrong.index for wrong in found.wrong]))[0])
        pictures = pictures if shown is None else [data_url(picture) for picture in shown]
    quantization = context.recipe.export.quantization
    labels = context.labels or tuple(map(str, range(probabilities.shape[1])))
    document = {
        "format": 1,
        "trial": number,
        "quantization": quantization,
        "model_sha256": file_checksum(model),
        "examples": len(test),
        "labels": list(labels),
        "confusion": found.triples,
        "wrong": [{**vars(wrong), "picture": picture} for wrong, picture in zip(found.wrong, pictures, strict=True)],
    }
    path = mistakes_path(context.folder.trial_path(number), quantization)
    write_atomically(path, json.dumps(document, separators=(",", ":")) + "\n")
    return found


def worst_classes(context: RunContext, found: Mistakes | None) -> tuple[tuple[str, float, int], ...]:
    """For the model card: label, share told right, examples of the worst classes."""
    if found is None or not context.labels:
        return ()
    return tuple((context.labels[true], share, count) for true, share, count in found.worst(_CARD_CLASSES))


def data_url(picture: np.ndarray, most: int = MOST_PIXELS, exact: int = _EXACT_PIXELS) -> str:
    """A uint8 picture of 1 or 3 channels as it can stand in a page: at most ``most`` wide and high.

    Without loss where no side is longer than ``exact``.
    """
    from PIL import Image

    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    is_exact = max(image.size) <= exact
    image.thumbnail((most, most))
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True) if is_exact else image.save(content, "JPEG", quality=85)
    kind = "png" if is_exact else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}"
