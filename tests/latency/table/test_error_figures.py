"""The figures of a table's error: the interval holds the mean of many, as often as it says, and few tell little."""

import numpy as np
import pytest

from edgenas.latency.table.error_figures import error_figures, in_words, interval_from


def test_the_interval_holds_the_mean_of_many_networks() -> None:
    rng = np.random.default_rng(0)
    true_mean = 0.02 * np.sqrt(2 / np.pi)
    held = 0
    for _ in range(200):
        interval = error_figures(rng.normal(0, 0.02, 24))["mape_interval"]
        assert interval is not None
        held += interval[0] <= true_mean <= interval[1]
    assert 175 <= held <= 199  # 95 % of 200, as far as resampling 24 tells


def test_few_networks_tell_little() -> None:
    assert error_figures([]) == {"mape": None, "max_error": None, "mape_interval": None}
    assert error_figures([-0.02]) == {"mape": 0.02, "max_error": 0.02, "mape_interval": None}
    assert error_figures([0.01] * 5)["mape_interval"] == (0.01, 0.01)
    assert error_figures([0.01, 0.03]) == error_figures([0.01, 0.03])


def test_words_leave_out_what_is_not_known() -> None:
    assert in_words(0.021, 0.11, (0.014, 0.029)) == "mean error 2.1% (95 % interval: 1.4% to 2.9%), largest 11.0%"
    assert in_words(0.021, None, None) == "mean error 2.1%"


@pytest.mark.parametrize("plain", [[0.1], [0.1, 0.2, 0.3], 5, ["a", "b"], [None, 1]])
def test_what_is_no_interval_is_refused(plain: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        interval_from(plain)
