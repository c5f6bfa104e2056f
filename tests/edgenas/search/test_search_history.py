"""What an algorithm knows of the trials: the arrays agree with the objects whatever the order of the news."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.search.algorithms.optuna_adapter import leading_fronts
from edgenas.search.history import History, Observation
from edgenas.search.models.encoding import row_keys

choices = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 30))
results = st.sampled_from(
    [("pending", None), ("failed", None), ("complete", 0.5), ("complete", float("nan")), ("complete", float("-inf"))]
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), results), max_size=40), st.integers(0, 5))
def test_arrays_agree_with_the_last_news_of_every_trial(news: list, batch: int) -> None:
    history, last = History(), {}
    for place, (number, (state, reward)) in enumerate(news):
        trial = Observation(number, (number, number % 3), state, reward)
        history.update([trial])
        last[number] = trial
        if batch and place % batch == 0:
            assert len(history.population) == len(last)
    expected = [last[number] for number in sorted(last)]
    assert history.trials == expected or str(history.trials) == str(expected)
    assert history.next_number == max(last, default=-1) + 1
    assert set(history.seen) == {trial.choices for trial in expected}
    assert [tuple(row) for row in history.population.tolist()] == [trial.choices for trial in expected]
    if expected:
        assert (history.keys == row_keys(np.array([trial.choices for trial in expected], np.int16))).all()
    good = [trial for trial in expected if trial.reward == 0.5]
    assert history.complete == good
    assert history.best(3) == good[:3]
    assert history.has_reward.sum() == len(good)
    assert history.pending.tolist() == [trial.state == "pending" for trial in expected]
    assert history.failed.sum() + len(good) + history.pending.sum() == len(expected)


def test_best_first_and_of_equal_ones_the_earliest() -> None:
    history = History(Observation(n, (n,), "complete", reward) for n, reward in enumerate((0.1, 0.7, 0.3, 0.7)))
    assert [trial.number for trial in history.best(3)] == [1, 3, 2]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2)), max_size=30), st.integers(1, 20))
def test_leading_fronts_are_those_of_the_definition(points: list, size: int) -> None:
    values = np.array(points, float).reshape(len(points), 3)
    remaining, expected = set(range(len(points))), set()
    while remaining and len(expected) < size:
        front = {
            i
            for i in remaining
            if not any((values[j] <= values[i]).all() and (values[j] < values[i]).any() for j in remaining)
        }
        expected |= front
        remaining -= front
    assert leading_fronts(values, size).tolist() == sorted(expected)
