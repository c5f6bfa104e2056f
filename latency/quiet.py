"""The quiet latency: how long a model takes when nothing else disturbs the device.

A busy neighbour on the same physical core slows a model by 1.5 to 2.6, for tenths of a second to minutes, and no
counter of the system shows it. So the device visits all models in shuffled order, round after round in fresh
processes, and times a small reference model, the *anchor*, before and after every chunk of runs. A chunk counts as
quiet when both times are close to the fastest that the anchor ever took. A model is visited until enough of its
visits were quiet; its quiet latency is the fastest of its quiet chunks.

On networks of 50 to 190 microseconds this repeats within 0.5 %, where medians of undisturbed-looking runs differ by
more than 100 %.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from devices import Device, Measurement, MeasurementError, MeasureSettings, Provenance
from devices.device import Model
from export.flatbuffer import write_tflite
from spaces.blocks import FusedInvertedBottleneck
from spaces.errors import InputError

#: (fastest run of the chunk, anchor before, anchor after), all in ms.
Chunk = tuple[float, float, float]


@dataclass(frozen=True)
class QuietSettings:
    """``visits`` quiet visits per model are enough; after ``max_visits`` what was measured must do."""

    visits: int = 8
    max_visits: int = 20
    quiet_chunks: int = 3
    chunk_seconds: float = 0.0001
    visit_seconds: float = 0.004
    tolerance: float = 1.2
    timeout_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.visits < 1 or self.max_visits < self.visits or self.tolerance <= 1:
            raise InputError("quiet settings: need visits >= 1, max_visits >= visits and tolerance > 1")

    @property
    def protocol(self) -> str:
        """In words, for headers of tables; tables of different protocols are not mixed."""
        return (
            f"quiet minimum of {self.visits} quiet visits in shuffled rounds of fresh processes, each of "
            f"{self.quiet_chunks} x {self.chunk_seconds * 1e3:g} ms, anchor within {self.tolerance:g} of its fastest"
        )


@dataclass(frozen=True)
class QuietLatency:
    """``latency_ms`` and its relative ``spread`` (median over quiet visits above the minimum)."""

    latency_ms: float
    spread: float
    quiet_visits: int
    visits: int


@dataclass
class Visits:
    """All visits to all models of one session, and what follows from them."""

    settings: QuietSettings
    #: The fastest that the anchor was ever seen, in ms; from an earlier session where there was one.
    anchor_ms: float = float("inf")
    chunks: dict[str, list[tuple[Chunk, ...]]] = field(default_factory=dict)

    def add(self, name: str, visit: tuple[Chunk, ...]) -> None:
        self.chunks.setdefault(name, []).append(visit)
        for _, before, after in visit:
            self.anchor_ms = min(self.anchor_ms, before, after)

    def _is_quiet(self, chunk: Chunk) -> bool:
        return max(chunk[1], chunk[2]) < self.settings.tolerance * self.anchor_ms

    def quiet_visits(self, name: str) -> int:
        """How many visits to a model had a quiet chunk."""
        return sum(any(map(self._is_quiet, visit)) for visit in self.chunks.get(name, ()))

    def lacking(self, names: list[str]) -> list[str]:
        """The models that need more visits."""
        enough, most = self.settings.visits, self.settings.max_visits
        return [n for n in names if len(self.chunks.get(n, ())) < most and self.quiet_visits(n) < enough]

    def latency(self, name: str) -> QuietLatency:
        """The quiet latency of a model that was visited; from all chunks where none was quiet."""
        visits = self.chunks[name]
        minima = [min((c[0] for c in visit if self._is_quiet(c)), default=np.inf) for visit in visits]
        quiet = [value for value in minima if np.isfinite(value)]
        values = quiet or [min(chunk[0] for chunk in visit) for visit in visits]
        best = min(values)
        return QuietLatency(best, float(np.median(values)) / best - 1, len(quiet), len(visits))


def anchor_model() -> bytes:
    """The reference model: a small int8 block of about 5 microseconds, the same for every table."""
    return write_tflite(FusedInvertedBottleneck(filters=16, expansion=4).lower((7, 7, 16)), "int8")


def visit_in_rounds(
    device: Device,
    models: Mapping[str, Model],
    visits: Visits,
    *,
    rng: np.random.Generator,
    threads: int = 1,
    on_visit: Callable[[str, tuple[Chunk, ...]], None] | None = None,
) -> tuple[dict[str, MeasurementError], Provenance | None]:
    """Visits models until each has its quiet visits or its most visits; collects into ``visits``.

    ``on_visit`` hears of each visit. Returns the errors by
    model (a model that fails is not visited again) and the provenance of the last visit.
    """
    settings = visits.settings
    errors: dict[str, MeasurementError] = {}
    provenance: Provenance | None = None

    def record(name: str, outcome: Measurement | MeasurementError) -> None:
        nonlocal provenance
        if isinstance(outcome, MeasurementError):
            errors[name] = outcome
            return
        provenance = outcome.provenance
        # A device without anchors is taken as always quiet.
        anchors = outcome.anchors_ms or ((1.0, 1.0),) * len(outcome.samples_ms)
        visit = tuple((s, *a) for s, a in zip(outcome.samples_ms, anchors, strict=True))
        visits.add(name, visit)
        if on_visit:
            on_visit(name, visit)

    while todo := [name for name in visits.lacking(list(models)) if name not in errors]:
        measure_settings = MeasureSettings(
            threads=threads,
            anchor=anchor_model(),
            anchor_ms=visits.anchor_ms if np.isfinite(visits.anchor_ms) else None,
            tolerance=settings.tolerance,
            quiet_chunks=settings.quiet_chunks,
            chunk_seconds=settings.chunk_seconds,
            visit_seconds=settings.visit_seconds,
            timeout_seconds=settings.timeout_seconds,
        )
        order = [todo[index] for index in rng.permutation(len(todo))]
        device.measure_many({name: models[name] for name in order}, measure_settings, record)
    return errors, provenance


def measure_quiet(
    device: Device,
    models: Mapping[str, Model],
    *,
    settings: QuietSettings | None = None,
    seed: int = 0,
    threads: int = 1,
    anchor_ms: float = float("inf"),
) -> dict[str, QuietLatency | MeasurementError]:
    """Quiet latencies of whole models, such as the one that is to be shipped.

    ``anchor_ms`` is the reference model's quiet time where it is known, such as a table's: without it, a machine
    that is disturbed all the time passes for quiet.
    """
    visits = Visits(settings or QuietSettings(), anchor_ms)
    errors, _ = visit_in_rounds(device, models, visits, rng=np.random.default_rng(seed), threads=threads)
    return {name: errors[name] if name in errors else visits.latency(name) for name in models}
