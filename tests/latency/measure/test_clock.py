"""The clock of a session's minutes, whoever disturbs single visits."""

import numpy as np
import pytest

from edgenas.latency.measure.clock import Clock

LIMIT = 6.35


def noted(rng: np.random.Generator, clock_ms: float, busy: float, count: int, into: Clock) -> list[int]:
    """Visits at one clock, of which a share is disturbed a little or much."""
    return [
        into.note(clock_ms * (1 + rng.exponential(0.005) + (rng.uniform(0.05, 1.0) if rng.random() < busy else 0.0)))
        for _ in range(count)
    ]


@pytest.mark.parametrize("busy", [0.0, 0.6])
def test_steps_of_the_clock_are_followed_and_disturbed_visits_are_not(busy: float) -> None:
    rng, clock = np.random.default_rng(0), Clock()
    slow, fast = noted(rng, 5.5, busy, 200, clock), noted(rng, 5.0, busy, 200, clock)
    assert [clock.at(place, LIMIT) for place in slow[:120]] == pytest.approx([5.5] * 120, rel=0.02)
    assert [clock.at(place, LIMIT) for place in fast[80:]] == pytest.approx([5.0] * 120, rel=0.02)
    # Models are brought to one clock, up to what they do not follow.
    ratio = clock.factor(fast[150], 5.0, LIMIT) / clock.factor(slow[50], 5.0, LIMIT)
    assert 1.0 < ratio < 1.15


def test_a_visit_that_was_disturbed_counts_at_the_clock_of_its_neighbours() -> None:
    clock = Clock()
    places = [clock.note(anchor) for anchor in [5.0] * 10 + [9.0] + [5.0] * 10]
    assert clock.at(places[10], LIMIT) == 5.0
    assert clock.factor(places[10], 5.0, LIMIT) == 1.0
    assert clock.factor(clock.note(5.5), 5.0, LIMIT) < 1.0


def test_where_nobody_was_quiet_it_is_as_before() -> None:
    clock = Clock()
    assert clock.at(clock.note(9.0), LIMIT) == LIMIT
    quiet = [clock.note(5.2) for _ in range(60)]
    busy = [clock.note(9.0) for _ in range(200)]
    assert clock.at(quiet[-1], LIMIT) == clock.at(busy[-1], LIMIT) == 5.2
