"""Which operators of a running network are which block's."""

from edgenas.latency.profile.operator_counts import running_graphs, runs_in_order
from edgenas.spaces.blocks import ConvBnAct, ReluConv, Sum
from edgenas.spaces.network import Network, Node
from edgenas.spaces.tensor import TensorSpec

IMAGE = (("image", TensorSpec((8, 8, 8))),)
LINEAR = ConvBnAct(8, 3, 1, "linear")


def test_blocks_side_by_side_may_run_in_any_order() -> None:
    chain = (Node("a", LINEAR, ("image",)), Node("b", ReluConv(), ("a",)), Node("end", Sum(), ("a", "b")))
    beside = (*chain[:2], Node("c", ReluConv(1), ("a",)), Node("end", Sum(), ("b", "c")))
    assert runs_in_order(Network("chain", IMAGE, chain, ("end",)))
    assert not runs_in_order(Network("beside", IMAGE, beside, ("end",)))


def test_a_relu_that_is_taken_along_belongs_to_the_operator_that_takes_it() -> None:
    nodes = (Node("a", LINEAR, ("image",)), Node("b", ReluConv(), ("a",)), Node("c", ReluConv(1), ("b",)))
    graphs = running_graphs(Network("chain", IMAGE, nodes, ("c",)))
    ops = {name: [type(node.op).__name__ for node in graph.nodes] for name, graph in graphs.items()}
    assert ops["a"] == ["Convolution", "BatchNorm", "Activation"]
    assert ops["b"] == ["Convolution", "BatchNorm", "Activation"]
    assert ops["c"] == ["Convolution", "BatchNorm"]
