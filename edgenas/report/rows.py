"""Boxes of different widths set in rows of about the same length, so that none stands alone in the last one."""

from __future__ import annotations

from collections.abc import Sequence


def row_starts(widths: Sequence[float], capacity: float) -> list[int]:
    """Where rows begin after the first, for the fewest rows of at most ``capacity`` and their most even lengths.

    A box that is wider than the capacity has a row of its own.

    >>> row_starts([1, 1, 1, 1, 1], 4), row_starts([1, 1, 1], 4), row_starts([3, 2, 2, 5], 4)
    ([3], [], [1, 3])
    """
    # Of the boxes from i on: the fewest rows, then the least sum of squared lengths, and where the next row begins.
    best: list[tuple[int, float, int]] = [(0, 0.0, len(widths))] * (len(widths) + 1)
    for first in range(len(widths) - 1, -1, -1):
        found = []
        length = 0.0
        for last in range(first, len(widths)):
            length += widths[last]
            if length > capacity and last > first:
                break
            rows, squares, _ = best[last + 1]
            found.append((rows + 1, squares + length * length, last + 1))
        best[first] = min(found, key=lambda one: (one[0], one[1], -one[2]))
    starts = []
    place = best[0][2]
    while place < len(widths):
        starts.append(place)
        place = best[place][2]
    return starts
