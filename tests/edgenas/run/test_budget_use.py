"""What is told of a budget that is not used up."""

import pytest

from edgenas.run.budget_use import budget_uses
from edgenas.study.study import Trial

NAME = "latency_ms"


def trial(number: int, top1: float, latency_ms: float) -> Trial:
    return Trial(number, "a", (0,), "complete", 0, {NAME: latency_ms}, top1=top1, metric="top1", reward=top1)


def words(shipped: Trial, *others: Trial, found: float, most: float = 9.0, rejected: tuple[int, ...] = ()) -> str:
    (use,) = budget_uses(
        shipped,
        [shipped, *others],
        limits={NAME: 1.0},
        searched_limits={NAME: 0.9},
        found={NAME: (found, "measured")},
        ranges={NAME: {"most": most}},
        rejected=rejected,
    )
    assert use.to_json()["found_share"] == found
    return use.words


def test_slower_trials_that_were_no_better_are_told() -> None:
    # 5 is over the limit on predictions, 4 is faster than what is shipped, 2 was rejected.
    others = (trial(1, 0.7, 0.8), trial(2, 0.9, 0.85), trial(3, 0.75, 0.89), trial(4, 0.6, 0.4), trial(5, 0.9, 0.95))
    text = words(trial(0, 0.8, 0.5), *others, found=0.52, rejected=(2,))
    assert text.startswith("latency_ms uses 52% of its budget of 1 ms: 0.52 ms (measured), 50% predicted; why not more")
    assert "10% of it is kept free" in text
    assert "2 trials that use more of it reached a top1 of at most 0.750 (trial 3), the shipped one 0.800" in text
    assert "1 better ranked trial was rejected" in text


@pytest.mark.parametrize(("most", "binds"), [(0.9, False), (0.91, True)])
def test_a_budget_that_no_architecture_reaches_never_binds(most: float, binds: bool) -> None:
    text = words(trial(0, 0.8, 0.5), found=0.5, most=most)
    assert ("never binds, no architecture of the space is predicted over 0.9 ms" in text) is not binds


def test_a_budget_that_is_used_up_needs_no_reason() -> None:
    assert "why" not in words(trial(0, 0.8, 0.89), found=0.99)
