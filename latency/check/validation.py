"""Predicted against measured: random whole networks that the table has never seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.devices import Device
from edgenas.devices.device import Model
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.check.device_drift import DeviceDrift
from edgenas.latency.costing.devices import costing_of
from edgenas.latency.measure.visits import QuietLatency, QuietSettings
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.profile.neighbourhoods import Neighbourhoods
from edgenas.latency.profile.progress import ProgressCallback
from edgenas.latency.profile.reference_networks import reference_networks, table_for
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.network import Network
from edgenas.spaces.space.population import Population
from edgenas.spaces.space.search_space import SearchSpace


@dataclass(frozen=True)
class Accuracy:
    """How predictions compare with measurements; shares and errors as fractions."""

    mape: float
    max_error: float
    within_5pct: float
    within_10pct: float
    spearman: float

    @classmethod
    def of(cls, predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> Accuracy:
        """From two arrays of latencies."""
        errors = np.abs(predicted / measured - 1)
        return cls(
            mape=float(errors.mean()),
            max_error=float(errors.max()),
            within_5pct=float((errors <= 0.05).mean()),
            within_10pct=float((errors <= 0.10).mean()),
            spearman=spearman(predicted, measured),
        )


@dataclass(frozen=True)
class ValidationRow:
    """One network. ``measured_ms`` is as it would have been when the table was made: at its clock, without the drift
    since then; on a device that computes its costs, what it computed. ``fastest_ms`` is its fastest run at whatever
    clock it had.
    """

    architecture: str
    predicted_ms: float
    measured_ms: float
    fastest_ms: float
    quiet_visits: int


@dataclass(frozen=True)
class Validation:
    """How predictions of a stored table compare with networks that are measured now.

    ``drift`` is how the networks that the table was calibrated with, visited again among the others, differ from what
    they took then (None where the table does not know them). ``accuracy`` is for the statistic that the table holds:
    quiet, at the table's clock, with such a drift taken out while it is below a tenth: beyond that the table does not
    hold any more, and nothing is taken out. ``now`` is the same without taking it out.
    ``unadjusted`` compares with the fastest run as the clock on the wall told it; ``clock`` is how much slower the
    CPU's clock was now than when the table was made.
    """

    accuracy: Accuracy
    rows: tuple[ValidationRow, ...]
    statistic: str
    now: Accuracy
    unadjusted: Accuracy
    clock: float
    drift: DeviceDrift | None
    table_error: dict[str, Any]
    seed: int
    seconds: float
    fast: bool = False
    #: How the latencies of the rows are known: what the device says of its own.
    kind: str = "measured"

    @property
    def holds(self) -> bool:
        """Whether the device is still what it was when the table was made, as far as anybody can tell."""
        return self.drift is None or self.drift.is_small

    def to_json(self) -> dict[str, Any]:
        """The JSON of ``edgenas validate``."""
        return {
            "networks": len(self.rows),
            "statistic": self.statistic,
            "provenance": {"measured_ms": self.kind, "predicted_ms": "predicted"},
            **vars(self.accuracy),
            "rows": [vars(row) for row in self.rows],
            "now": vars(self.now),
            "unadjusted": vars(self.unadjusted),
            "clock": round(self.clock, 4),
            "drift": None if self.drift is None else round(self.drift.ratio, 4),
            "holds": self.holds,
            "quiet_networks": sum(row.quiet_visits > 0 for row in self.rows),
            "table_error": self.table_error,
            "seed": self.seed,
            "fast": self.fast,
            "seconds": round(self.seconds, 2),
        }


def validate(
    space: SearchSpace,
    device: Device,
    table: LatencyTable,
    *,
    networks: int = 40,
    seed: int = 0,
    fast: bool = False,
    settings: QuietSettings | None = None,
    progress: ProgressCallback | None = None,
) -> Validation:
    """Measures the quiet latency of random networks of a space and compares it with their prediction.

    ``fast`` ones are random ones among the fastest, where a search for a small budget ends. Raises InputError when the
    table lacks signatures or is not this device's, WorkError when the device cannot run a network.
    """
    start = time.monotonic()
    settings = table.visit_settings(settings)
    if networks < 2:
        raise InputError(f"validation needs at least 2 networks, not {networks}")
    table.check_device(device)
    table = table_for(table, space)
    predictor = Predictor(table)
    rng = np.random.default_rng(seed)
    population = _fastest(space, table, seed, networks) if fast else distinct_population(space, rng, networks)
    predicted = predictor.population(space, population)
    decoded = [space.decode(row) for row in population]
    models: dict[str, Model] = {str(i): write_tflite(each.graph, table.precision) for i, each in enumerate(decoded)}
    references = reference_networks(space, table)
    models |= {f"reference {i}": write_tflite(each.graph, table.precision) for i, (each, _) in enumerate(references)}
    costing = costing_of(device)
    found = costing.latencies(
        models, settings, rng=rng, threads=table.threads, anchor_ms=table.anchor_ms, progress=progress
    )
    if found.errors:
        words = next(iter(found.errors.values()))
        raise WorkError(f"{len(found.errors)} of {len(models)} models have no latency on {device.name!r}: {words}")
    told = seen_networks(found.found, len(decoded), references, costing.drift)
    return Validation(
        accuracy=Accuracy.of(predicted, told.measured_ms),
        rows=tuple(
            ValidationRow(
                str(space.architecture(row)),
                float(f"{guess:.5g}"),
                float(f"{latency:.5g}"),
                each.fastest_ms,
                each.quiet_visits,
            )
            for row, guess, latency, each in zip(population, predicted, told.measured_ms, told.seen, strict=True)
        ),
        statistic=table.statistic,
        now=Accuracy.of(predicted, np.array([each.latency_ms for each in told.seen])),
        unadjusted=Accuracy.of(predicted, np.array([each.fastest_ms for each in told.seen])),
        clock=found.clock,
        drift=told.drift,
        table_error=predictor.error,
        seed=seed,
        seconds=time.monotonic() - start,
        fast=fast,
        kind=found.kind,
    )


@dataclass(frozen=True)
class SeenNetworks:
    """What was told of networks: ``measured_ms`` is as it would have been then, without a small ``drift``."""

    seen: list[QuietLatency]
    measured_ms: NDArray[np.float64]
    drift: DeviceDrift | None


def seen_networks(
    latencies: Mapping[str, QuietLatency],
    count: int,
    references: Sequence[tuple[Network, float]],
    drift_of: Callable[[Sequence[float], Sequence[float]], DeviceDrift | None],
) -> SeenNetworks:
    """From latencies of ``count`` networks (by their places) and of those that the table was calibrated with."""
    now_ms = [latencies[f"reference {place}"].latency_ms for place in range(len(references))]
    drift = drift_of([then for _, then in references], now_ms)
    seen = [latencies[str(place)] for place in range(count)]
    measured = np.array([each.latency_ms for each in seen])
    if drift is not None and drift.is_small:
        measured = measured / drift.ratio
    return SeenNetworks(seen, measured, drift)


def spearman(first: Sequence[float] | NDArray[np.float64], second: Sequence[float] | NDArray[np.float64]) -> float:
    """Rank correlation; equal values share their mean rank. NaN when one side is constant.

    >>> spearman([1, 2, 3, 4], [10, 20, 40, 30])
    0.8
    """
    ranks = [_ranks(np.asarray(values, np.float64)) for values in (first, second)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return float("nan")
    return float(round(np.corrcoef(ranks[0], ranks[1])[0, 1], 12))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[inverse]


def distinct_population(space: SearchSpace, rng: np.random.Generator, count: int) -> NDArray[np.int16]:
    """``count`` different architectures, or as many as a small space has."""
    found: dict[bytes, NDArray[np.int16]] = {}
    for _ in range(20):
        for row in space.sample(rng, count):
            found.setdefault(row.tobytes(), row)
        if len(found) >= count:
            return np.array(list(found.values())[:count], np.int16)
    raise InputError(f"space {space.name!r} does not have {count} different architectures: ask for fewer networks")


def _fastest(space: SearchSpace, table: LatencyTable, seed: int, count: int) -> Population:
    """``count`` different architectures among those whose blocks add up to the least."""
    latencies = {signature: row.latency_ms for signature, row in table.rows.items()}
    networks = Neighbourhoods(space, table.precision, seed).fast(latencies, 4 * count)[:count]
    if len(networks) < count:
        raise InputError(f"only {len(networks)} fast architectures were found in space {space.name!r}: ask for fewer")
    return space.to_population(space.encode(network) for network in networks)
