"""Networks to see blocks in: each block often enough, no network twice, shapes that fit."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.latency.profile.neighbourhoods import Neighbourhoods, chains_through
from edgenas.spaces.network import Network
from edgenas.spaces.space.search_space import SearchSpace

SPACE = SearchSpace.load("mobilenet_v2", input_shape=(32, 32, 3))
BLOCKS = SPACE.signatures("int8")
NEIGHBOURHOODS = Neighbourhoods(SPACE, "int8")


def test_each_block_is_in_two_networks() -> None:
    networks = NEIGHBOURHOODS.around(BLOCKS, 2)
    held = Counter(name for network in networks for name in set(network.signatures("int8").values()))
    assert set(held) == set(BLOCKS)
    assert min(held.values()) >= 2
    assert len({tuple(network.signatures("int8").values()) for network in networks}) == len(networks)
    assert len(networks) < len(BLOCKS) / 2
    assert networks == NEIGHBOURHOODS.around(sorted(BLOCKS), 2)


def test_few_blocks_need_few_networks() -> None:
    wanted = sorted(BLOCKS)[::100]
    networks = NEIGHBOURHOODS.around(wanted, 1)
    assert 1 <= len(networks) <= len(wanted)
    assert set(wanted) <= {name for network in networks for name in network.signatures("int8").values()}
    assert NEIGHBOURHOODS.around([], 1) == []


def test_a_space_without_so_many_networks_gives_those_it_has(space: SearchSpace) -> None:
    networks = Neighbourhoods(space, "int8").around(space.signatures("int8"), 10**6)
    assert len(networks) == space.size


def test_the_fastest_are_fast_and_different() -> None:
    latencies = {name: float(entry.graph.macs) for name, entry in BLOCKS.items()}

    def cost(network: Network) -> float:
        return sum(latencies[name] for name in network.signatures("int8").values())

    networks = NEIGHBOURHOODS.fast(latencies, 10)
    assert 5 <= len(networks) <= 10
    typical = [cost(SPACE.decode(row)) for row in SPACE.sample(np.random.default_rng(0), 100)]
    assert max(map(cost, networks)) < min(typical)
    assert networks == NEIGHBOURHOODS.fast(latencies, 10)
    few = {name: cost for name, cost in latencies.items() if "kernel=5" not in name}
    assert not any(
        "kernel=5" in name for each in NEIGHBOURHOODS.fast(few, 3) for name in each.signatures("int8").values()
    )
    assert NEIGHBOURHOODS.fast({}, 3) == []


def test_blocks_are_found_in_fast_networks() -> None:
    latencies = {name: float(entry.graph.macs) * (20 if "kernel=7" in name else 1) for name, entry in BLOCKS.items()}
    networks = NEIGHBOURHOODS.fast_around(BLOCKS, latencies, 100)
    assert len(networks) <= 100
    held = {name for network in networks for name in network.signatures("int8").values()}
    light = {name for name in BLOCKS if "kernel=7" not in name}
    assert len(held & light) > 0.6 * len(light)
    typical = np.median(
        [sum(latencies[n] for n in each.signatures("int8").values()) for each in NEIGHBOURHOODS.around(BLOCKS, 1)]
    )
    assert max(sum(latencies[n] for n in each.signatures("int8").values()) for each in networks) < typical
    assert NEIGHBOURHOODS.fast_around([], latencies, 100) == []


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
