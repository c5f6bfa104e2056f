"""What slow networks add, found from what was seen of blocks in both, and not found where there is nothing."""

import numpy as np
import pytest

from edgenas.latency.predict.cache_misses import CacheMisses, Sighting, fit_cache_misses

RATE, DECAY_MS = 0.05, 2.0


def sightings(
    rng: np.random.Generator, rate: float, blocks: int = 100, noise: float = 0.02
) -> tuple[dict[str, list[Sighting]], dict[str, int], dict[str, float]]:
    """Blocks in four networks of 0.5 to 20 ms each: what was seen, bytes of weights, latencies in fast networks."""
    truth = CacheMisses(rate, DECAY_MS)
    seen, weights, warm = {}, {}, {}
    for name in map(str, range(blocks)):
        weights[name] = int(rng.uniform(1e4, 1e6))
        warm[name] = 0.1 * weights[name] * 1e-6 + rng.uniform(0.01, 0.1)
        seen[name] = []
        for network_ms in np.exp(rng.uniform(np.log(0.5), np.log(20), 4)):
            cold = rate * 1e-6 * weights[name] * float(truth.share(network_ms))
            seen[name].append(Sighting((warm[name] + cold) * (1 + noise * rng.normal()), float(network_ms), 2))
    return seen, weights, warm


def test_the_rate_and_how_soon_it_comes_are_found() -> None:
    seen, weights, warm = sightings(np.random.default_rng(0), RATE)
    found = fit_cache_misses(seen, weights)
    assert found.ms_per_mb == pytest.approx(RATE, rel=0.15)
    assert found.decay_ms == pytest.approx(DECAY_MS, rel=0.15)
    figures = {name: found.split(seen[name], weights[name]) for name in seen}
    assert np.mean([abs(figures[name][0] / warm[name] - 1) for name in seen]) < 0.03
    assert np.mean([abs(figures[name][1] / (RATE * 1e-6 * weights[name]) - 1) for name in seen]) < 0.2


def test_nothing_is_found_where_there_is_nothing() -> None:
    seen, weights, _ = sightings(np.random.default_rng(1), 0.0)
    found = fit_cache_misses(seen, weights)
    assert found == CacheMisses()
    assert found.split(seen["0"], weights["0"]) == (np.mean([each.latency_ms for each in seen["0"]]), 0.0)
    assert fit_cache_misses({}, {}) == CacheMisses()
    assert fit_cache_misses({"a": seen["0"][:1]}, {"a": 10}) == CacheMisses()
    assert float(found.network_ms(3.0, 0.0)) == 3.0


def test_a_block_seen_in_slow_networks_alone_gets_the_common_rate() -> None:
    cache_misses = CacheMisses(RATE, DECAY_MS)
    latency, cold = cache_misses.split([Sighting(0.15, 10.0, 2), Sighting(0.15, 12.0, 2)], 1_000_000)
    assert (latency, cold) == pytest.approx((0.10, 0.05), rel=0.01)
    # Figures stay possible whatever blocks like it have.
    latency, cold = cache_misses.split([Sighting(0.01, 10.0, 2)], 10_000_000)
    assert latency > 0
    assert cold >= 0


def test_predictions_rise_with_each_figure() -> None:
    cache_misses = CacheMisses(RATE, DECAY_MS)
    latencies, colds = np.meshgrid(np.geomspace(0.1, 30, 60), np.linspace(0, 5, 40), indexing="ij")
    totals = cache_misses.network_ms(latencies, colds)
    assert (np.diff(totals, axis=0) > 0).all()
    assert (np.diff(totals, axis=1) >= 0).all()
    assert (totals >= latencies).all()
    assert (totals <= latencies + colds).all()
    assert cache_misses.network_ms(4.1, 0.0) == 4.1
    assert cache_misses.network_ms(50.0, 9.0) == pytest.approx(59.0)


@pytest.mark.parametrize("total", [0.01, 0.5, 2.0, 20.0])
@pytest.mark.parametrize("steepness", [0.0, 0.5, 1.0])
def test_the_share_is_that_of_the_predicted_latency(total: float, steepness: float) -> None:
    cache_misses = CacheMisses(RATE, DECAY_MS)
    cold = steepness * total / float(cache_misses.share(total)) * 0.999  # nearly all of it, at most
    latency = total - float(cache_misses.share(total)) * cold
    assert float(cache_misses.network_ms(latency, cold)) == pytest.approx(total)


def test_disturbed_sightings_do_not_count() -> None:
    cache_misses = CacheMisses(RATE, DECAY_MS)
    fast, slow = Sighting(0.10, 1.0, 2), Sighting(0.15, 10.0, 2)  # 1 MB more is 0.05 ms in slow networks
    disturbed = [Sighting(0.14, 1.0, 2), Sighting(0.21, 10.0, 0)]
    assert cache_misses.undisturbed([disturbed[0], fast, slow, disturbed[1]], 1_000_000) == [fast, slow]
    assert CacheMisses().undisturbed([fast, Sighting(0.12, 9.0, 1), slow], 0) == [fast, Sighting(0.12, 9.0, 1)]
    tiny = [Sighting(0.002, 1.0, 2), Sighting(0.006, 1.0, 2)]
    assert CacheMisses().undisturbed(tiny, 0) == tiny  # operators of microseconds are not known that well
    # One that is too low, as at the edge between fast and slow networks, does not make the others disturbed.
    many = [Sighting(0.10, 1.0, 2)] * 9
    assert len(cache_misses.undisturbed([Sighting(0.07, 1.0, 2), *many], 1_000_000)) == 10
