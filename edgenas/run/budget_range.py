"""What a budget is worth in its space: the least and the most that architectures are predicted at, told before the
search. A budget above all of them never binds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgenas.run.context import RunContext

_UNITS = {"latency_ms": "ms", "energy_mj": "mJ", "size_bytes": "bytes"}


def budget_ranges(context: RunContext) -> dict[str, dict[str, float | bool]]:
    """By cost: the ``limit`` on predictions, ``least`` and ``most`` in the space, whether it ``binds`` at all."""
    ranges: dict[str, dict[str, float | bool]] = {}
    for name, limit in context.limits.items():
        if name not in _UNITS:
            continue
        least, most = context.costs.cheapest(name)[1], context.costs.dearest(name)[1]
        ranges[name] = {"limit": limit, "least": least, "most": most, "binds": limit < most}
    return ranges


def describe_ranges(ranges: Mapping[str, Mapping[str, float | bool]], budget: Mapping[str, float]) -> list[str]:
    """One line a cost."""
    lines = []
    for name, found in ranges.items():
        unit = _UNITS[name]
        line = (
            f"budget.{name}: {budget[name]:.4g} {unit}; architectures of the space are predicted at "
            f"{found['least']:.4g} to {found['most']:.4g} {unit}"
        )
        lines.append(line if found["binds"] else f"{line}: it never binds, and any of them keeps it")
    return lines
