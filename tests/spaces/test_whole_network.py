"""Whole networks as blocks: a space whose choice is a network of a list."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from edgenas.spaces import SearchSpace
from edgenas.spaces.blocks import WholeNetwork, register_network, whole_network
from edgenas.spaces.conformance import BlockConformance
from edgenas.spaces.errors import InputError
from edgenas.spaces.references import reference_network

SPACE = """
name: whole
task: classification
input_shape: [32, 32, 3]
classes: 7
nodes:
  - {name: whole, block: network, of: [mobilenet_v2_0.35, mobilenet_v3_small, mine], inputs: image}
"""


class TestWholeNetwork(BlockConformance):
    blocks = ((WholeNetwork("mobilenet_v2_0.35", 10), ((32, 32, 3),)), (WholeNetwork("ds_cnn_s", 4), ((49, 10, 1),)))
    bad_options = ({"of": "mobilenet_v9"}, {"of": 3}, {"classes": 0}, {"of": "spaghetti_s"})


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_network, "_REGISTERED", {})


@pytest.fixture
def space(tmp_path: Path) -> SearchSpace:
    own = SearchSpace.load("tiny_edge")
    network = own.decode(own.sample(np.random.default_rng(0), 1)[0])
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(network.to_dict()))
    register_network("mine", tmp_path / "mine.yaml")
    (tmp_path / "space.yaml").write_text(SPACE)
    return SearchSpace.load(tmp_path / "space.yaml")


def test_a_list_of_networks_is_a_space(space: SearchSpace) -> None:
    assert space.size == 3
    population = space.to_population([space.parse(str(number)) for number in range(3)])
    macs = space.population_cost(population, space.cost_arrays(lambda entry: float(entry.graph.macs)))
    for number, name in enumerate(("mobilenet_v2_0.35", "mobilenet_v3_small")):
        network, alone = space.decode(population[number]), reference_network(name, (32, 32, 3), 7)
        assert (network.macs, network.params) == (alone.macs, alone.params) == (macs[number], network.params)
        assert network.graph.output_shapes == ((7,),)
        assert [node.op for node in network.graph.nodes] == [node.op for node in alone.graph.nodes]
    assert space.decode(population[2]).graph.output_shapes == ((7,),), "the space's classes, not those of the file"


def test_the_graph_computes_what_the_network_does(space: SearchSpace) -> None:
    from edgenas.export.keras.builder import build_keras

    ours = build_keras(space.decode(space.parse("0")))
    alone = build_keras(reference_network("mobilenet_v2_0.35", (32, 32, 3), 7))
    alone.set_weights(ours.get_weights())
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(ours(images), alone(images), atol=1e-6)


def test_networks_of_one_name_have_keys_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = set()
    for name in ("mobilenet_v2_0.35", "mobilenet_v3_small"):
        monkeypatch.setattr(whole_network, "_REGISTERED", {})
        register_network("mine", reference_network(name))
        keys.add(WholeNetwork("mine", 10).describe())
    assert len(keys) == 2
    assert all(key.startswith("network(of=mine classes=10 digest=") for key in keys)
    with pytest.raises(InputError, match="network 'mine' is already known"):
        register_network("mine", reference_network("mobilenet_v2_0.35"))
    with pytest.raises(InputError, match=r"'mobilenet_v2_1\.0' is already known"):
        register_network("mobilenet_v2_1.0", reference_network("mobilenet_v2_0.35"))
    with pytest.raises(InputError, match="has 1 inputs and 2 outputs"):
        register_network("detector", reference_network("ssdlite_mobilenet_v2"))
