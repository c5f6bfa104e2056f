"""Options of the task, checked: each message names the option, what was found, and what is expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_BETWEEN: Mapping[str, tuple[float, float]] = {
    "match": (0.05, 0.95),
    "focal_alpha": (0.0, 1.0),
    "focal_gamma": (0.0, 10.0),
    "box_weight": (0.0, 1000.0),
    "colour": (0.0, 0.9),
    "score_threshold": (0.0, 0.999),
    "overlap": (0.0, 1.0),
}
_MOST_BOXES = 1000


def check_options(options: Any) -> dict[str, Any]:
    """What stands for some of the values: tuples for lists. Raises ValueError naming the option."""
    for name, (low, high) in _BETWEEN.items():
        value = getattr(options, name)
        if not _is_number(value) or not low <= value <= high:
            raise ValueError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
    if options.anchors not in ("generated", "fitted"):
        raise ValueError(f"anchors must be generated or fitted, not {options.anchors!r}")
    most = options.most_boxes
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= _MOST_BOXES:
        raise ValueError(f"most_boxes must be a whole number from 1 to {_MOST_BOXES}, not {most!r}")
    names = options.classes
    if isinstance(names, str) or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ValueError(f"classes must be a list of different names, not {names!r}")
    crop = tuple(options.crop) if isinstance(options.crop, (list, tuple)) else ()
    if len(crop) != 2 or not all(map(_is_number, crop)) or not 0.01 <= crop[0] <= crop[1] <= 16:
        raise ValueError(
            f"crop must be [smallest, largest] share of the area between 0.01 and 16, not {options.crop!r}"
        )
    return {"classes": tuple(names), "crop": crop}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
