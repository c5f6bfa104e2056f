"""What a budget is worth in its space: the least and the most that architectures are predicted at, told before the
search. A budget above all of them never binds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgenas.study.cost_names import split_name, unit_of

if TYPE_CHECKING:
    from edgenas.run.context import RunContext

#: Costs whose range is told: those that add up over blocks.
_TOLD = ("latency_ms", "energy_mj", "size_bytes", "macs", "params")


def budget_ranges(context: RunContext) -> dict[str, dict[str, float | bool]]:
    """By cost: the ``limit`` on predictions, ``least`` and ``most`` in the space, whether it ``binds`` at all."""
    ranges: dict[str, dict[str, float | bool]] = {}
    for name, limit in context.limits.items():
        if split_name(name)[0] not in _TOLD:
            continue
        least, most = context.costs.cheapest(name)[1], context.costs.dearest(name)[1]
        ranges[name] = {"limit": limit, "least": least, "most": most, "binds": limit < most}
    return ranges


def describe_ranges(ranges: Mapping[str, Mapping[str, float | bool]], budget: Mapping[str, float]) -> list[str]:
    """One line a cost."""
    lines = []
    for name, found in ranges.items():
        cost, device = split_name(name)
        unit = f" {unit_of(name)}".rstrip()
        line = (
            f"{device and f'{device}: '}budget.{cost}: {budget[name]:.4g}{unit}; architectures of the space are "
            f"predicted at {found['least']:.4g} to {found['most']:.4g}{unit}"
        )
        lines.append(line if found["binds"] else f"{line}: it never binds, and any of them keeps it")
    return lines
