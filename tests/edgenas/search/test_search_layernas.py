"""LayerNAS: the order of its search, its buckets, its defaults, and resuming within a layer."""

import numpy as np

from edgenas.search import create_algorithm
from edgenas.search.algorithm import Observation
from edgenas.search.algorithms.layernas import LayerNAS
from edgenas.search.conformance import AlgorithmConformance, grid_problem, replay


class TestLayerNAS(AlgorithmConformance):
    algorithm = "layernas"


class TestLayerNASWithManyBuckets(AlgorithmConformance):
    algorithm = "layernas"
    options = {"buckets": 8}  # noqa: RUF012


def make(trials: int = 40, limit: float | None = 30.0, **options: int) -> LayerNAS:
    algorithm = create_algorithm("layernas", grid_problem(trials, limit=limit), 0, options)
    assert isinstance(algorithm, LayerNAS)
    return algorithm


def test_the_first_layer_is_searched_first_with_later_layers_as_expensive_as_fits() -> None:
    algorithm = make()
    first = [trial.choices for trial in replay(algorithm, 4)]
    assert sorted(choices[0] for choices in first) == [0, 1, 2, 3]
    for choices in first:
        cost = algorithm.problem.costs(np.array([choices]))["latency_ms"][0]
        # The step from the last but one level is at most 6 ms, the weight of the last layer.
        assert 30.0 - 6.0 < cost <= 30.0
        assert max(choices[1:]) - min(choices[1:]) <= 1


def test_without_a_budget_later_layers_take_the_most_expensive_option() -> None:
    first = [trial.choices for trial in replay(make(limit=None), 4)]
    assert {choices[1:] for choices in first} == {(3,) * 5}


def test_the_second_layer_varies_what_was_best_in_the_first() -> None:
    algorithm = make(buckets=1)
    trials = replay(algorithm, 4)
    best = max(trials, key=lambda trial: trial.score)
    (following,) = algorithm.suggest(1)
    assert following[0] == best.choices[0]
    assert following[1] != best.choices[1]


def test_each_bucket_keeps_its_best() -> None:
    algorithm = make(limit=100.0, buckets=2)
    first = algorithm.suggest(4)
    rewards = {0: 0.1, 1: 0.3, 2: 0.2, 3: 0.05}
    algorithm.update(Observation(n, choices, "complete", rewards[choices[0]]) for n, choices in enumerate(first))
    # Cheap bucket: options 0 and 1; dear bucket: options 2 and 3. Each kept one has three new children.
    following = algorithm.suggest(6)
    assert sorted(choices[0] for choices in following) == [1, 1, 1, 2, 2, 2]
    assert {choices[1] for choices in following} == {0, 1, 2}


def test_a_search_continues_in_the_middle_of_a_layer() -> None:
    whole = make(buckets=1)
    trials = replay(whole, 12)
    resumed = make(buckets=1)
    resumed.update(trials[:6])
    assert [trial.choices for trial in replay(resumed, 12)] == [trial.choices for trial in trials]
