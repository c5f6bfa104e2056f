"""What operators add up to on a machine that is hardly ever quiet."""

import numpy as np
import pytest

from edgenas.latency.measure.clock import Clock
from edgenas.latency.measure.operator_visits import OperatorVisit, QuietSum, quiet_sum
from edgenas.latency.measure.visits import QuietSettings, Visits

ANCHOR_MS = 0.005


def summed(visits: list[OperatorVisit], reference_ms: float) -> QuietSum:
    """At clocks that never change but for the visit."""
    limit, clock = 1.27 * ANCHOR_MS, Clock()
    places = [clock.note(visit.fastest_anchor_ms) for visit in visits]
    factors = [clock.factor(place, reference_ms, limit) for place in places]
    return quiet_sum(visits, factors, [visit.fastest_anchor_ms <= limit for visit in visits])


def busy_visit(rng: np.random.Generator, true_us: np.ndarray, quiet_share: float, clock: float = 1.0) -> OperatorVisit:
    """20 runs beside a neighbour that comes and goes about every millisecond; long models follow the clock in part."""
    is_quiet, now, switch = True, 0.0, 0.0
    runs, anchors = [], []
    for _ in range(20):
        run = []
        for true in true_us:
            left, taken = true * clock**0.4 * (1 + rng.exponential(0.004)), 0.0
            while left > 0:
                if now >= switch:
                    is_quiet = bool(rng.random() < quiet_share)
                    switch = now + rng.exponential(1000.0)
                speed = 1.0 if is_quiet else 0.55
                step = min(left / speed, switch - now + 1e-9)
                left, taken, now = left - step * speed, taken + step, now + step
            run.append(int(taken))
        runs.append(tuple(run))
        anchors.append((ANCHOR_MS * clock * (1 if is_quiet else 1.8), ANCHOR_MS * clock))
    return OperatorVisit(tuple(anchors), tuple(runs))


@pytest.mark.parametrize("quiet_share", [1.0, 0.5, 0.2])
def test_a_long_model_is_known_although_no_run_was_quiet(quiet_share: float) -> None:
    rng = np.random.default_rng(int(10 * quiet_share))
    true_us = rng.uniform(5, 400, 60)
    visits = [busy_visit(rng, true_us, quiet_share) for _ in range(8)]
    found = summed(visits, ANCHOR_MS)
    assert found.latency_ms == pytest.approx(true_us.sum() / 1e3, rel=0.015)
    assert found.error_ms < 0.01 * found.latency_ms
    assert found.visits >= 4
    if quiet_share < 0.5:
        assert min(visit.runs_ms.min() for visit in visits) > 1.1 * found.latency_ms


def test_visits_at_different_clocks_are_brought_to_one() -> None:
    rng = np.random.default_rng(1)
    true_us = rng.uniform(50, 200, 30)
    visits = [busy_visit(rng, true_us, 1.0, clock) for clock in (1.0, 1.045, 1.09, 1.2)]
    assert summed(visits, ANCHOR_MS).latency_ms == pytest.approx(true_us.sum() / 1e3, rel=0.01)
    assert summed(visits, 2 * ANCHOR_MS).latency_ms == pytest.approx(2**0.65 * true_us.sum() / 1e3, rel=0.01)


def test_many_operators_below_the_clocks_resolution() -> None:
    rng = np.random.default_rng(2)
    true_us = rng.uniform(0, 8, 100)
    cut_off = [tuple(int(time + rng.random()) for time in true_us - 0.5) for _ in range(30)]
    visit = OperatorVisit(((ANCHOR_MS, ANCHOR_MS),) * 30, tuple(tuple(max(0, time) for time in run) for run in cut_off))
    assert summed([visit], ANCHOR_MS).latency_ms == pytest.approx(true_us.sum() / 1e3, rel=0.03)


def test_models_are_visited_until_each_operator_was_quiet() -> None:
    rng = np.random.default_rng(3)
    true_us = rng.uniform(50, 200, 30)
    settings = QuietSettings(visits=8, least_visits=4, patience=10, precision=0.01)
    visits = Visits(settings, anchor_ms=ANCHOR_MS)
    for _ in range(3):
        visits.add("m", busy_visit(rng, true_us, 1.0))
    assert visits.lacking(["m"]) == ["m"]
    visits.add("m", busy_visit(rng, true_us, 1.0))
    assert visits.lacking(["m"]) == []
    assert visits.latency("m").latency_ms == pytest.approx(true_us.sum() / 1e3, rel=0.01)
    assert visits.session_anchor_ms == ANCHOR_MS
    assert {type(value) for value in vars(visits.latency("m")).values()} == {float, int}  # as tables are written


def test_without_a_quiet_anchor_nothing_was_quiet() -> None:
    visits = Visits(QuietSettings(), anchor_ms=ANCHOR_MS)
    visits.add("m", OperatorVisit(((0.01, 0.009),) * 2, ((300, 20), (310, 19))))
    found = visits.latency("m")
    assert (found.quiet_visits, found.fastest_ms) == (0, pytest.approx(0.321))
    # At a clock that nobody knows.
    assert 0.3255 / 1.27 < found.latency_ms < 0.3255
    assert visits.operators(["m"])["m"].visits == 0


def test_a_run_between_disturbed_anchors_may_have_been_quiet() -> None:
    disturbed = OperatorVisit(((0.01, 0.01),), ((600, 800),))
    misled = OperatorVisit(((ANCHOR_MS, ANCHOR_MS),), ((610, 790),))
    lucky = OperatorVisit(((0.01, 0.01),), ((400, 500),))
    found = summed([disturbed, misled, disturbed, lucky], ANCHOR_MS)
    assert (found.latency_ms, found.visits) == (pytest.approx(0.901), 0)


def test_a_model_at_the_limit_counts_as_most_of_its_visits_saw_it() -> None:
    visits = Visits(QuietSettings(), anchor_ms=ANCHOR_MS)
    by_operator = OperatorVisit(((ANCHOR_MS, ANCHOR_MS),), ((400, 200),))
    visits.add("m", ((0.5, ANCHOR_MS, ANCHOR_MS),))
    visits.add("m", ((0.5, ANCHOR_MS, ANCHOR_MS),))
    visits.add("m", by_operator)
    assert visits.latency("m").latency_ms == 0.5
    visits.add("m", by_operator)
    assert visits.latency("m").latency_ms == pytest.approx(0.601)


def test_visits_to_another_program_are_left_out() -> None:
    good = OperatorVisit(((ANCHOR_MS, ANCHOR_MS),), ((400, 200),))
    other = OperatorVisit(((ANCHOR_MS, ANCHOR_MS),), ((400, 200, 5),))
    assert summed([good, other], ANCHOR_MS).latency_ms == pytest.approx(0.601)
