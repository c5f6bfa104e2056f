"""Measurements refuse nonsense and state their statistics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.devices import Measurement, Provenance
from edgenas.spaces.errors import InputError

PROVENANCE = Provenance("measured", "demo", "runtime", "1.0")
times = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=50)


@given(times)
def test_statistics_are_ordered_and_of_the_samples(samples: list[float]) -> None:
    measurement = Measurement(tuple(samples), PROVENANCE)
    ordered = [measurement.min, measurement.p10, measurement.median, measurement.p90, measurement.p95]
    assert ordered == sorted(ordered)
    assert measurement.min == min(samples)
    assert measurement.median == pytest.approx(np.median(samples))
    assert measurement.runs == len(samples)


@pytest.mark.parametrize("samples", [(), (0.0,), (-1.0,), (float("nan"),), (1.0, float("inf"))])
def test_nonsense_is_refused(samples: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="positive and finite"):
        Measurement(samples, PROVENANCE)


def test_json_has_the_stable_fields() -> None:
    document = Measurement((1.0, 3.0), PROVENANCE).to_json()
    assert set(document) == {"latency_ms", "energy_mj", "energy", "energy_problem", "provenance"}
    assert {"min", "p10", "median", "mean", "p90", "runs"} <= set(document["latency_ms"])
    assert document["provenance"]["kind"] == "measured"
