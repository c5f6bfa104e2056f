"""The Gaussian process, its warping and its acquisition, against closed forms and finite differences."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.search import create_algorithm
from edgenas.search.algorithm import Observation
from edgenas.search.algorithms.budget_filling import BudgetFilling
from edgenas.search.conformance import GridSpace, grid_problem, grid_quality, replay
from edgenas.search.history import History
from edgenas.search.models.acquisition import log_expected_improvement
from edgenas.search.models.gaussian_process import CONSTANT, CategoricalKernel, GaussianProcess, fit
from edgenas.search.models.surrogate import MODEL_SIZE, Surrogate
from edgenas.search.models.warping import POWERS, warp

COUNTS = (4, 2, 3)


def some(seed: int, count: int = 20) -> tuple[CategoricalKernel, np.ndarray, np.ndarray]:
    """A kernel, options (inactive ones among them) and targets."""
    rng = np.random.default_rng(seed)
    options = np.stack([rng.integers(size + 1, size=count) for size in COUNTS], axis=1)
    return CategoricalKernel(COUNTS), options, rng.normal(size=count)


@pytest.mark.parametrize("seed", range(4))
def test_the_gradient_is_that_of_the_loss(seed: int) -> None:
    kernel, options, targets = some(seed)
    encoded = kernel.one_hot(options)
    parameters = kernel.prior_mean + np.random.default_rng(seed).normal(size=len(kernel.prior_mean)) / 2
    _, gradient = kernel.loss(parameters, options, encoded, targets)
    for place in range(len(parameters)):
        step = np.zeros(len(parameters))
        step[place] = 1e-5
        above, below = (kernel.loss(parameters + sign * step, options, encoded, targets)[0] for sign in (1, -1))
        assert gradient[place] == pytest.approx((above - below) / 2e-5, rel=1e-3, abs=1e-5)


def test_the_posterior_is_the_textbook_one() -> None:
    kernel, options, targets = some(0)
    parameters = kernel.prior_mean
    process = GaussianProcess(kernel, parameters, options[:15], targets[:15])
    encoded = kernel.one_hot(options)
    prior = kernel.covariance(kernel.log_factors(parameters), parameters[-2], options, encoded)
    inverse = np.linalg.inv(prior[:15, :15] + process.nugget * np.eye(15))
    found = process.predict(options[15:])
    np.testing.assert_allclose(found.mean, prior[15:, :15] @ inverse @ targets[:15], atol=1e-4)
    expected = np.diag(prior[15:, 15:] - prior[15:, :15] @ inverse @ prior[:15, 15:])
    np.testing.assert_allclose(found.variance, expected, atol=1e-4)
    assert np.diag(prior) == pytest.approx(1 + CONSTANT)


def test_what_is_pending_lowers_the_variance_and_leaves_the_mean() -> None:
    kernel, options, targets = some(1)
    alone = GaussianProcess(kernel, kernel.prior_mean, options[:12], targets[:12]).predict(options)
    pending = GaussianProcess(kernel, kernel.prior_mean, options[:15], targets[:12]).predict(options)
    np.testing.assert_allclose(pending.mean, alone.mean, atol=1e-5)
    assert (pending.variance <= alone.variance + 1e-5).all()
    assert (pending.variance[12:15] < alone.variance[12:15] - 1e-3).all()


def test_an_inactive_decision_is_like_no_option() -> None:
    factors = np.exp(CategoricalKernel((3, 2)).log_factors(CategoricalKernel((3, 2)).prior_mean))[0]
    assert factors[3, :3] == pytest.approx(0.5)  # 1 / (1 + rho) with rho 1
    assert factors[3, 3] == pytest.approx(1.0)
    assert factors[0, 1] > factors[0, 2] > 0.5


def test_fitting_finds_the_decision_that_matters() -> None:
    rng = np.random.default_rng(0)
    options = rng.integers(3, size=(40, 4))
    targets = np.array([-1.0, 0.2, 1.1])[options[:, 2]] + 0.05 * rng.normal(size=40)
    kernel = CategoricalKernel((3,) * 4)
    parameters = fit(kernel, options, targets, kernel.prior_mean, 30)
    assert np.argmax(parameters[:4]) == 2
    encoded = kernel.one_hot(options)
    assert kernel.loss(parameters, options, encoded, targets) < kernel.loss(
        kernel.prior_mean, options, encoded, targets
    )


@pytest.mark.parametrize("standard", [-40.0, -8.0, -6.001, -5.999, -3.0, 0.0, 2.0])
def test_expected_improvement_is_the_integral(standard: float) -> None:
    (found,) = log_expected_improvement(np.array([standard * 0.5]), np.array([0.5]), 0.0)
    # E[max(0, x)] of a normal by substitution of its tail, which does not underflow.
    offset = max(-standard, 0.0)
    grid = np.linspace(0, 40, 4_000_001)[1:]
    integrand = (grid + offset + standard) * np.exp(-0.5 * grid**2 - grid * offset)
    area = integrand.sum() * (grid[1] - grid[0])
    if standard > 0:  # the part below 0 of the substituted variable
        lower = np.linspace(-standard, 0, 400_001)
        area += ((lower + standard) * np.exp(-0.5 * lower**2)).sum() * (lower[1] - lower[0])
    expected = math.log(area) - 0.5 * offset**2 - 0.5 * math.log(2 * math.pi) + math.log(0.5)
    assert found == pytest.approx(expected, abs=0.15 if standard < -5 else 1e-3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30), st.sampled_from(POWERS))
def test_warping_keeps_the_order(rewards: list[float], power: float) -> None:
    values = warp(np.array(rewards), power).values
    assert np.isfinite(values).all()
    order = np.argsort(rewards, kind="stable")
    assert (np.diff(values[order]) >= -1e-9).all()


def test_equal_rewards_warp_to_zeros() -> None:
    assert warp(np.full(5, 0.7), 2.0).values.tolist() == [0.0] * 5


def observations(rows: np.ndarray, states: str = "complete") -> list[Observation]:
    return [
        Observation(n, choices, states, grid_quality(choices) if states == "complete" else None)
        for n, choices in enumerate(tuple(int(c) for c in row) for row in rows)
    ]


def test_the_surrogate_ranks_what_it_has_not_seen() -> None:
    space = GridSpace()
    rows = np.unique(space.sample(np.random.default_rng(0), 400), axis=0)
    np.random.default_rng(1).shuffle(rows)
    model = Surrogate(space, space.option_counts).condition(History(observations(rows[:60])))
    found = model.predict(rows[60:]).mean
    truth = [grid_quality(tuple(row)) for row in rows[60:]]
    assert np.corrcoef(found, truth)[0, 1] > 0.95


def test_failures_lower_the_chance_of_success_nearby() -> None:
    space = GridSpace()
    rows = np.unique(space.sample(np.random.default_rng(0), 200), axis=0)
    broken = rows[:, 0] == 3
    trials = observations(rows[~broken]) + [
        Observation(1000 + n, tuple(int(c) for c in row), "failed") for n, row in enumerate(rows[broken])
    ]
    found = Surrogate(space, space.option_counts).condition(History(trials)).predict(rows)
    assert found.success[broken].mean() < 0.3 < 0.8 < found.success[~broken].mean()


def test_the_model_stays_small_however_many_trials_there_are() -> None:
    space = GridSpace()
    rows = np.unique(space.sample(np.random.default_rng(0), 3000), axis=0)[:1500]
    model = Surrogate(space, space.option_counts).condition(History(observations(rows)))
    assert len(model._process._weights) == MODEL_SIZE


def test_fillings_use_the_budget_up() -> None:
    problem = grid_problem(10, limit=30.0)
    filled = BudgetFilling(problem).fill(np.zeros((1, 6), np.int16), range(1, 6))
    assert filled.possible.all()
    assert 24 < problem.costs(filled.rows)["latency_ms"][0] <= 30
    assert not BudgetFilling(problem).fill(np.array([[0, 0, 0, 3, 3, 3]], np.int16), [0]).possible.any()


def test_auto_finds_the_best_of_a_grid_sooner_than_evolution() -> None:
    problem = grid_problem(50)
    best = {
        name: np.mean([max(t.score for t in replay(create_algorithm(name, problem, seed), 50)) for seed in range(5)])
        for name in ("auto", "regularized_evolution")
    }
    assert best["auto"] > best["regularized_evolution"] + 0.005
