"""Fixtures shared by the tests of search spaces."""

import pytest

from edgenas.spaces import SearchSpace


@pytest.fixture(scope="session")
def tiny() -> SearchSpace:
    return SearchSpace.load("tiny_edge")


@pytest.fixture(scope="session")
def edgetpu() -> SearchSpace:
    return SearchSpace.load("mobilenet_edgetpu_v2")
