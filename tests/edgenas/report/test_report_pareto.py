"""The Pareto front and its table."""

from __future__ import annotations

import csv
import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgenas.report.data import ReportData, TrialPoint
from edgenas.report.pareto import COLUMNS, pareto_csv, pareto_front

#: Few distinct values, so that ties in either coordinate and equal points are common.
COORDINATE = st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, float("nan"), float("inf")])


def brute_force(costs: list[float], qualities: list[float]) -> list[bool]:
    def beats(a: int, b: int) -> bool:
        no_worse = costs[a] <= costs[b] and qualities[a] >= qualities[b]
        return no_worse and (costs[a] < costs[b] or qualities[a] > qualities[b])

    def known(index: int) -> bool:
        return costs[index] == costs[index] and qualities[index] == qualities[index]

    everyone = range(len(costs))
    return [known(i) and not any(known(j) and beats(j, i) for j in everyone) for i in everyone]


@given(st.lists(st.tuples(COORDINATE, COORDINATE), max_size=12))
def test_front_equals_brute_force_with_ties_and_unknowns(points: list[tuple[float, float]]) -> None:
    costs, qualities = [c for c, _ in points], [q for _, q in points]
    assert pareto_front(np.array(costs), np.array(qualities)).tolist() == brute_force(costs, qualities)


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(0, 1)), min_size=1, max_size=30))
def test_front_equals_brute_force_on_any_numbers(points: list[tuple[float, float]]) -> None:
    costs, qualities = [c for c, _ in points], [q for _, q in points]
    front = pareto_front(np.array(costs), np.array(qualities))
    assert front.tolist() == brute_force(costs, qualities)
    assert front.any()


def test_csv_has_every_trial_and_says_what_is_unknown() -> None:
    data = ReportData(
        name="run",
        run_path="runs/run",
        metric="top1",
        device="local-cpu",
        best_trial=1,
        trials=(
            TrialPoint(0, "0.1", "complete", 0.8, 0.2, 0.75, True),
            TrialPoint(1, "0.2", "complete", 0.9, 0.1, 0.85, True),
            TrialPoint(2, 'a "quoted", text', "failed", None, 0.05, None, True, error="boom"),
        ),
    )
    rows = list(csv.DictReader(io.StringIO(pareto_csv(data))))
    assert tuple(rows[0]) == COLUMNS
    assert [row["on_front"] for row in rows] == ["false", "true", "false"]
    assert [row["chosen"] for row in rows] == ["false", "true", "false"]
    assert rows[2]["architecture"] == 'a "quoted", text'
    assert (rows[2]["top1"], rows[2]["top1_provenance"]) == ("", "")
    assert rows[1]["top1_provenance"].startswith("evaluated")
    assert rows[1]["latency_provenance"].startswith("predicted")
