"""What the record of the export step says of accuracy, also in runs of before there were several tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def shipped_scores(facts: Mapping[str, Any]) -> tuple[str, float | None, float | None]:
    """(name of the primary metric, of the float model, of the shipped file); None for what is not there.

    >>> shipped_scores({"top1_float": 0.9, "top1_tflite": 0.89})
    ('top1', 0.9, 0.89)
    """
    metric = str(facts.get("metric", "top1"))
    found = facts.get("metrics")
    if not isinstance(found, Mapping):
        return metric, facts.get("top1_float"), facts.get("top1_tflite")
    both = [(found.get(kind) or {}).get(metric) for kind in ("float", "tflite")]
    return metric, both[0], both[1]
