"""What a measurement is: samples and where they come from, never a bare number.

Two statistics must not be mixed. The *quiet* latency is the minimum (over rounds in fresh processes where there are
several): what the device needs when nothing disturbs it; it repeats within about 1 % and is what tables hold. The
*deployed* latency is the median or p95 of a normal run on the device as it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from edgenas.spaces.errors import InputError

Kind = Literal["measured", "simulated", "modelled"]


@dataclass(frozen=True)
class Provenance:
    """Where a number comes from. ``None`` means that the device does not tell."""

    kind: Kind
    device: str
    runtime: str
    runtime_version: str
    threads: int = 1
    affinity: tuple[int, ...] | None = None
    cpu_model: str | None = None
    governor: str | None = None
    frequency_mhz: float | None = None
    temperature_c: float | None = None
    #: Why the clock was held down although the device was given time to cool, in words.
    throttled: str | None = None
    #: Which of several boards of one kind it was.
    host: str | None = None
    warmup_runs: int = 0
    runs: int = 0
    rounds: int = 1
    protocol: str = ""
    system: str | None = None
    time_utc: str | None = None

    @property
    def was_run(self) -> bool:
        """Whether the model was run, and its cost not computed."""
        return self.kind == "measured"

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON documents."""
        plain = dataclasses.asdict(self)
        plain["affinity"] = None if self.affinity is None else list(self.affinity)
        return plain


@dataclass(frozen=True)
class Energy:
    """Energy of one inference in mJ: ``energy_mj`` is what it adds to an idle device, ``total_mj`` all that was drawn.

    ``runs`` inferences in ``seconds`` are behind a measured one, with ``idle_watts`` measured right before and after
    them. ``meter`` names the meter and its rails, or the model. Raises InputError on what no energy can be.
    """

    energy_mj: float
    total_mj: float
    idle_watts: float
    active_watts: float
    runs: int
    seconds: float
    meter: str
    kind: Kind

    def __post_init__(self) -> None:
        for name in ("energy_mj", "total_mj", "idle_watts", "active_watts", "seconds"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name} of an energy must be a number from 0, not {getattr(self, name)!r}")

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON documents."""
        return dataclasses.asdict(self)

    def describe(self) -> str:
        """One line for people.

        >>> Energy(30.0, 50.0, 2.0, 5.0, 1, 0.01, "watts x latency", "modelled").describe()
        '30 mJ above idle, 50 mJ in all (modelled: watts x latency; 5 W active, 2 W idle)'
        """
        return (
            f"{self.energy_mj:.4g} mJ above idle, {self.total_mj:.4g} mJ in all ({self.kind}: {self.meter}; "
            f"{self.active_watts:.3g} W active, {self.idle_watts:.3g} W idle)"
        )


@dataclass(frozen=True)
class OperatorShare:
    """What one operator of the file adds to the whole, where a device tells: see :attr:`Measurement.shares`.

    ``counted`` is False for an operator that the device does not count: its latency here is 0, and not known.
    """

    latency_ms: float
    sram_bytes: int = 0
    flash_bytes: int = 0
    counted: bool = True


@dataclass(frozen=True)
class Measurement:
    """Latency samples of one model in ms, and its energy where the device has a meter or known watts.

    ``samples_ms`` may be a thinned set of quantiles; ``provenance.runs`` counts all invocations that were timed.
    Raises InputError when there is no sample or one is not a positive finite number.

    >>> m = Measurement((1.0, 2.0, 4.0), Provenance("simulated", "demo", "none", "0"))
    >>> m.min, m.median
    (1.0, 2.0)
    """

    samples_ms: tuple[float, ...]
    provenance: Provenance
    energy: Energy | None = None
    #: Why energy was not measured although it was asked for, in words.
    energy_problem: str | None = None
    #: Where the protocol times a small reference model around each sample: its ms before and after, by sample.
    anchors_ms: tuple[tuple[float, float], ...] = ()
    #: Where the protocol times operators: their times by sample, in whole microseconds, cut off.
    operators_us: tuple[tuple[int, ...], ...] = ()
    #: Memory that the model needs there, by the cost's name (``sram_bytes``, ``flash_bytes``, ...), where it is told.
    memory: Mapping[str, int] = field(default_factory=dict)
    #: What each operator adds, in the file's order, where a device tells it without running.
    shares: tuple[OperatorShare, ...] = ()
    #: Operators that fall to another processor and are not in the latency, where a device tells.
    uncounted: int = 0

    def __post_init__(self) -> None:
        values = np.asarray(self.samples_ms, dtype=np.float64)
        if not values.size or not np.all(np.isfinite(values)) or values.min() <= 0:
            raise InputError("a measurement needs at least one sample, all of them positive and finite")
        if self.operators_us:
            lengths = {len(run) for run in self.operators_us}
            per_sample = len(self.operators_us) == len(self.anchors_ms) == len(self.samples_ms)
            if not (per_sample and len(lengths) == 1 and all(run and min(run) >= 0 for run in self.operators_us)):
                raise InputError("operators' times must be 0 or more, as many for each sample, with its anchors")

    @property
    def energy_mj(self) -> float | None:
        """Energy of one inference above idle, in mJ; None when it is not known."""
        return None if self.energy is None else self.energy.energy_mj

    def quantile(self, share: float) -> float:
        """The latency in ms that this share of the samples does not exceed."""
        return float(np.quantile(self.samples_ms, share))

    @property
    def min(self) -> float:
        return float(min(self.samples_ms))

    @property
    def p10(self) -> float:
        return self.quantile(0.1)

    @property
    def median(self) -> float:
        return self.quantile(0.5)

    @property
    def mean(self) -> float:
        return float(np.mean(self.samples_ms))

    @property
    def p90(self) -> float:
        return self.quantile(0.9)

    @property
    def p95(self) -> float:
        return self.quantile(0.95)

    @property
    def runs(self) -> int:
        """How many timed samples stand behind the statistics."""
        return max(self.provenance.runs, len(self.samples_ms))

    def statistics(self) -> dict[str, float]:
        """``{"min", "p10", "median", "mean", "p90", "p95", "runs"}``, latencies in ms."""
        names = ("min", "p10", "median", "mean", "p90", "p95")
        return {name: round(getattr(self, name), 6) for name in names} | {"runs": self.runs}

    def to_json(self) -> dict[str, Any]:
        """``{"latency_ms": {...}, "energy_mj", "energy": {...}, "energy_problem", "memory", "provenance"}``."""
        return {
            "latency_ms": self.statistics(),
            **({"memory": dict(self.memory)} if self.memory else {}),
            "energy_mj": self.energy_mj,
            "energy": None if self.energy is None else self.energy.to_json(),
            "energy_problem": self.energy_problem,
            "provenance": self.provenance.to_json(),
        }
