"""Costs of populations: equal to those of the decoded networks, and limits that can or cannot be kept."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.recipe.recipe import Recipe
from edgenas.spaces.cost import peak_activation_bytes
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.study.costs import CostModel
from edgenas.tasks import get_task

NAMES = ("macs", "params", "size_bytes", "peak_activation_bytes")


@pytest.fixture(scope="module")
def costs() -> CostModel:
    return CostModel(SearchSpace.load("tiny_edge"), "int8")


def test_population_costs_equal_those_of_networks(costs: CostModel) -> None:
    population = costs.space.sample(np.random.default_rng(5), 20)
    names = (*NAMES, "arena_bytes")
    found = costs.population(population, names)
    for index, row in enumerate(population):
        network = costs.space.decode(row)
        assert found["macs"][index] == network.macs
        assert found["params"][index] == network.params
        assert found["peak_activation_bytes"][index] == peak_activation_bytes(network, "int8")
        assert found["size_bytes"][index] == pytest.approx(len(write_tflite(network.graph, "int8")), abs=500)
        assert costs.architecture(costs.space.architecture(row)) == {name: found[name][index] for name in names}


@pytest.mark.parametrize("name", NAMES)
def test_the_cheapest_is_not_beaten_by_random_ones(costs: CostModel, name: str) -> None:
    architecture, cost = costs.cheapest(name)
    assert costs.architecture(architecture)[name] == cost
    random = costs.space.sample(np.random.default_rng(1), 5000)
    assert costs.population(random, [name])[name].min() >= cost


def test_a_problem_starts_within_all_its_limits(costs: CostModel) -> None:
    limits = {"macs": 700_000.0, "size_bytes": 60_000.0, "peak_activation_bytes": 30_000.0}
    problem = costs.problem(limits, trials=3)
    assert problem.cheapest is not None
    assert problem.feasible(problem.cheapest[None]).all()
    population = costs.space.sample(np.random.default_rng(0), 200)
    expected = np.all([costs.population(population, [name])[name] <= limit for name, limit in limits.items()], axis=0)
    assert (problem.feasible(population) == expected).all()


def test_impossible_limits_name_the_least(costs: CostModel) -> None:
    least = costs.cheapest("macs")[1]
    with pytest.raises(InputError, match=rf"budget\.macs: 1000 cannot be reached.*{least:.6g}"):
        costs.problem({"macs": 1000.0}, trials=3)
    assert costs.problem({"macs": least}, trials=3).cheapest is not None


def test_latency_is_what_the_predictor_says(
    make_recipe: Callable[..., Recipe], table_path: Path, tmp_path: Path
) -> None:
    make_recipe()  # writes the space
    space = SearchSpace.load(tmp_path / "space.yaml")
    predictor = Predictor(LatencyTable.load(table_path))
    costs = CostModel(space, "int8", predictor)
    row = space.sample(np.random.default_rng(0), 1)[0]
    latency = costs.architecture(space.architecture(row))["latency_ms"]
    assert latency == pytest.approx(predictor.predict(space.decode(row)).latency_ms)
    with pytest.raises(InputError, match="latency_ms"):
        CostModel(space, "int8").population(row[None], ["latency_ms"])


def test_the_file_size_knows_what_stands_behind_a_detector() -> None:
    space = SearchSpace.load("ssd_mobile", input_shape=(96, 96, 3), classes=3)
    row = space.sample(np.random.default_rng(0), 1)[0]
    network, task = space.decode(row), get_task("detection", {})
    entry = task.deployed_block(network)
    assert entry is not None
    costs = CostModel(space, "int8", behind=entry)
    whole = task.deployed(write_tflite(network.graph, "int8"), network)
    found = costs.architecture(space.architecture(row))["size_bytes"]
    assert found - CostModel(space, "int8").architecture(space.architecture(row))["size_bytes"] > 16 * 100
    assert found == pytest.approx(len(whole), abs=800)
