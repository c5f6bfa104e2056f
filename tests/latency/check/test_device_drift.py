"""Is everything slower, or do weights take longer to come?"""

import numpy as np
import pytest

from edgenas.latency.check.device_drift import DeviceDrift, tell_drift

RNG = np.random.default_rng(0)
THEN = RNG.uniform(2.0, 12.0, 24)
WEIGHTS = RNG.uniform(7.0, 15.0, 24)
NOISE = RNG.normal(1.0, 0.01, 24)


def test_weights_that_come_faster() -> None:
    found = tell_drift(THEN, (THEN - 0.02 * WEIGHTS) * NOISE, WEIGHTS)
    assert found.ms_per_mb == pytest.approx(-0.02, abs=0.004)
    assert found.is_small
    others, megabytes = np.array([2.5, 10.0]), np.array([11.0, 11.0])
    assert found.taken_out(others - 0.22, megabytes) == pytest.approx(others, rel=0.02)


def test_everything_slower() -> None:
    found = tell_drift(THEN, 1.06 * THEN * NOISE, WEIGHTS)
    assert (found.ratio, found.ms_per_mb) == (pytest.approx(1.06, abs=0.005), None)
    assert found.taken_out(np.array([1.06, 3.18]), np.array([1.0, 9.0])) == pytest.approx([1.0, 3.0], rel=0.005)


def test_one_disturbed_network_moves_neither() -> None:
    now = (THEN - 0.02 * WEIGHTS) * NOISE
    now[:3] *= 1.5
    assert tell_drift(THEN, now, WEIGHTS).ms_per_mb == pytest.approx(-0.02, abs=0.006)


def test_another_device_is_not_taken_out() -> None:
    assert not tell_drift(THEN, 1.3 * THEN, WEIGHTS).is_small
    assert not DeviceDrift(0.85).is_small
    assert tell_drift(THEN, 1.05 * THEN, np.zeros(24)) == DeviceDrift(pytest.approx(1.05))
