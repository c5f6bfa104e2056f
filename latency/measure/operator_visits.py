"""The quiet latency of a model that outlasts quiet moments: the sum of its operators' quiet times inside whole runs.

On a shared machine quiet moments last a few milliseconds, a network of 10 ms never sees one from end to end. Its
operators do, now one and now another. Neighbouring operators are joined into *stretches* long enough for a clock that
counts whole microseconds and short enough to be quiet at times; each stretch has a quiet latency of its own, from all
runs of all visits: while the reference model was disturbed before and after a run, stretches of it may not have been.
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

    @property
    def times_us(self) -> NDArray[np.float64]:
        """(runs, operators) with what was cut off."""
        return np.array(self.operators_us) + _CUT_OFF

    @property
    def runs_ms(self) -> NDArray[np.float64]:
        """(runs,) what operators add up to."""
        return np.asarray(self.times_us.sum(axis=1) / 1e3)


@dataclass(frozen=True)
class QuietSum:
    """``error_ms`` is the standard error of ``latency_ms``; stretches were quiet in ``visits`` visits on average, not
    counting those whose anchor never was.

    ``operators_ms`` (operators,) is each operator's part of ``latency_ms``.
    """

    latency_ms: float
    error_ms: float
    visits: int
    operators_ms: NDArray[np.float64]


def quiet_sum(visits: Sequence[OperatorVisit], factors: Sequence[float], was_quiet: Sequence[bool]) -> QuietSum:
    """Adds up the median of each stretch's quiet times.

    ``factors`` bring visits to the reference clock, ``was_quiet`` tells those whose anchor was quiet. Visits to another
    number of operators than the first one's do not count.
    """
    operators = len(visits[0].operators_us[0])
    counted = [place for place, visit in enumerate(visits) if len(visit.operators_us[0]) == operators]
    times = np.concatenate([factors[place] * visits[place].times_us for place in counted])
    owners = np.repeat(np.arange(len(counted)), [len(visits[place].operators_us) for place in counted])
    quiet_owners = np.array(was_quiet, bool)[counted]
    operators_us = np.zeros(operators)
    variance = visits_seen = 0.0
    for columns in np.split(np.arange(operators), _starts(np.quantile(times, 0.1, axis=0))[1:]):
        stretch = times[:, columns].sum(axis=1)
        quiet = stretch <= _QUIET * stretch.min()
        low, value, high = map(float, np.quantile(stretch[quiet], (0.25, 0.5, 0.75)))
        shares = times[np.ix_(quiet, columns)].sum(axis=0)
        operators_us[columns] = value * shares / shares.sum()
        seen = np.unique(owners[quiet])
        variance += ((high - low) / 1.35) ** 2 / len(seen)
        visits_seen += int(quiet_owners[seen].sum()) * value
    latency = float(operators_us.sum())
    return QuietSum(latency / 1e3, math.sqrt(variance) / 1e3, round(visits_seen / latency), operators_us / 1e3)


def _starts(typical: NDArray[np.float64]) -> list[int]:
    """Where stretches begin; a rest that is too short belongs to the last one."""
    starts, length = [0], 0.0
    for index, time in enumerate(typical):
        if length >= _STRETCH:
            starts.append(index)
            length = 0.0
        length += time
    return starts[:-1] if len(starts) > 1 and length < _STRETCH / 2 else starts
