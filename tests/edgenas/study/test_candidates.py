"""What evaluators may answer, and what becomes of what they may not."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from edgenas.spaces.errors import WorkError
from edgenas.study.candidates import Candidate, Evaluation, Outcome, outcome_of

CANDIDATE = Candidate(3, "0120", 7)


def answered(value: Any) -> Outcome:
    return outcome_of(lambda candidate: value, CANDIDATE)


@pytest.mark.parametrize(
    "value",
    [
        0,
        1,
        0.25,
        np.float32(0.25),
        np.float64(1),
        np.int64(1),
        np.array(0.25),
        Fraction(1, 4),
        Evaluation(np.float32(0.5)),
    ],
)
def test_numbers_from_0_to_1_are_accuracies(value: Any) -> None:
    outcome = answered(value)
    assert outcome.error is None
    assert type(outcome.score) is float


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-1, "-1"),
        (2.0, "2.0"),
        (1.0000001, "1.0000001"),
        (True, "True"),
        (np.True_, "True"),
        ("0.5", "'0.5'"),
        (None, "None"),
        (np.array([0.5]), "array([0.5])"),
        ([0.5], "[0.5]"),
        ({"top1": 0.5}, "{'top1': 0.5}"),
        (0.5j, "0.5j"),
        (10**400, "1000"),
        (np.float32("nan"), "nan"),
        (Evaluation(math.nan, (0.5,)), "nan"),
        (Evaluation(0.5, (0.5, 1.5)), "1.5 as accuracy after epoch 2"),
        (Evaluation(0.5, (0.5, "x")), "'x' as accuracy after epoch 2"),  # type: ignore[arg-type]
        (Evaluation(0.5, 7), "7 as curve"),  # type: ignore[arg-type]
    ],
)
def test_anything_else_fails_the_candidate_and_is_shown(value: Any, shown: str) -> None:
    outcome = answered(value)
    assert outcome.score is None
    assert outcome.error is not None
    assert outcome.error.startswith("the evaluator returned ")
    assert shown in outcome.error
    assert "expected" in outcome.error
    assert len(outcome.error) < 250


def test_stopping_early_needs_a_curve() -> None:
    assert "without a curve" in (answered(Evaluation(0.5, (), stopped=True)).error or "")


def test_a_failing_evaluator_is_quoted_with_its_line() -> None:
    def deep(candidate: Candidate) -> float:
        return float(np.ones(3).reshape(2, 2).sum())  # fails inside NumPy

    outcome = outcome_of(deep, CANDIDATE)
    assert outcome.error is not None
    assert outcome.error.startswith("ValueError: cannot reshape")
    assert outcome.where.startswith("test_candidates.py, line ")
    assert "in deep: return float(np.ones(3)" in outcome.where
    assert outcome.details.startswith("Traceback (most recent call last)")
    assert outcome.reason == f"{outcome.error} ({outcome.where})"


@pytest.mark.parametrize("error", [SystemExit(3), MemoryError(), RecursionError("deep")])
def test_whatever_is_raised_fails_the_candidate(error: BaseException) -> None:
    def fail(candidate: Candidate) -> float:
        raise error

    assert (outcome_of(fail, CANDIDATE).error or "").startswith(type(error).__name__)


def test_messages_fit_in_a_line() -> None:
    class NastyError(Exception):
        def __str__(self) -> str:
            raise ValueError

    def fail(error: Exception) -> str:
        def evaluate(candidate: Candidate) -> float:
            raise error

        return outcome_of(evaluate, CANDIDATE).error or ""

    assert fail(ValueError("two\nlines\x00 \ud800")) == "ValueError: two lines"
    assert len(fail(ValueError("x" * 10_000))) < 600
    assert fail(NastyError()) == "NastyError: no message"
    assert fail(WorkError("our own words")) == "our own words"
