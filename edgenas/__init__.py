"""Finding the best network for a device: recipes, training, search, study, reports and the command line.

``edgenas.minimize`` and ``edgenas.Tuning`` tune anything else with the same algorithms and studies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgenas.study.tuning import Suggestion, Tuning, TuningResult, minimize

__all__ = ["Suggestion", "Tuning", "TuningResult", "minimize"]


def __getattr__(name: str) -> Any:
    """Imported when it is first used: the command line starts without it."""
    if name in __all__:
        from edgenas.study import tuning

        return getattr(tuning, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
