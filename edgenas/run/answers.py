"""What the exported file of a table answers to the test rows, beside what needs no search; kept with the trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.export.bundle.check import file_checksum
from edgenas.export.files import file_name, write_atomically
from edgenas.tasks.files import in_memory

if TYPE_CHECKING:
    from edgenas.run.context import RunContext

#: Rows that are kept for the plots, evenly out of all.
KEPT = 600


def answers_path(trial_path: Path, quantization: str) -> Path:
    """Where the answers of a trial's file in one quantization are kept."""
    return trial_path / "final" / f"answers-{file_name(quantization)}.json"


def save_answers(
    context: RunContext,
    number: int,
    model: bytes,
    outputs: Mapping[str, Any],
    metrics: Mapping[str, float],
    preprocessing: Any,
) -> dict[str, dict[str, float]]:
    """Writes true and predicted values, and the figures of baselines; nothing for tasks without either.

    ``outputs`` are what the file answered to the test examples, ``metrics`` its figures. Returns the baselines'.
    """
    task, data = context.task, context.dataset
    values = task.predicted_values(in_memory(data.test.targets), outputs)
    baselines = task.baselines(data.train, data.test, preprocessing)
    if values is None and not baselines:
        return {}
    points: list[list[float]] = []
    if values is not None:
        rows = np.unique(np.linspace(0, len(values[0]) - 1, min(KEPT, len(values[0]))).round().astype(int))
        points = [[float(f"{value:.6g}") for value in pair] for pair in np.stack(values, axis=1)[rows].tolist()]
    quantization = context.recipe.export.quantization
    document = {
        "format": 1,
        "trial": number,
        "quantization": quantization,
        "model_sha256": file_checksum(model),
        "examples": len(data.test),
        "target": data.facts.get("target", "value"),
        "metrics": dict(metrics),
        "smaller_is_better": sorted(task.smaller_is_better),
        "baselines": baselines,
        "values": points,
    }
    path = answers_path(context.folder.trial_path(number), quantization)
    write_atomically(path, json.dumps(document, separators=(",", ":")) + "\n")
    return baselines
