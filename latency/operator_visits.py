"""The quiet latency of a model that outlasts quiet moments: the sum of its operators' quiet times inside whole runs.

On a shared machine quiet moments last a few milliseconds, a network of 10 ms never sees one from end to end. Its
operators do, now one and now another. Neighbouring operators are joined into *stretches* long enough for a clock that
counts whole microseconds and short enough to be quiet at times; each stretch has a quiet latency of its own, from all
runs of all visits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: A stretch is at least that long, in microseconds.
_STRETCH = 200.0
#: Times up to here above the least are quiet: a busy neighbour costs 40 % and more, but may come in between.
_QUIET = 1.08
#: Long models follow the clock less than the anchor does, which needs no memory: by this power of its ratio. Of those
#: that were tried, it leaves the least difference between visits at different clocks, and between quiet and busy ones.
_FOLLOWS = 0.4
#: What lies further below comes from visits whose clock was misjudged. One of so many may be.
_BELOW = 1.04
_VISITS_PER_MISJUDGED = 5
#: Operators' times are cut off to whole microseconds: so much is missing on average.
_CUT_OFF = 0.5


@dataclass(frozen=True)
class OperatorVisit:
    """The runs of one visit: the reference model's times before and after each in ms, and each operator's in us."""

    anchors_ms: tuple[tuple[float, float], ...]
    operators_us: tuple[tuple[int, ...], ...]

    @property
    def fastest_anchor_ms(self) -> float:
        return min(map(min, self.anchors_ms))

    def quiet_anchor_ms(self, limit_ms: float) -> float | None:
        """The anchor's time at the visit's clock; None where it was never within the limit."""
        fastest = self.fastest_anchor_ms
        return fastest if fastest <= limit_ms else None

    @property
    def runs_ms(self) -> NDArray[np.float64]:
        """(runs,) what operators add up to."""
        return (np.array(self.operators_us) + _CUT_OFF).sum(axis=1) / 1e3


@dataclass(frozen=True)
class QuietSum:
    """``error_ms`` is the standard error of ``latency_ms``; stretches were quiet in ``visits`` visits on average.

    ``operators_ms`` (operators,) is each operator's part of ``latency_ms``.
    """

    latency_ms: float
    error_ms: float
    visits: int
    operators_ms: NDArray[np.float64]


def quiet_sum(
    visits: Sequence[OperatorVisit], reference_ms: float, *, limit_ms: float, quantile: float
) -> QuietSum | None:
    """Adds up a quantile of each stretch's quiet times, brought to the clock where the anchor takes ``reference_ms``.

    Visits whose anchor was never within ``limit_ms`` do not count, nor do those to another number of operators than
    the first one's. None when no visit counts.
    """
    operators = len(visits[0].operators_us[0])
    counted = [
        (np.array(visit.operators_us) + _CUT_OFF, (reference_ms / anchor) ** _FOLLOWS)
        for visit in visits
        if len(visit.operators_us[0]) == operators and (anchor := visit.quiet_anchor_ms(limit_ms))
    ]
    if not counted:
        return None
    times = np.concatenate([times * clock for times, clock in counted])
    owners = np.repeat(np.arange(len(counted)), [len(times) for times, _ in counted])
    operators_us = np.zeros(operators)
    variance = visits_seen = 0.0
    for columns in np.split(np.arange(operators), _starts(np.quantile(times, 0.1, axis=0))[1:]):
        stretch = times[:, columns].sum(axis=1)
        least = _least(stretch, owners)
        quiet = (stretch <= _QUIET * least) & (stretch >= least / _BELOW)
        low, value, high = map(float, np.quantile(stretch[quiet], (0.25, quantile, 0.75)))
        shares = times[np.ix_(quiet, columns)].sum(axis=0)
        operators_us[columns] = value * shares / shares.sum()
        seen = len(set(owners[quiet]))
        variance += ((high - low) / 1.35) ** 2 / seen
        visits_seen += seen * value
    latency = float(operators_us.sum())
    return QuietSum(latency / 1e3, math.sqrt(variance) / 1e3, round(visits_seen / latency), operators_us / 1e3)


def _least(stretch: NDArray[np.float64], owners: NDArray[np.intp]) -> float:
    """The least of the visits' least times, or one a little above: the clock of a visit may have been misjudged."""
    leasts = np.full(owners[-1] + 1, np.inf)
    np.minimum.at(leasts, owners, stretch)
    return float(np.sort(leasts)[len(leasts) // _VISITS_PER_MISJUDGED])


def _starts(typical: NDArray[np.float64]) -> list[int]:
    """Where stretches begin; a rest that is too short belongs to the last one."""
    starts, length = [0], 0.0
    for index, time in enumerate(typical):
        if length >= _STRETCH:
            starts.append(index)
            length = 0.0
        length += time
    return starts[:-1] if len(starts) > 1 and length < _STRETCH / 2 else starts
