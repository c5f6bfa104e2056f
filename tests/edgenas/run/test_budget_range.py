"""What a budget is worth in its space."""

from types import SimpleNamespace

import numpy as np
import pytest

from edgenas.run.budget_range import budget_ranges, describe_ranges
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.study.costs import CostModel

SPACE = SearchSpace.load("tiny_edge")
COSTS = CostModel(SPACE, "int8")


@pytest.mark.parametrize("name", ["macs", "params", "size_bytes"])
def test_no_architecture_costs_more_than_the_dearest(name: str) -> None:
    architecture, most = COSTS.dearest(name)
    assert COSTS.architecture(architecture)[name] == most
    assert COSTS.population(SPACE.sample(np.random.default_rng(0), 5000), [name])[name].max() <= most


@pytest.mark.parametrize(("limit", "binds"), [(100_000.0, True), (1e9, False)])
def test_a_budget_that_never_binds_is_told_with_the_range(limit: float, binds: bool) -> None:
    ranges = budget_ranges(SimpleNamespace(limits={"size_bytes": limit}, costs=COSTS))  # type: ignore[arg-type]
    found = ranges["size_bytes"]
    assert found.binds is binds
    assert found.least == COSTS.cheapest("size_bytes")[1] < found.most == COSTS.dearest("size_bytes")[1]
    (line,) = describe_ranges(ranges, {"size_bytes": limit})
    assert f"{found.least:.4g} to {found.most:.4g} bytes" in line
    assert ("never binds" in line) is not binds
