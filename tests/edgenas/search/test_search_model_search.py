"""Model Search: growing depth, its variants, and the models they use."""

import numpy as np
import pytest

from edgenas.search import algorithm_options, create_algorithm
from edgenas.search.algorithms.model_search import ModelSearch
from edgenas.search.conformance import AlgorithmConformance, grid_problem, replay
from edgenas.search.models.sparse_models import LinearModel, SparsePolynomial
from edgenas.spaces.errors import InputError


class TestModelSearch(AlgorithmConformance):
    algorithm = "model_search"


class TestLinear(AlgorithmConformance):
    algorithm = "model_search"
    options = {"model": "linear"}  # noqa: RUF012


class TestHarmonica(AlgorithmConformance):
    algorithm = "model_search"
    options = {"model": "harmonica"}  # noqa: RUF012


def test_allowed_depth_grows_with_finished_trials() -> None:
    algorithm = create_algorithm("model_search", grid_problem(40), 0, {"full_depth_after": 0.5})
    assert isinstance(algorithm, ModelSearch)
    depths = []
    while len(algorithm.trials) < 24:
        depths.append(algorithm.allowed_depth)
        trials = replay(algorithm, len(algorithm.trials) + 1)
        assert all(choice == 0 for choice in trials[-1].choices[depths[-1] :])
    assert depths[0] == 1
    assert depths == sorted(depths)
    assert depths[-1] == 6


def test_children_differ_from_one_of_the_beam_by_one_decision() -> None:
    algorithm = create_algorithm("model_search", grid_problem(40), 0, {"beam": 2})
    trials = replay(algorithm, 12)
    beam = sorted(trials, key=lambda trial: -trial.score)[:2]
    (child,) = algorithm.suggest(1)
    assert 1 in {sum(a != b for a, b in zip(child, trial.choices, strict=True)) for trial in beam}


def test_a_ridge_recovers_a_linear_function() -> None:
    rng = np.random.default_rng(0)
    encoded = np.eye(4)[rng.integers(4, size=(60, 3))].reshape(60, -1)
    weights = rng.normal(size=12)
    model = LinearModel.fit(encoded, encoded @ weights + 2)
    np.testing.assert_allclose(model.predict(encoded), encoded @ weights + 2, atol=1e-3)


def test_a_sparse_polynomial_finds_the_interaction() -> None:
    rng = np.random.default_rng(0)
    encoded = rng.integers(2, size=(200, 8)).astype(float)
    signs = 2 * encoded - 1
    rewards = 5 + 2 * signs[:, 1] + 3 * signs[:, 2] * signs[:, 5] * signs[:, 1] + 0.01 * rng.normal(size=200)
    model = SparsePolynomial.fit(encoded, rewards)
    assert {(1,), (1, 2, 5)} <= set(model.terms)
    assert len(model.terms) <= 5
    assert np.corrcoef(model.predict(encoded), rewards)[0, 1] > 0.99


def test_a_sparse_polynomial_of_equal_rewards_is_their_value() -> None:
    assert SparsePolynomial.fit(np.eye(4), np.full(4, 0.5)).predict(np.eye(4)).tolist() == [0.5] * 4


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(InputError, match="none, linear, harmonica, found 'lasso'"):
        algorithm_options("model_search", {"model": "lasso"})
