"""One network as a space of its own."""

import pytest

from edgenas.spaces.blocks import ClassifierHead, ConvBnAct
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, Node, chain
from edgenas.spaces.references import reference_names, reference_network
from edgenas.spaces.space.fixed import space_of

SMALL = chain("small", (28, 28, 1), {"stem": ConvBnAct(8, 3, 2), "head": ClassifierHead(10)})


@pytest.mark.parametrize("name", reference_names())
def test_a_reference_network_is_a_space_of_one(name: str):
    network = reference_network(name)
    space = space_of(network)
    decoded = space.decode(space.parse("-"))
    assert space.size == 1
    assert str(space.parse("-")) == "-"
    assert (decoded.name, decoded.inputs, decoded.outputs) == (network.name, network.inputs, network.outputs)
    assert [(node.name, node.block, node.inputs) for node in decoded.nodes] == [
        (node.name, node.block, node.inputs) for node in network.nodes
    ]


def test_it_has_the_networks_signatures():
    assert set(space_of(SMALL).signatures("int8")) == set(SMALL.signatures("int8").values())


def test_shared_weights_are_refused():
    nodes = (*SMALL.nodes[:1], Node("again", ConvBnAct(8, 3, 2), ("image",), weights="stem"))
    with pytest.raises(InputError, match="'again' shares weights"):
        space_of(Network("shared", SMALL.inputs, nodes, ("again",)))
