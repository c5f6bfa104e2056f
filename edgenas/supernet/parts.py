"""The part of a shared array that a variant takes: prefixes of channels, the middle of kernels."""

from __future__ import annotations

from typing import Any

from edgenas.export._tensorflow import tensorflow


def part(weight: Any, *sizes: Any) -> Any:
    """The first elements along every axis; along the two sides of a kernel, those in the middle."""
    starts: list[Any] = [0] * len(sizes)
    if len(sizes) == 4:
        starts[:2] = [(whole - part) // 2 for whole, part in zip(weight.shape[:2], sizes[:2], strict=True)]
    # One op: this is called for every weight of every block, and each op takes its time to trace.
    return tensorflow().slice(weight, starts, sizes)
