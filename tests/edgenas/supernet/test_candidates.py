"""What a frozen supernet is asked about: within the budget, never twice, and better as scores come in."""

import numpy as np
import pytest

from edgenas.search import Observation
from edgenas.search.algorithm import Algorithm
from edgenas.search.problem import Population, Problem
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.supernet.candidates import FrozenEvolution, PolicySamples
from edgenas.supernet.controller import Controller, ControllerSettings
from edgenas.supernet.families import macs
from edgenas.supernet.features import NetworkFeatures
from edgenas.supernet.ranking import FEW, check_ranking
from edgenas.supernet.ridge import FEWEST, fit_ridge


@pytest.fixture(scope="module")
def problem(space: SearchSpace) -> Problem:
    """Half of what the largest network costs."""
    arrays = space.cost_arrays(macs)
    most = space.population_cost(space.sample(np.random.default_rng(0), 500), arrays).max()
    return Problem(
        space,
        80,
        lambda rows: {"macs": space.population_cost(rows, arrays)},
        {"macs": 0.5 * most},
        space.to_population([space.cheapest(arrays)[0]])[0],
    )


@pytest.fixture(scope="module")
def features(space: SearchSpace, problem: Problem) -> NetworkFeatures:
    params = space.cost_arrays(lambda entry: float(entry.graph.params))
    return NetworkFeatures(space, lambda rows: {**problem.costs(rows), "params": space.population_cost(rows, params)})


def search(algorithm: Algorithm, problem: Problem, count: int, known: int = 0) -> list[tuple[int, ...]]:
    """Suggestions of a search for the dearest network within the budget."""
    for number in range(known, count):
        choices = algorithm.suggest(1)[0]
        cost = problem.costs(np.array([choices], np.int16))["macs"][0]
        algorithm.update([Observation(number, choices, "complete", cost / problem.limits["macs"])])
    return [trial.choices for trial in algorithm.trials]


def test_evolution_fills_the_budget_and_continues_exactly(problem: Problem, features: NetworkFeatures) -> None:
    found = search(FrozenEvolution(problem, 3, features), problem, 60)
    rows = np.array(found, np.int16)
    assert problem.feasible(rows).all()
    assert len(set(found)) == 60
    costs = problem.costs(rows)["macs"] / problem.limits["macs"]
    assert costs[-10:].mean() > costs[:10].mean()
    assert costs.max() > 0.97
    resumed = FrozenEvolution(problem, 3, features)
    resumed.update(
        Observation(number, choices, "complete", float(costs[number])) for number, choices in enumerate(found[:40])
    )
    assert search(resumed, problem, 60, known=40) == found


def test_features_tell_networks_apart(space: SearchSpace, features: NetworkFeatures) -> None:
    rows = space.sample(np.random.default_rng(1), 20)
    matrix = features.matrix(rows)
    assert matrix.shape == (20, len(features.names))
    depths = features.baselines(rows)["depth"]
    for row, depth in zip(rows, depths, strict=True):
        assert len(space.decode(row).nodes) == depth
    assert {"depth", "block ibn", "op DepthwiseConvolution", "log macs"} <= set(features.names)


def probabilities(space: SearchSpace, rows: Population) -> np.ndarray:
    """Of a controller that was rewarded for being like the first row."""
    controller = Controller(space, ControllerSettings(learning_rate=0.1, delay=0.0, samples=8))
    rng = np.random.default_rng(0)
    for step in range(150):
        drawn = controller.sample(rng, 8)
        controller.learn(drawn, (drawn == rows[0]).mean(axis=1), lambda qualities, _: qualities, step / 150, rng)
    return controller.probabilities


def test_a_controllers_networks_keep_the_budget(space: SearchSpace, problem: Problem) -> None:
    arrays = space.cost_arrays(lambda entry: -macs(entry))
    largest = space.to_population([space.cheapest(arrays)[0]])
    assert not problem.feasible(largest)[0]
    wanted = probabilities(space, largest)
    found = search(PolicySamples(problem, 0, wanted), problem, 12)
    assert problem.feasible(np.array(found, np.int16)).all()
    assert len(set(found)) == 12
    random = space.sample(np.random.default_rng(0), 100)
    random = random[problem.feasible(random)]
    assert (np.array(found[0]) == largest[0]).mean() > (random == largest[0]).mean(axis=1).mean()
    # Within the budget, the most probable network is the first.
    cheapest = problem.cheapest[None] if problem.cheapest is not None else largest
    first = PolicySamples(problem, 0, probabilities(space, cheapest)).suggest(1)[0]
    assert first == tuple(cheapest[0].tolist())
    # What the controller ends with comes before that, if it keeps the budget.
    for chosen, kept in ((random[0], True), (largest[0], False)):
        first = PolicySamples(problem, 0, wanted, chosen).suggest(1)[0]
        assert (first == tuple(chosen.tolist())) == kept


def test_few_examples_teach_their_mean_only() -> None:
    features = np.arange(FEWEST - 1, dtype=float)[:, None]
    assert fit_ridge(features, 3 * features[:, 0]).predict(np.array([[100.0]])) == pytest.approx(4.5)
    noise = np.random.default_rng(0).normal(size=(12, 6))
    model = fit_ridge(noise, np.random.default_rng(1).normal(size=12))
    assert model.error <= np.random.default_rng(1).normal(size=12).std() * 12 / 11 + 1e-9


def test_the_ranking_says_when_it_is_worthless() -> None:
    trained = np.arange(12.0)
    baselines = {"macs": trained, "params": -trained, "depth": np.ones(12)}
    good = check_ranking(trained, baselines, trained)
    assert good.loses_to == ""
    assert good.tau == {"supernet": 1.0, "macs": 1.0, "params": -1.0}
    bad = check_ranking(np.random.default_rng(0).random(12), baselines, trained)
    assert bad.loses_to == "macs"
    assert "LOSES to macs" in bad.words("top1")
    few = check_ranking(trained[: FEW - 1], {}, trained[: FEW - 1])
    assert f"{FEW - 1} networks say little" in few.words("top1")
