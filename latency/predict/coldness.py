"""What blocks cost more in slow networks: weights that were pushed out of the cache since the run before.

A network that is run again within a fraction of a millisecond finds its weights in the cache that it shares with
others; one that takes longer does not, whatever pushed them out: its own tensors or somebody else's. On a server CPU
the same block takes up to 1.9 times as long then, some 0.04 ms per MB of its weights and a tenth of its time more, and
most of that comes within 1 to 5 ms. So a block that is seen inside networks has two figures: its latency in fast ones,
and what slow ones add:

    network = sum(latency) + share(network) * sum(cold),    share(t) = 1 - exp(-t / decay)

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
class Coldness:
    """What slow networks add: ``ms_per_mb`` of weights and a ``part`` of the block's own time. After ``decay_ms``
    between two runs, 63 % of it has come.

    No ``ms_per_mb``: no difference was found.
    """

    ms_per_mb: float = 0.0
    decay_ms: float = 1.0
    part: float = 0.0

    def share(self, network_ms: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """How much of the extra cost networks of these latencies have, 0 to 1."""
        return np.asarray(-np.expm1(-np.asarray(network_ms) / self.decay_ms))

    def network_ms(
        self, latency_ms: NDArray[np.float64] | float, cold_ms: NDArray[np.float64] | float
    ) -> NDArray[np.float64]:
        """Latencies of networks whose blocks' figures add up to these; never falls when one of them rises."""
        latency, cold = np.asarray(latency_ms, np.float64), np.asarray(cold_ms, np.float64)
        total = latency + cold
        # What is too much is a convex function of the total, below 0 at 0: it has one root, and from above, as here,
        # Newton's method comes down to it.
        for _ in range(_MOST_STEPS):
            warm = np.exp(-total / self.decay_ms)
            step = (total - latency - cold * (1.0 - warm)) / (1.0 - cold / self.decay_ms * warm)
            total = total - step
            if not (step > _ALIKE * total).any():
                break
        return np.asarray(total)

    def expected_ms(self, latency_ms: float, weight_bytes: float) -> float:
        """What slow networks add to a block of which nothing else is known."""
        return self.part * latency_ms + 1e-6 * self.ms_per_mb * weight_bytes

    def undisturbed(self, seen: Sequence[Sighting], weight_bytes: int) -> list[Sighting]:
        """Those that tell the block's latency; others are so slow that somebody must have disturbed them."""
        low = _lower_quartile([each.latency_ms for each in seen])
        part = self.expected_ms(low, weight_bytes) / low
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
        cold = self.expected_ms(least, weight_bytes)
        latency = float((observed - cold * self.share(np.array([each.network_ms for each in seen]))).mean())
        # No block costs nothing in fast networks.
        return max(latency, 0.2 * least), cold


def _lower_quartile(values: Sequence[float]) -> float:
    """One of the values: of two or three, the least."""
    return float(np.quantile(values, 0.25, method="lower"))


def fit_coldness(seen: Mapping[str, Sequence[Sighting]], weight_bytes: Mapping[str, int]) -> Coldness:
    """The common rate, from how blocks differ between the networks that they were seen in."""
    blocks = [name for name, sightings in seen.items() if len(sightings) > 1 and weight_bytes[name]]
    if not blocks:
        return Coldness()
    owners = np.repeat(np.arange(len(blocks)), [len(seen[name]) for name in blocks])
    latencies = np.array([each.latency_ms for name in blocks for each in seen[name]])
    networks = np.array([each.network_ms for name in blocks for each in seen[name]])
    slowest = float(networks.max())
    means = np.bincount(owners, latencies) / np.bincount(owners)
    megabytes = 1e-6 * np.array([weight_bytes[name] for name in blocks])

    def centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(values - (np.bincount(owners, values) / np.bincount(owners))[owners])

    relative = centred(latencies / means[owners])

    def fitted(decay: float) -> tuple[float, Coldness]:
        """The squares that are left, and the rates: neither is ever negative."""
        if _DECAYS_TOLD * decay > slowest:
            return math.inf, Coldness()
        share = Coldness(decay_ms=decay).share(networks)
        columns = np.stack([centred(megabytes[owners] / means[owners] * share), centred(share)], axis=1)
        for free in ([0, 1], [0]):
            rates = np.zeros(2)
            rates[free] = np.linalg.lstsq(columns[:, free], relative, rcond=None)[0]
            if rates[0] > 0 and rates[1] >= 0:
                left = float(((relative - columns @ rates) ** 2).sum())
                return left, Coldness(float(rates[0]), decay, float(rates[1]))
        return math.inf, Coldness()

    def best_of(decays: Iterable[float]) -> tuple[float, Coldness]:
        return min((fitted(float(decay)) for decay in decays), key=lambda found: found[0])

    least, best = best_of(_DECAYS)
    freedom = max(len(latencies) - len(blocks) - 3, 1)
    if not least < float((relative**2).sum()) / (1 + _LEAST_F / freedom):
        return Coldness()
    for step in _FINER:
        least, best = best_of(best.decay_ms * factor for factor in (1 / step, 1.0, step))
    return best
