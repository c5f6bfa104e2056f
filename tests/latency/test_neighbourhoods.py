"""Networks to see blocks inside of: each block often enough, no network twice, shapes that fit."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latency.neighbourhoods import chains_through, networks_around
from spaces.space import SearchSpace

SPACE = SearchSpace.load("mobilenet_v2", input_shape=(32, 32, 3))
BLOCKS = SPACE.signatures("int8")


def test_each_block_is_in_two_networks() -> None:
    networks = networks_around(SPACE, BLOCKS, "int8", times=2, seed=0)
    held = Counter(name for network in networks for name in set(network.signatures("int8").values()))
    assert set(held) == set(BLOCKS)
    assert min(held.values()) >= 2
    assert len({tuple(network.signatures("int8").values()) for network in networks}) == len(networks)
    assert len(networks) < len(BLOCKS) / 2
    assert networks == networks_around(SPACE, sorted(BLOCKS), "int8", times=2, seed=0)


def test_few_blocks_need_few_networks() -> None:
    wanted = sorted(BLOCKS)[::100]
    networks = networks_around(SPACE, wanted, "int8", times=1, seed=0)
    assert 1 <= len(networks) <= len(wanted)
    assert set(wanted) <= {name for network in networks for name in network.signatures("int8").values()}
    assert networks_around(SPACE, [], "int8", times=1, seed=0) == []


def test_a_space_without_so_many_networks_gives_those_it_has(space: SearchSpace) -> None:
    networks = networks_around(space, space.signatures("int8"), "int8", times=10**6, seed=0)
    assert len(networks) == space.size


@given(seed=st.integers(0, 2**32 - 1))
def test_chains_hold_what_is_asked_and_fit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wanted = [str(name) for name in rng.choice(sorted(BLOCKS), 5, replace=False)]
    networks = chains_through(BLOCKS, wanted, rng)
    assert 1 <= len(networks) <= len(wanted)
    held = [list(network.signatures("int8").values()) for network in networks]  # lowers it: shapes fit
    assert set(wanted) <= {name for names in held for name in names}
    assert all(len(set(names)) == len(names) for names in held)
    assert all(dict(network.inputs)["image"] == SPACE.input_shape for network in networks)
    assert {names[-1].partition("(")[0] for names in held} <= {"classifier"}


def test_chains_of_blocks_that_fit_no_other_are_of_one() -> None:
    name = sorted(BLOCKS)[0]
    (network,) = chains_through({name: BLOCKS[name]}, [name], np.random.default_rng(0))
    assert list(network.signatures("int8").values()) == [name]
    assert chains_through({}, [name], np.random.default_rng(0)) == []


@pytest.mark.parametrize("seed", [0, 1])
def test_chains_end(seed: int) -> None:
    networks = chains_through(BLOCKS, sorted(BLOCKS)[::50], np.random.default_rng(seed))
    assert max(len(network.nodes) for network in networks) <= 41
