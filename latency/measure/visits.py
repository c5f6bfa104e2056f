"""What was seen on visits to models, and the quiet latency that follows from it. Pure bookkeeping, no device.

A *chunk* is the fastest of a few runs, with the reference model (the *anchor*) timed before and after. It is quiet when
both of the anchor's times are within a tolerance of its fastest ever. A quiet chunk is brought to the reference clock:
its time is multiplied by the anchor's reference time over the faster of its two times. The clock of a server CPU moves
in steps of about 4.5 % for minutes, whoever else is on the machine, so numbers of different minutes cannot be compared
without that.

A model that outlasts quiet moments is seen operator by operator instead
(:mod:`edgenas.latency.measure.operator_visits`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgenas.latency.measure.clock import Clock
from edgenas.latency.measure.operator_visits import OperatorVisit, QuietSum, quiet_sum
from edgenas.latency.measure.quietness import QUIET_VISITS, tells_quiet
from edgenas.spaces.errors import InputError

#: (fastest run of the chunk, anchor before, anchor after), all in ms.
Chunk = tuple[float, float, float]
#: The chunks of one visit, or its runs operator by operator.
Visit = tuple[Chunk, ...] | OperatorVisit

#: Whole networks that others are compared with are visited so many times as often as blocks.
THOROUGH = 2.0
_FEWEST_FOR_ERROR = 3
#: The reference clock is one that this share of the quiet visits reach.
_REFERENCE_SHARE = 0.1
#: The quiet latency is this quantile over quiet visits: what disturbs adds time, and is not always seen.
_QUANTILE = 0.25


@dataclass(frozen=True)
class QuietSettings:
    """``visits`` quiet visits per model are enough.

    ``least_visits`` quiet ones are, when they agree: their quartiles tell the latency within ``precision`` (relative
    standard error), or the model was visited ``patience`` times. After ``max_visits`` what was measured must do. So a
    quiet machine is done soon, and a busy one does not take for ever.

    A visit begins when the model was warmed up for ``warmup_seconds`` (or 40 times, if that is sooner), in a quiet
    moment if one comes within ``wait_seconds``. It ends after ``quiet_chunks`` quiet chunks of ``chunk_seconds``, or
    after ``visit_seconds``. ``tolerance`` is how far above its fastest the anchor may be: clock steps stay below 1.25,
    a busy neighbour costs 1.4 and more.
    Models whose run takes more than ``operators_above`` seconds are seen operator by operator, for
    ``operator_seconds`` a visit: several short visits tell more than a long one.
    """

    visits: int = 8
    least_visits: int = 4
    patience: int = 10
    max_visits: int = 20
    precision: float = 0.01
    quiet_chunks: int = 3
    chunk_seconds: float = 0.0001
    visit_seconds: float = 0.0025
    wait_seconds: float = 0.06
    warmup_seconds: float = 0.06
    operators_above: float = 0.0005
    operator_seconds: float = 0.04
    tolerance: float = 1.27
    #: Whether a quiet device (:mod:`edgenas.latency.measure.quietness`) is visited less often.
    spares_quiet: bool = True
    timeout_seconds: float = 60.0
    #: What inputs are fed (:attr:`edgenas.devices.MeasureSettings.inputs`).
    inputs: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if not (1 <= self.visits <= self.max_visits and self.least_visits >= 1 and self.tolerance > 1):
            raise InputError("quiet settings: need 1 <= visits <= max_visits, least_visits >= 1 and tolerance > 1")

    @property
    def protocol(self) -> str:
        """In words, for headers of tables; tables of different protocols are not mixed."""
        return (
            f"first quartile at the reference clock of {min(self.least_visits, self.visits)} to {self.visits} quiet "
            f"visits after {self.warmup_seconds * 1e3:g} ms of warming up, fastest run of each {self.quiet_chunks} x "
            f"{self.chunk_seconds * 1e3:g} ms, anchor within {self.tolerance:g} of its fastest; above "
            f"{self.operators_above * 1e3:g} ms medians by operator, blocks of such networks inside them"
        )


@dataclass(frozen=True)
class QuietLatency:
    """A quiet latency at the reference clock, in ms.

    ``spread`` is the relative distance between the quartiles over quiet visits, ``fastest_ms`` the fastest run that
    was seen at any clock, as the clock on the wall told it.
    """

    latency_ms: float
    fastest_ms: float
    spread: float
    quiet_visits: int
    visits: int


@dataclass
class Visits:
    """All visits to all models of one session.

    ``anchor_ms`` is the anchor's reference time where it is known from before, such as a table's; without it, the
    session sets its own, and a machine that is disturbed all the time passes for quiet. ``effort`` tells how many times
    as often as the settings ask a model is visited, where that is not once. ``is_quiet`` tells whether the device needs
    nothing of all that; None while nobody knows.
    """

    settings: QuietSettings
    anchor_ms: float | None = None
    effort: Mapping[str, float] = field(default_factory=dict)
    by_model: dict[str, list[Visit]] = field(default_factory=dict)
    fastest_anchor_ms: float = float("inf")
    clock: Clock = field(default_factory=Clock)
    is_quiet: bool | None = None
    _places: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.anchor_ms is not None:
            self.fastest_anchor_ms = min(self.fastest_anchor_ms, self.anchor_ms)

    def add(self, name: str, visit: Visit) -> None:
        """Notes a visit."""
        anchor_ms = _fastest_anchor(visit)
        self.by_model.setdefault(name, []).append(visit)
        self._places.setdefault(name, []).append(self.clock.note(anchor_ms))
        self.fastest_anchor_ms = min(self.fastest_anchor_ms, anchor_ms)

    @property
    def can_tell_quiet(self) -> bool:
        """Whether it would spare visits to know whether the device is quiet, which nobody does yet."""
        return self.is_quiet is None and self.settings.spares_quiet and self.settings.visits > QUIET_VISITS

    def look_whether_quiet(self) -> None:
        """Tells from all visits so far whether the device is quiet."""
        if self.settings.spares_quiet and self.settings.visits > QUIET_VISITS:
            self.is_quiet = tells_quiet(self.by_model)

    @property
    def _limit(self) -> float:
        """What the anchor takes at most where it is quiet, in ms."""
        return self.settings.tolerance * self.fastest_anchor_ms

    def _quiet(self, visit: tuple[Chunk, ...]) -> list[Chunk]:
        return [chunk for chunk in visit if max(chunk[1:]) <= self._limit]

    def quiet_visits(self, name: str) -> int:
        """How many visits to a model had a quiet chunk; by operator, the average over operators."""
        return self._latency(name, reference=1.0).quiet_visits if name in self.by_model else 0

    def lacking(self, names: Iterable[str]) -> list[str]:
        """The models that need more visits."""

        def lacks(name: str) -> bool:
            if name not in self.by_model:
                return True
            times = self.effort.get(name, 1.0)
            if self.is_quiet:
                return len(self.by_model[name]) < min(math.ceil(times * QUIET_VISITS), QUIET_VISITS)
            visits, seen = len(self.by_model[name]), self._latency(name, reference=1.0)
            if visits >= times * self.settings.max_visits or seen.quiet_visits >= times * self.settings.visits:
                return False
            if seen.quiet_visits < times * self.settings.least_visits:
                return True
            return visits < times * self.settings.patience and _error(seen) > self.settings.precision

        return [name for name in names if lacks(name)]

    @property
    def session_anchor_ms(self) -> float:
        """The anchor's time at the clock that a tenth of the session's quiet visits reached."""
        quiet = [anchor for anchor in self.clock.anchors_ms if anchor <= self._limit]
        return float(np.quantile(quiet, _REFERENCE_SHARE)) if quiet else self.fastest_anchor_ms

    @property
    def reference_ms(self) -> float:
        """The anchor's time that latencies are brought to: as known from before, or this session's."""
        return self.session_anchor_ms if self.anchor_ms is None else self.anchor_ms

    def latencies(self, names: Iterable[str]) -> dict[str, QuietLatency]:
        """Quiet latencies of the models among ``names`` that were visited.

        Where no visit was quiet (``quiet_visits`` is then 0), the fastest run of all must do, or by operator what was
        least.
        """
        reference = self.reference_ms
        return {name: self._latency(name, reference) for name in names if name in self.by_model}

    def operators(self, names: Iterable[str]) -> dict[str, QuietSum]:
        """What each operator takes at the reference clock, of the models among ``names`` where operators are told."""
        reference = self.reference_ms
        return {name: self._quiet_sum(name, reference) for name in names if _by_operator(self.by_model.get(name, ()))}

    def latency(self, name: str) -> QuietLatency:
        """The quiet latency of one model that was visited."""
        return self._latency(name, self.reference_ms)

    def _latency(self, name: str, reference: float) -> QuietLatency:
        visits = self.by_model[name]
        by_operator = _by_operator(visits)
        if by_operator:
            found = self._quiet_sum(name, reference)
            fastest = min(float(visit.runs_ms.min()) for visit in by_operator)
            spread = 1.35 * math.sqrt(found.visits) * found.error_ms / found.latency_ms
            return QuietLatency(found.latency_ms, fastest, spread, found.visits, len(visits))
        in_chunks = _in_chunks(visits)
        quiet = [chunks for visit in in_chunks if (chunks := self._quiet(visit))]
        fastest = min(chunk[0] for visit in in_chunks for chunk in visit)
        if not quiet:
            return QuietLatency(fastest, fastest, 0.0, 0, len(visits))
        values = [min(_at_reference(chunk, reference) for chunk in chunks) for chunks in quiet]
        low, value, high = (float(np.quantile(values, share)) for share in (0.25, _QUANTILE, 0.75))
        return QuietLatency(value, fastest, (high - low) / value, len(quiet), len(visits))

    def _quiet_sum(self, name: str, reference: float) -> QuietSum:
        seen = zip(self.by_model[name], self._places[name], strict=True)
        visits, places = zip(*((v, place) for v, place in seen if isinstance(v, OperatorVisit)), strict=True)
        factors = [self.clock.factor(place, reference, self._limit) for place in places]
        return quiet_sum(visits, factors, [visit.fastest_anchor_ms <= self._limit for visit in visits])


def _error(latency: QuietLatency) -> float:
    """Relative standard error of a quiet latency, from its quartiles (1.35 deviations apart)."""
    if latency.quiet_visits < _FEWEST_FOR_ERROR:
        return math.inf
    return latency.spread / 1.35 / math.sqrt(latency.quiet_visits)


def _at_reference(chunk: Chunk, reference_ms: float) -> float:
    """What the chunk takes at the clock where the anchor takes so many ms."""
    return chunk[0] * reference_ms / min(chunk[1:])


def _in_chunks(visits: Iterable[Visit]) -> list[tuple[Chunk, ...]]:
    return [visit for visit in visits if not isinstance(visit, OperatorVisit)]


def _by_operator(visits: Sequence[Visit]) -> list[OperatorVisit]:
    """The visits that tell operators, unless most do not."""
    found = [visit for visit in visits if isinstance(visit, OperatorVisit)]
    return found if 2 * len(found) >= len(visits) else []


def _fastest_anchor(visit: Visit) -> float:
    if isinstance(visit, OperatorVisit):
        return visit.fastest_anchor_ms
    return min(min(chunk[1:]) for chunk in visit)
