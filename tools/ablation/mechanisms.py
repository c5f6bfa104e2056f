"""The mechanisms that measuring has because machines are shared, and what it is like without each of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np

from edgenas.latency.check.device_drift import DeviceDrift
from edgenas.latency.costing import measured
from edgenas.latency.measure import operator_visits, visits
from edgenas.latency.measure.clock import Clock
from edgenas.latency.measure.visits import Visits
from edgenas.latency.predict.cache_misses import CacheMisses
from edgenas.latency.profile import in_networks


@dataclass(frozen=True)
class Mechanism:
    """``without`` is a context in which it is off."""

    name: str
    what: str
    without: Callable[[], AbstractContextManager[Any]]


def _plain_chunk(chunk: tuple[float, float, float], reference_ms: float) -> float:
    return chunk[0]


def _own_anchor(self: Clock, place: int, reference_ms: float, limit_ms: float) -> float:
    return reference_ms / self.anchors_ms[place]


def _no_drift(then_ms: Any, now_ms: Any) -> DeviceDrift:
    return DeviceDrift(1.0)


_off = functools.partial
_each = patch.object

MECHANISMS = (
    Mechanism(
        "quiet moments",
        "chunks and visits count whose anchor was near its fastest",
        _off(_each, Visits, "_limit", np.inf),
    ),
    Mechanism(
        "anchor's clock",
        "chunks are brought to the anchor's reference time",
        _off(_each, visits, "_at_reference", _plain_chunk),
    ),
    Mechanism(
        "clock steps",
        "visits by operator follow the clock of the visits around in part; else their own anchor",
        _off(_each, Clock, "factor", _own_anchor),
    ),
    Mechanism(
        "clock by operator",
        "visits by operator are brought to a reference clock at all",
        _off(_each, Clock, "factor", lambda self, place, reference_ms, limit_ms: 1.0),
    ),
    Mechanism(
        "quiet stretches",
        "of each stretch of operators the times near its least count",
        _off(_each, operator_visits, "_QUIET", np.inf),
    ),
    Mechanism(
        "cache misses",
        "slow networks add to what blocks take in fast ones",
        _off(_each, in_networks, "fit_cache_misses", lambda seen, weight_bytes: CacheMisses()),
    ),
    Mechanism(
        "disturbed sightings",
        "a block's slow sightings do not count",
        _off(_each, CacheMisses, "undisturbed", lambda self, seen, weight_bytes: list(seen)),
    ),
    Mechanism(
        "drift",
        "what all networks take more or less since then is taken out",
        _off(_each, measured, "tell_drift", _no_drift),
    ),
)
EVERYTHING_ON: Callable[[], AbstractContextManager[Any]] = nullcontext
