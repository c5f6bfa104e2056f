"""Optuna's Gaussian processes, where PyTorch is installed; how their absence is told, where it is not."""

import importlib.util

import pytest

from edgenas.search import algorithm_class, create_algorithm
from edgenas.search.conformance import AlgorithmConformance, grid_problem
from edgenas.spaces.errors import InputError

INSTALLED = importlib.util.find_spec("torch") is not None


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="needs edgenas[gp]")
class TestGP(AlgorithmConformance):
    algorithm = "gp"
    trials = 14


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="needs edgenas[gp]")
class TestHypervolume(AlgorithmConformance):
    algorithm = "hypervolume"
    trials = 14


@pytest.mark.parametrize("name", ["gp", "hypervolume"])
def test_a_missing_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None if package == "torch" else object())
    assert "edgenas[gp]" in str(algorithm_class(name).missing())
    with pytest.raises(InputError, match=r"edgenas\[gp\]"):
        create_algorithm(name, grid_problem(5), 0)
