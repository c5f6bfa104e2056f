"""From standalone blocks to whole networks: what the sum of blocks misses, fitted on a few measured networks.

A standalone block, a model of its own, pays for entering the interpreter and its delegate once, and so does a whole
network, however many blocks it has. So

    network = scale * sum(blocks) - overhead * (nodes - 1) + rate * sum(weight bytes) + wide * sum(wide bytes)

with ``overhead`` near the time of an almost empty model (0.5 to 1 microseconds on a server CPU), ``scale`` near 1, and
``rate`` what it takes to fetch weights again: a block that runs by itself over and over keeps its weights in the cache,
in a network whose weights do not all fit they have been pushed out when its turn comes (0.05 ms per MB on a server CPU;
near 0 in a space of small networks). ``wide`` is the same for depthwise weights that the runtime pads to many times
their size (0.4 ms per MB in float32, 8 in int8). All are fitted on relative errors and drawn towards that physical
prior, so that few networks do no harm; no block ever counts as less than a small share of its measured time, so
predictions stay positive and monotone.

Blocks that were measured in networks (:mod:`edgenas.latency.profile.in_networks`) have all of that in them: the scale
is all that is
fitted then.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgenas.latency.predict.cache_misses import CacheMisses
from edgenas.latency.predict.memory import MemoryFit
from edgenas.latency.table.error_figures import error_figures, interval_from

#: A block in a network costs at least this share of what it costs standalone.
_FLOOR = 0.1
#: Strength of the prior, in units of networks that agree with it at 10 % error.
_PRIOR_NETWORKS = 1.0
_PRIOR_SCALE_ERROR = 0.1
_PRIOR_WEIGHT_MS_PER_MB = 0.05
_PRIOR_WEIGHT_ERROR = 0.05
_PRIOR_WIDE_ERROR = 5.0
_EXPECTED_ERROR = 0.015
#: Keys of older tables, and those of what is no more.
_OLDER_KEYS = {
    "cold_ms_per_mb": "cache_miss_ms_per_mb",
    "cold_decay_ms": "cache_miss_decay_ms",
    "inside_scale": "in_network_scale",
}
_GONE_KEYS = ("cold_part",)


class MeasuredBlock(Protocol):
    """A row of a latency table."""

    @property
    def latency_ms(self) -> float: ...
    @property
    def weight_bytes(self) -> int: ...
    @property
    def wide_bytes(self) -> int: ...
    @property
    def networks(self) -> int: ...
    @property
    def cache_miss_ms(self) -> float: ...


@dataclass(frozen=True)
class Calibration:
    """Fitted constants, and how well they predict networks that they were not fitted on.

    ``mape`` (between ``mape_interval`` with 95 %) and ``max_error`` are leave-one-out relative errors over ``networks``
    whole networks. ``deployed_median`` and ``deployed_p95`` are typical ratios of the deployed statistics of a normal
    run to the quiet latency, as seen while the table was made; they depend on who else uses the device, and
    ``deployed_error`` is how wrong the median of a network is that is predicted with the ratio of the others (mean
    relative error). ``base_ms`` is what a network costs whatever its blocks: 0 where blocks are measured standalone and
    each pays for it, so that ``overhead_ms`` tells it.
    ``in_network_scale`` is the scale of blocks that were measured in networks, and ``cache_miss_ms_per_mb`` and
    ``cache_miss_decay_ms`` tell how they differ between fast and slow ones
    (:class:`edgenas.latency.predict.cache_misses.CacheMisses`).
    ``pairs`` are the (predicted while left out, measured) latencies behind the errors, in ms. ``of`` tells the
    networks: constants that were fitted on networks of one space do not hold for those of another, so a table keeps
    one calibration a space. ``created`` is when it was fitted.
    """

    scale: float = 1.0
    overhead_ms: float = 0.0
    networks: int = 0
    mape: float | None = None
    max_error: float | None = None
    deployed_median: float | None = None
    deployed_p95: float | None = None
    deployed_error: float | None = None
    base_ms: float = 0.0
    weight_ms_per_mb: float = 0.0
    wide_ms_per_mb: float = 0.0
    in_network_scale: float = 1.0
    cache_miss_ms_per_mb: float = 0.0
    cache_miss_decay_ms: float = 1.0
    mape_interval: tuple[float, float] | None = None
    of: str = ""
    pairs: tuple[tuple[float, float], ...] = ()
    created: str = ""
    #: From the memory of blocks to a network's, by cost, where the device tells it.
    memory: Mapping[str, MemoryFit] = field(default_factory=dict)

    def contributions(
        self,
        latencies_ms: NDArray[np.float64],
        weight_bytes: NDArray[np.float64] | float = 0.0,
        wide_bytes: NDArray[np.float64] | float = 0.0,
    ) -> NDArray[np.float64]:
        """What blocks add to a network, from their standalone latencies and their weights, in ms. NaN stays NaN."""
        floor = _FLOOR * self.scale * latencies_ms
        fetched = 1e-6 * (self.weight_ms_per_mb * weight_bytes + self.wide_ms_per_mb * wide_bytes)
        return np.maximum(self.scale * latencies_ms - self.overhead_ms, floor) + fetched

    def parts(self, blocks: Sequence[MeasuredBlock]) -> NDArray[np.float64]:
        """(blocks,) what rows of a table add to a fast network, in ms, measured in networks or standalone."""
        figures = np.array([(b.latency_ms, b.weight_bytes, b.wide_bytes, b.networks) for b in blocks], np.float64)
        latencies, weights, wide, networks = figures.reshape(-1, 4).T
        return np.where(networks > 0, self.in_network_scale * latencies, self.contributions(latencies, weights, wide))

    def cache_miss_parts(self, blocks: Sequence[MeasuredBlock]) -> NDArray[np.float64]:
        """(blocks,) what they add to a slow network beyond that, in ms."""
        return self.in_network_scale * np.array([block.cache_miss_ms for block in blocks], np.float64)

    @property
    def cache_misses(self) -> CacheMisses:
        return CacheMisses(self.cache_miss_ms_per_mb, self.cache_miss_decay_ms)

    @property
    def fixed_ms(self) -> float:
        """What a network costs beyond its blocks' contributions: one entry into the interpreter."""
        return self.overhead_ms + self.base_ms

    def network_ms(
        self,
        latencies_ms: Sequence[float] | NDArray[np.float64],
        weight_bytes: float = 0.0,
        wide_bytes: float = 0.0,
    ) -> float:
        """Predicted quiet latency of a network from its blocks' standalone latencies, in ms, and all its weights."""
        standalone = np.asarray(latencies_ms, np.float64)
        count = max(len(standalone), 1)
        return self.fixed_ms + float(self.contributions(standalone, weight_bytes / count, wide_bytes / count).sum())

    def keeping(self, before: Calibration | None, *, in_networks: bool) -> Calibration:
        """A copy that knows what was fitted before for blocks of the other kind; it was fitted for blocks
        ``in_networks``, or for standalone ones.
        """
        of_standalone = ("scale", "overhead_ms", "base_ms", "weight_ms_per_mb", "wide_ms_per_mb")
        of_in_networks = ("in_network_scale", "cache_miss_ms_per_mb", "cache_miss_decay_ms")
        names = of_standalone if in_networks else of_in_networks
        kept: dict[str, Any] = {} if before is None else {name: getattr(before, name) for name in names}
        return dataclasses.replace(self, **kept)

    def at_clock(self, factor: float) -> Calibration:
        """A copy for latencies that were multiplied with ``factor``."""
        names = (
            "overhead_ms",
            "base_ms",
            "weight_ms_per_mb",
            "wide_ms_per_mb",
            "cache_miss_ms_per_mb",
            "cache_miss_decay_ms",
        )
        scaled: dict[str, Any] = {name: round(getattr(self, name) * factor, 6) for name in names}
        pairs = tuple((round(predicted * factor, 6), round(measured * factor, 6)) for predicted, measured in self.pairs)
        return self if factor == 1 else dataclasses.replace(self, **scaled, pairs=pairs)

    def with_deployed(self, medians: NDArray[np.float64], p95s: NDArray[np.float64]) -> Calibration:
        """A copy that knows the ratios of deployed to quiet latency of some networks, (networks,) each, above 0."""
        error = None
        if len(medians) > 1:
            others = [np.median(np.delete(medians, place)) for place in range(len(medians))]
            error = float(np.mean(np.abs(np.array(others) / medians - 1)))
        return dataclasses.replace(
            self,
            deployed_median=float(np.median(medians)),
            deployed_p95=float(np.median(p95s)),
            deployed_error=error,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data that :meth:`from_json` reads back."""
        plain = {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in dataclasses.asdict(self).items()
            if name != "memory" or value  # most devices tell none
        }
        return plain | {"pairs": [[round(value, 6) for value in pair] for pair in self.pairs]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        """Raises TypeError or ValueError on anything else than what :meth:`to_json` made."""
        known = {field.name for field in dataclasses.fields(cls)}
        if isinstance(data, Mapping):
            data = {_OLDER_KEYS.get(name, name): value for name, value in data.items() if name not in _GONE_KEYS}
        if not isinstance(data, Mapping) or not {"scale", "overhead_ms", "networks"} <= set(data) <= known:
            raise ValueError(f"calibration must have the keys {', '.join(sorted(known))}")
        optional = {
            name: None if data.get(name) is None else float(data[name])
            for name in ("mape", "max_error", "deployed_median", "deployed_p95", "deployed_error")
        }
        return cls(
            float(data["scale"]),
            float(data["overhead_ms"]),
            int(data["networks"]),
            base_ms=float(data.get("base_ms", 0.0)),
            weight_ms_per_mb=float(data.get("weight_ms_per_mb", 0.0)),
            wide_ms_per_mb=float(data.get("wide_ms_per_mb", 0.0)),
            in_network_scale=float(data.get("in_network_scale", 1.0)),
            cache_miss_ms_per_mb=float(data.get("cache_miss_ms_per_mb", 0.0)),
            cache_miss_decay_ms=float(data.get("cache_miss_decay_ms", 1.0)),
            mape_interval=interval_from(data.get("mape_interval")),
            of=str(data.get("of", "")),
            created=str(data.get("created", "")),
            memory={name: MemoryFit.from_json(fit) for name, fit in data.get("memory", {}).items()},
            pairs=tuple((float(predicted), float(measured)) for predicted, measured in data.get("pairs", ())),
            **optional,
        )


def calibrate(
    blocks_ms: Sequence[Sequence[float]],
    networks_ms: Sequence[float],
    empty_ms: float,
    weight_bytes: Sequence[float] | None = None,
    wide_bytes: Sequence[float] | None = None,
) -> Calibration:
    """Fits the constants on networks whose blocks and whole were measured side by side.

    ``blocks_ms`` has the blocks' standalone latencies for each network, ``networks_ms`` the whole's, ``weight_bytes``
    and ``wide_bytes`` the whole's weights; ``empty_ms`` is the latency of an almost empty model, where the prior of the
    overhead lies. With no network, the prior is all there is.
    """
    count = len(networks_ms)
    weights, wide = (
        np.zeros(count) if each is None else np.asarray(each, np.float64) for each in (weight_bytes, wide_bytes)
    )
    prior = Calibration(1.0, empty_ms / 2)
    sums = np.array([sum(blocks) for blocks in blocks_ms])
    borders = np.array([len(blocks) - 1 for blocks in blocks_ms], np.float64)
    columns = np.stack([sums, -borders, 1e-6 * weights, 1e-6 * wide], axis=1) if count else np.zeros((0, 4))
    whole = np.asarray(networks_ms, np.float64)

    def held_out_ms(place: int) -> float:
        rest = np.arange(count) != place
        fitted = _fit(columns[rest], whole[rest], prior)
        return fitted.network_ms(blocks_ms[place], float(weights[place]), float(wide[place]))

    return _with_errors(_fit(columns, whole, prior), [held_out_ms(place) for place in range(count)], whole)


def calibrate_in_networks(sums_ms: Sequence[float], networks_ms: Sequence[float]) -> Calibration:
    """The scale only, from networks whose blocks, seen in others, add up to ``sums_ms``: nothing else lacks.

    It is the networks' median, with a weak pull towards 1: some may have been disturbed whenever they were visited.
    """
    whole = np.asarray(networks_ms, np.float64)
    shares = np.asarray(sums_ms, np.float64) / whole

    def scale(shares: NDArray[np.float64]) -> float:
        pull = (_EXPECTED_ERROR / _PRIOR_SCALE_ERROR) ** 2
        return float((len(shares) * np.median(1 / shares) + pull) / (len(shares) + pull)) if len(shares) else 1.0

    held_out_ms = [scale(np.delete(shares, place)) * shares[place] * whole[place] for place in range(len(whole))]
    return _with_errors(Calibration(in_network_scale=scale(shares)), held_out_ms, whole)


def _with_errors(fitted: Calibration, held_out_ms: Sequence[float], whole: NDArray[np.float64]) -> Calibration:
    """A copy that knows its errors on networks, each predicted while it was left out."""
    if not len(whole):
        return fitted
    errors = np.array(held_out_ms) / whole - 1
    return dataclasses.replace(
        fitted,
        networks=len(whole),
        **error_figures(errors),
        pairs=tuple(
            (float(predicted), float(measured)) for predicted, measured in zip(held_out_ms, whole, strict=True)
        ),
    )


def _fit(columns: NDArray[np.float64], whole: NDArray[np.float64], prior: Calibration) -> Calibration:
    """Least squares on relative errors around the prior; overhead and rates of weights are never negative.

    ``columns``: (networks, 4), what scale, overhead and rates are multiplied with; ``whole``: (networks,) in ms.
    """
    if not len(whole):
        return prior
    start = np.array([prior.scale, prior.overhead_ms, _PRIOR_WEIGHT_MS_PER_MB, 0.0])
    width = np.array([_PRIOR_SCALE_ERROR, max(prior.overhead_ms, 1e-6), _PRIOR_WEIGHT_ERROR, _PRIOR_WIDE_ERROR])
    # One row per constant pulls it to its prior: weak, and in units of the expected relative error.
    pull = _EXPECTED_ERROR * np.sqrt(_PRIOR_NETWORKS) / width
    system = np.vstack([columns / whole[:, None], np.diag(pull)])
    target = np.concatenate([np.ones(len(whole)), pull * start])
    best, least = start, np.inf
    bounded = (1, 2, 3)
    subsets = itertools.chain.from_iterable(itertools.combinations(bounded, count) for count in range(4))
    for free in ([0, *subset] for subset in subsets):  # the best of the fits that no bound is broken in
        constants = np.zeros(4)
        constants[free] = np.linalg.lstsq(system[:, free], target, rcond=None)[0]
        residual = float(np.sum((system @ constants - target) ** 2))
        if constants.min() >= 0 and residual < least:
            best, least = constants, residual
    scale, overhead, weight, wide = map(float, best)
    return Calibration(scale, overhead, weight_ms_per_mb=weight, wide_ms_per_mb=wide)
