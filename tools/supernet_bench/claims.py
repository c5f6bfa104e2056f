"""What a figure is compared with."""

from __future__ import annotations

from typing import Any


def claim(text: str, value: float, goal: float, *, least: bool = False) -> dict[str, Any]:
    """A figure with its goal: the most it may be, or the least."""
    return {"claim": text, "value": value, "goal": goal, "met": bool(value >= goal if least else value <= goal)}


def claim_line(found: dict[str, Any]) -> str:
    return f"{found['claim']}: {found['value']:.4g} (goal {found['goal']:g}, {'met' if found['met'] else 'not met'})"
