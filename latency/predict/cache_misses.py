"""What blocks cost more in slow networks: weights that were pushed out of the cache since the run before.

A network that is run again within a fraction of a millisecond finds its weights in the cache that it shares with
others; one that takes longer does not, whatever pushed them out: its own tensors or somebody else's. On a server CPU
the same block takes up to 1.9 times as long then, some 0.04 ms per MB of its weights more, and most of that comes
within 1 to 5 ms. So a block that is seen in networks has two figures: its latency in fast ones, and what slow ones
add:

    network = sum(latency) + share(network) * sum(cache_miss),    share(t) = 1 - exp(-t / decay)

since others fetch what they need all the time and each of their fetches takes the place of something at random: of the
weights that lie there unused, the same part goes in each moment.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Decays that are tried, in ms, and the factors that are tried around the best.
_DECAYS = np.geomspace(0.1, 64.0, 40)
_FINER = (1.08, 1.04, 1.02, 1.01)
#: The slowest network tells all of it: it takes so many decays at least.
_DECAYS_TOLD = 2.0
#: Newton's method doubles the digits at each step.
_MOST_STEPS, _ALIKE = 50, 1e-12
#: A sighting so much above the block's lower quartile, slow networks allowed for, was disturbed: a busy neighbour costs
#: 40 %. Below so many ms operators' times are not known that well.
_DISTURBED, _DISTURBED_MS = 1.2, 0.01
#: So much better than chance (F statistic) must sightings be explained, or there is no such effect.
_LEAST_F = 30.0


@dataclass(frozen=True)
class Sighting:
    """A block in a network: its latency and the network's in ms, and the quiet visits behind them."""

    latency_ms: float
    network_ms: float
    visits: int


@dataclass(frozen=True)
class CacheMisses:
    """What slow networks add: ``ms_per_mb`` of weights. After ``decay_ms`` between two runs, 63 % of it has come.

    No ``ms_per_mb``: no difference was found.
    """

    ms_per_mb: float = 0.0
    decay_ms: float = 1.0

    def share(self, network_ms: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """How much of the extra cost networks of these latencies have, 0 to 1."""
        return np.asarray(-np.expm1(-np.asarray(network_ms) / self.decay_ms))

    def network_ms(
        self, latency_ms: NDArray[np.float64] | float, cache_miss_ms: NDArray[np.float64] | float
    ) -> NDArray[np.float64]:
        """Latencies of networks whose blocks' figures add up to these; never falls when one of them rises."""
        latency, missed = np.asarray(latency_ms, np.float64), np.asarray(cache_miss_ms, np.float64)
        total = latency + missed
        # What is too much is a convex function of the total, below 0 at 0: it has one root, and from above, as here,
        # Newton's method comes down to it.
        for _ in range(_MOST_STEPS):
            cached = np.exp(-total / self.decay_ms)
            step = (total - latency - missed * (1.0 - cached)) / (1.0 - missed / self.decay_ms * cached)
            total = total - step
            if not (step > _ALIKE * total).any():
                break
        return np.asarray(total)

    def expected_ms(self, weight_bytes: float) -> float:
        """What slow networks add to a block of which nothing else is known."""
        return 1e-6 * self.ms_per_mb * weight_bytes

    def undisturbed(self, seen: Sequence[Sighting], weight_bytes: int) -> list[Sighting]:
        """Those that tell the block's latency; others are so slow that somebody must have disturbed them."""
        low = _lower_quartile([each.latency_ms for each in seen])
        part = self.expected_ms(weight_bytes) / low
        warm = [each.latency_ms / (1 + part * float(self.share(each.network_ms))) for each in seen]
        low = _lower_quartile(warm)
        limit = max(_DISTURBED * low, low + _DISTURBED_MS)
        return [each for each, latency in zip(seen, warm, strict=True) if latency <= limit]

    def split(self, seen: Sequence[Sighting], weight_bytes: int) -> tuple[float, float]:
        """(latency in fast networks, what slow ones add) of a block in ms, from all that was seen of it: slow networks
        add what they add to blocks like it.
        """
        observed = np.array([each.latency_ms for each in seen])
        least = float(observed.min())
        missed = self.expected_ms(weight_bytes)
        latency = float((observed - missed * self.share(np.array([each.network_ms for each in seen]))).mean())
        # No block costs nothing in fast networks.
        return max(latency, 0.2 * least), missed


def _lower_quartile(values: Sequence[float]) -> float:
    """One of the values: of two or three, the least."""
    return float(np.quantile(values, 0.25, method="lower"))


def fit_cache_misses(seen: Mapping[str, Sequence[Sighting]], weight_bytes: Mapping[str, int]) -> CacheMisses:
    """The common rate, from how blocks differ between the networks that they were seen in."""
    blocks = [name for name, sightings in seen.items() if len(sightings) > 1 and weight_bytes[name]]
    if not blocks:
        return CacheMisses()
    owners = np.repeat(np.arange(len(blocks)), [len(seen[name]) for name in blocks])
    latencies = np.array([each.latency_ms for name in blocks for each in seen[name]])
    networks = np.array([each.network_ms for name in blocks for each in seen[name]])
    slowest = float(networks.max())
    means = np.bincount(owners, latencies) / np.bincount(owners)
    megabytes = 1e-6 * np.array([weight_bytes[name] for name in blocks])

    def centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(values - (np.bincount(owners, values) / np.bincount(owners))[owners])

    relative = centred(latencies / means[owners])

    def fitted(decay: float) -> tuple[float, CacheMisses]:
        """The squares that are left, and the rate, which is above 0."""
        if _DECAYS_TOLD * decay > slowest:
            return math.inf, CacheMisses()
        share = CacheMisses(decay_ms=decay).share(networks)
        column = centred(megabytes[owners] / means[owners] * share)
        rate = float(column @ relative / max(float(column @ column), 1e-300))
        if rate <= 0:
            return math.inf, CacheMisses()
        return float(((relative - rate * column) ** 2).sum()), CacheMisses(rate, decay)

    def best_of(decays: Iterable[float]) -> tuple[float, CacheMisses]:
        return min((fitted(float(decay)) for decay in decays), key=lambda found: found[0])

    least, best = best_of(_DECAYS)
    freedom = max(len(latencies) - len(blocks) - 2, 1)
    if not least < float((relative**2).sum()) / (1 + _LEAST_F / freedom):
        return CacheMisses()
    for step in _FINER:
        least, best = best_of(best.decay_ms * factor for factor in (1 / step, 1.0, step))
    return best
