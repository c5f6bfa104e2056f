"""What networks that were measured then and are measured now tell of a device."""

import numpy as np
import pytest

from edgenas.latency.check.device_drift import DeviceDrift, tell_drift

THEN = np.random.default_rng(0).uniform(0.5, 8.0, 24)


def test_the_typical_network_tells_the_drift() -> None:
    now = 1.06 * THEN * np.random.default_rng(1).normal(1.0, 0.01, len(THEN))
    now[:3] *= 1.5  # disturbed ones do not
    assert tell_drift(THEN, now).ratio == pytest.approx(1.06, abs=0.01)


def test_another_device_is_told_from_another_hour() -> None:
    assert tell_drift(THEN, 1.09 * THEN).is_small
    assert not tell_drift(THEN, 1.3 * THEN).is_small
    assert not DeviceDrift(0.85).is_small
