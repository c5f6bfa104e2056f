"""Channel counts that hardware likes."""

from __future__ import annotations

CHANNEL_DIVISOR = 8


def round_filters(filters: float, divisor: int = CHANNEL_DIVISOR) -> int:
    """Nearest positive multiple of ``divisor`` that is not more than 10 % below ``filters``.

    The rule of the MobileNet family (Sandler et al., arXiv 1801.04381, public implementation).

    >>> [round_filters(x) for x in (3, 24 * 0.75, 88.008, 32 * 0.35)]
    [8, 24, 88, 16]
    """
    rounded = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * filters else rounded + divisor
