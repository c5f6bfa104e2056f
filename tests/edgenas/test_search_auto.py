"""The default algorithm."""

from edgenas.search.conformance import AlgorithmConformance


class TestAuto(AlgorithmConformance):
    algorithm = "auto"
