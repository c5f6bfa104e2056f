"""What counts as quiet, and what follows from it."""

import math

import pytest

from edgenas.latency.measure.visits import QuietSettings, Visits
from edgenas.spaces.errors import InputError

SETTINGS = QuietSettings(visits=2, least_visits=1, patience=3, max_visits=4, precision=0.0)


def test_disturbed_chunks_do_not_count() -> None:
    visits = Visits(SETTINGS, anchor_ms=1.0)
    visits.add("m", ((10.0, 1.0, 1.0), (5.0, 1.0, 1.5), (4.0, 1.6, 1.0)))
    assert visits.latency("m").latency_ms == 10.0
    assert visits.latency("m").quiet_visits == 1
    assert visits.latency("m").fastest_ms == 4.0


def test_latencies_are_brought_to_the_reference_clock() -> None:
    visits = Visits(SETTINGS, anchor_ms=1.0)
    visits.add("m", ((11.0, 1.1, 1.15),))
    assert visits.latency("m").latency_ms == pytest.approx(10.0)
    assert visits.latency("m").fastest_ms == 11.0


def test_the_first_quartile_of_quiet_visits() -> None:
    visits = Visits(SETTINGS, anchor_ms=1.0)
    for sample in (13.0, 10.0, 12.0, 14.0, 11.0):
        visits.add("m", ((sample + 5, 1.0, 1.0), (sample, 1.0, 1.0)))
    found = visits.latency("m")
    assert found.latency_ms == 11.0
    assert found.spread == pytest.approx((13 - 11) / 11)


def test_a_slower_clock_is_quiet_too() -> None:
    visits = Visits(SETTINGS, anchor_ms=1.0)
    for _ in range(200):
        visits.add("other", ((1.0, 1.15, 1.15),))
    for _ in range(4):
        visits.add("m", ((11.5, 1.15, 1.2),))
    assert visits.latency("m").latency_ms == pytest.approx(10.0)
    assert visits.latency("m").quiet_visits == 4


def test_without_a_known_anchor_the_session_sets_its_own() -> None:
    visits = Visits(SETTINGS)
    visits.add("a", ((10.0, 1.9, 1.9),))
    assert visits.quiet_visits("a") == 1
    visits.add("b", ((10.0, 1.0, 1.0),))
    assert visits.quiet_visits("a") == 0  # now it is known to have been disturbed
    assert visits.reference_ms == 1.0


def test_where_nothing_was_quiet_the_fastest_must_do_and_it_shows() -> None:
    visits = Visits(SETTINGS, anchor_ms=1.0)
    visits.add("m", ((9.0, 2.0, 2.0), (8.0, 1.5, 1.9)))
    found = visits.latency("m")
    assert (found.latency_ms, found.quiet_visits, found.visits) == (8.0, 0, 1)


def test_a_model_is_visited_until_it_was_quiet_often_enough_or_too_often() -> None:
    visits = Visits(SETTINGS, anchor_ms=1.0, effort={"whole": 2.0, "often": 0.5})
    busy = ((1.0, 3.0, 3.0),)
    assert visits.lacking(["a", "b", "whole"]) == ["a", "b", "whole"]
    for turn in range(SETTINGS.visits):
        quiet = ((1.0 + turn, 1.0, 1.0),)  # they disagree
        visits.add("a", quiet)
        visits.add("whole", quiet)
    for _ in range(SETTINGS.max_visits - 1):
        visits.add("b", busy)
    assert visits.lacking(["a", "b", "whole"]) == ["b", "whole"]
    visits.add("b", busy)
    assert visits.lacking(["a", "b"]) == []
    for _ in range(SETTINGS.visits):
        visits.add("whole", quiet)
    assert visits.lacking(["whole"]) == []
    for _ in range(math.ceil(SETTINGS.visits / 2)):
        assert visits.lacking(["often"]) == ["often"]
        visits.add("often", quiet)
    assert visits.lacking(["often"]) == []


def test_visits_that_agree_are_enough_early_and_those_that_do_not_go_on() -> None:
    settings = QuietSettings(visits=8, least_visits=4, patience=10, precision=0.01)
    visits = Visits(settings, anchor_ms=1.0)
    for turn in range(4):
        assert visits.lacking(["steady", "noisy"]) == ["steady", "noisy"]
        visits.add("steady", ((1.0 + 0.001 * turn, 1.0, 1.0),))
        visits.add("noisy", ((1.0 + 0.1 * turn, 1.0, 1.0),))
    assert visits.lacking(["steady", "noisy"]) == ["noisy"]
    for turn in range(4, 8):
        visits.add("noisy", ((1.0 + 0.1 * turn, 1.0, 1.0),))
    assert visits.lacking(["noisy"]) == []


def test_on_a_busy_machine_fewer_quiet_visits_must_do() -> None:
    quiet, busy = ((1.0, 1.0, 1.0),), ((1.0, 3.0, 3.0),)
    visits = Visits(SETTINGS, anchor_ms=1.0)
    for visit in (quiet, busy):
        visits.add("m", visit)
    assert visits.lacking(["m"]) == ["m"]
    visits.add("m", busy)
    assert visits.lacking(["m"]) == []


@pytest.mark.parametrize(
    "wrong", [{"visits": 0}, {"least_visits": 0}, {"visits": 3, "max_visits": 2}, {"tolerance": 1.0}]
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="quiet settings"):
        QuietSettings(**wrong)  # type: ignore[arg-type]
