"""The conformance suite for local search, policy gradients and Optuna's samplers, and what is particular to them."""

from edgenas.search.conformance import AlgorithmConformance


class TestLocalSearch(AlgorithmConformance):
    algorithm = "local_search"


class TestReinforce(AlgorithmConformance):
    algorithm = "reinforce"


class TestPPO(AlgorithmConformance):
    algorithm = "ppo"


class TestTPE(AlgorithmConformance):
    algorithm = "tpe"


class TestNSGA2(AlgorithmConformance):
    algorithm = "nsga2"
