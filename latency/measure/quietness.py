"""Whether a device is quiet: a board on a desk with a fixed clock and nobody else on it.

Its numbers repeat, so it needs none of what is done for a shared server: many visits to each model, whole networks
twice as often as blocks, second rounds for what was disturbed, ratios of disturbed runs from many networks. The first
visits tell: a few models are visited twice before anything else. Later visits may tell otherwise, and then the rest is
visited as on a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgenas.latency.measure.operator_visits import OperatorVisit

#: So many models are visited twice before anything else; fewer tell nothing.
PROBED_MODELS = 8
#: Visits to a model that are enough on a quiet device.
QUIET_VISITS = 2
#: Two visits to a model differ by less than this, for this share of the models.
_REPEATS, _REPEATING_SHARE = 0.01, 0.9
#: The reference model, where there is one, stays within this of its fastest, this share of the times.
_ANCHOR_WITHIN, _ANCHOR_SHARE = 1.05, 0.95

_Chunk = tuple[float, float, float]


def tells_quiet(by_model: Mapping[str, Sequence[tuple[_Chunk, ...] | OperatorVisit]]) -> bool | None:
    """Whether visits so far are those of a quiet device; None while too few models were visited twice.

    >>> steady = {str(place): [((1.0, 1.0, 1.0),)] * 2 for place in range(8)}
    >>> tells_quiet(steady), tells_quiet({"0": steady["0"]})
    (True, None)
    >>> tells_quiet(steady | {str(place): [((1.0, 1.0, 1.0),), ((1.4, 1.0, 1.0),)] for place in range(4)})
    False
    """
    twice = [visits for visits in by_model.values() if len(visits) >= QUIET_VISITS]
    if len(twice) < PROBED_MODELS:
        return None
    typical = np.array([[_typical_ms(visit) for visit in visits[:QUIET_VISITS]] for visits in twice])
    apart = typical.max(axis=1) / typical.min(axis=1) - 1
    anchors = np.concatenate([_anchors_ms(visit) for visits in by_model.values() for visit in visits])
    repeats = bool(np.quantile(apart, _REPEATING_SHARE) <= _REPEATS)
    return repeats and bool(np.quantile(anchors, _ANCHOR_SHARE) <= _ANCHOR_WITHIN * anchors.min())


def _typical_ms(visit: tuple[_Chunk, ...] | OperatorVisit) -> float:
    runs = visit.runs_ms if isinstance(visit, OperatorVisit) else [chunk[0] for chunk in visit]
    return float(np.median(runs))


def _anchors_ms(visit: tuple[_Chunk, ...] | OperatorVisit) -> Sequence[float]:
    pairs = visit.anchors_ms if isinstance(visit, OperatorVisit) else [chunk[1:] for chunk in visit]
    return [time for pair in pairs for time in pair]
