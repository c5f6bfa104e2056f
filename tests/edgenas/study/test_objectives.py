"""Rewards: published formulas on hand-computed values, and their limits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.spaces.errors import InputError
from edgenas.study.objectives import Objective, within


@pytest.mark.parametrize(
    ("kind", "beta", "latency_ms", "expected"),
    [
        ("absolute", None, 5.0, 0.75),  # 0.8 - 0.1 * |5/10 - 1|
        ("absolute", None, 15.0, 0.75),
        ("absolute", -0.2, 5.0, 0.7),
        ("soft", None, 10.0, 0.8),
        ("soft", None, 5.0, 0.8 * 0.5**-0.07),
        ("soft", -0.1, 20.0, 0.8 * 2**-0.1),
        ("hard", None, 5.0, 0.8),
        ("hard", None, 20.0, 0.8 * 2**-0.07),
    ],
)
def test_formulas(kind: str, beta: float | None, latency_ms: float, expected: float) -> None:
    objective = Objective(kind, {"latency_ms": 10.0}, beta)
    assert objective.reward(0.8, {"latency_ms": latency_ms}) == pytest.approx(expected)


def test_each_cost_counts() -> None:
    targets = {"latency_ms": 1.0, "size_bytes": 100.0}
    costs = {"latency_ms": 0.5, "size_bytes": 200.0}
    assert Objective("absolute", targets).reward(0.8, costs) == pytest.approx(0.8 - 0.05 - 0.1)
    assert Objective("hard", targets).reward(0.8, costs) == pytest.approx(0.8 * 2**-0.07)
    assert Objective("absolute", {}).reward(0.8, costs) == 0.8


@given(st.floats(0, 1), st.floats(0.01, 100), st.sampled_from(["absolute", "hard"]))
def test_no_reward_exceeds_the_quality(quality: float, ratio: float, kind: str) -> None:
    assert Objective(kind, {"latency_ms": 1.0}).reward(quality, {"latency_ms": ratio}) <= quality


def test_nan_stays_nan() -> None:
    assert math.isnan(Objective("absolute", {"latency_ms": 1.0}).reward(math.nan, {"latency_ms": 1.0}))


@pytest.mark.parametrize(
    ("kind", "targets", "beta", "words"),
    [
        ("relative", {}, None, "expected one of absolute, soft, hard"),
        ("soft", {"latency_ms": 0.0}, None, "must be above 0"),
        ("soft", {"latency_ms": math.nan}, None, "must be above 0"),
        ("soft", {}, 0.1, "at most 0"),
    ],
)
def test_wrong_objectives(kind: str, targets: dict[str, float], beta: float | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Objective(kind, targets, beta)


def test_within_needs_every_cost_known() -> None:
    assert within({"latency_ms": 1.0, "macs": 5}, {"latency_ms": 1.0})
    assert not within({"latency_ms": 1.01}, {"latency_ms": 1.0})
    assert not within({"latency_ms": math.nan}, {"latency_ms": 1.0})
    assert not within({}, {"latency_ms": 1.0})
