"""The step from blocks to networks."""

import numpy as np
import pytest

from edgenas.latency.predict.calibration import Calibration, calibrate


def made_up(count: int, scale: float, overhead_ms: float, noise: float = 0.0) -> tuple[list[list[float]], list[float]]:
    rng = np.random.default_rng(count)
    blocks = [list(rng.uniform(0.005, 0.03, rng.integers(5, 13))) for _ in range(count)]
    wholes = [(scale * sum(b) - overhead_ms * (len(b) - 1)) * (1 + noise * rng.standard_normal()) for b in blocks]
    return blocks, wholes


@pytest.mark.parametrize(("scale", "overhead_ms"), [(1.0, 0.0008), (1.03, 0.0005), (0.97, 0.0012)])
def test_finds_the_constants(scale: float, overhead_ms: float) -> None:
    blocks, wholes = made_up(12, scale, overhead_ms)
    found = calibrate(blocks, wholes, empty_ms=0.0015)
    assert found.scale == pytest.approx(scale, abs=0.01)
    assert found.overhead_ms == pytest.approx(overhead_ms, abs=2e-4)
    assert found.networks == 12
    assert found.mape is not None
    assert found.mape < 0.005


def test_the_error_is_of_networks_left_out() -> None:
    blocks, wholes = made_up(12, 1.0, 0.0008, noise=0.05)
    found = calibrate(blocks, wholes, empty_ms=0.0015)
    fitted = np.mean([abs(found.network_ms(b) / w - 1) for b, w in zip(blocks, wholes, strict=True)])
    assert found.mape is not None
    assert found.max_error is not None
    assert found.mape > fitted
    assert found.max_error >= found.mape


def test_finds_what_it_costs_to_fetch_weights_again() -> None:
    blocks, wholes = made_up(12, 1.1, 0.0008)
    weights = np.random.default_rng(1).uniform(1e5, 3e6, len(wholes))
    slower = [whole + 0.08 * weight * 1e-6 for whole, weight in zip(wholes, weights, strict=True)]
    found = calibrate(blocks, slower, 0.0015, list(weights))
    assert found.weight_ms_per_mb == pytest.approx(0.08, rel=0.1)
    assert found.network_ms(blocks[0], float(weights[0])) == pytest.approx(slower[0], rel=0.01)
    assert found.mape is not None
    assert found.mape < 0.01
    ignorant = calibrate(blocks, slower, 0.0015)
    assert ignorant.mape is not None
    assert ignorant.mape > 2 * found.mape


def test_finds_what_padded_depthwise_weights_cost() -> None:
    rng = np.random.default_rng(2)
    blocks, wholes = made_up(24, 1.05, 0.0008)
    weights, wide = rng.uniform(1e5, 3e6, 24), rng.uniform(0, 2e5, 24) * (rng.random(24) > 0.2)
    slower = list(np.array(wholes) + 0.05e-6 * weights + 7e-6 * wide)
    found = calibrate(blocks, slower, 0.0015, list(weights), list(wide))
    assert found.wide_ms_per_mb == pytest.approx(7, rel=0.05)
    assert found.weight_ms_per_mb == pytest.approx(0.05, rel=0.1)
    assert found.mape is not None
    assert found.mape < 0.01
    assert found.network_ms(blocks[3], weights[3], wide[3]) == pytest.approx(slower[3], rel=0.01)
    assert calibrate(blocks, slower, 0.0015, list(weights)).wide_ms_per_mb == 0


def test_weights_never_make_a_network_faster() -> None:
    blocks, wholes = made_up(12, 1.0, 0.0008)
    weights = np.random.default_rng(1).uniform(1e5, 3e6, len(wholes))
    faster = [whole - 0.02 * weight * 1e-6 for whole, weight in zip(wholes, weights, strict=True)]
    assert calibrate(blocks, faster, 0.0015, list(weights)).weight_ms_per_mb == 0


def test_deployed_ratios_come_with_their_error() -> None:
    found = Calibration().with_deployed(np.array([1.0, 1.1, 1.3]), np.array([2.0, 2.0, 4.0]))
    assert (found.deployed_median, found.deployed_p95) == (1.1, 2.0)
    assert found.deployed_error == pytest.approx((1.2 / 1.0 - 1 + 1.15 / 1.1 - 1 + 1 - 1.05 / 1.3) / 3)
    assert Calibration().with_deployed(np.array([1.2]), np.array([1.5])).deployed_error is None


def test_without_networks_the_prior_stands_and_no_error_is_claimed() -> None:
    found = calibrate([], [], empty_ms=0.002)
    assert (found.scale, found.overhead_ms, found.mape, found.networks) == (1.0, 0.001, None, 0)


def test_one_odd_network_does_little_harm() -> None:
    blocks, wholes = made_up(1, 1.4, 0.0)
    found = calibrate(blocks, wholes, empty_ms=0.0015)
    assert 0.9 < found.scale < 1.5
    assert found.overhead_ms >= 0


def test_the_overhead_is_never_negative() -> None:
    blocks, wholes = made_up(12, 1.0, -0.004)
    assert calibrate(blocks, wholes, empty_ms=0.0015).overhead_ms == 0


def test_contributions_are_positive_and_monotone() -> None:
    found = Calibration(scale=1.0, overhead_ms=0.01)
    latencies = np.geomspace(1e-4, 10, 200)
    parts = found.contributions(latencies)
    assert (parts > 0).all()
    assert (np.diff(parts) > 0).all()
    assert np.isnan(found.contributions(np.array(np.nan)))


def test_json_reads_back_and_refuses_other_things() -> None:
    found = Calibration(1.01, 0.001, 12, 0.006, 0.02, 1.1, 1.3, mape_interval=(0.004, 0.009))
    assert Calibration.from_json(found.to_json()) == found
    for wrong in ({}, {"scale": 1}, found.to_json() | {"colour": "red"}):
        with pytest.raises(ValueError, match="calibration"):
            Calibration.from_json(wrong)
