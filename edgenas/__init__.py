"""Finding the best network for a device: recipes, training, search, study, reports and the command line.

``edgenas.minimize`` and ``edgenas.Tuning`` tune anything else with the same algorithms and studies.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["Suggestion", "Tuning", "TuningResult", "minimize"]


def __getattr__(name: str) -> Any:
    """Imported when it is first used: the command line starts without it, and the other floors know nothing of it."""
    if name in __all__:
        return getattr(import_module("edgenas.study.tuning"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
