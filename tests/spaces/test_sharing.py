"""What others run of a block, by its place in a network."""

from edgenas.spaces.blocks import ConvBnAct, NormAct, Pooling, ReluConv, Sum, Zeros
from edgenas.spaces.network import Network, Node
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.spaces.tensor import TensorSpec

LINEAR = ConvBnAct(8, 3, 1, "linear")
POOL = Pooling("average", 3, 1)


def given(*lines):
    nodes = tuple(Node(name, block, tuple(inputs)) for name, block, *inputs in lines)
    network = Network("network", (("image", TensorSpec((8, 8, 8))),), nodes, (nodes[-1].name,))
    return {name: "+".join(entry.given) for name, entry in network.entries.items() if entry.given}


def test_a_relu_goes_into_the_operator_before_if_nobody_else_reads_it():
    assert given(("a", LINEAR, "image"), ("b", ReluConv(), "a")) == {"b": "main_relu"}
    assert given(("a", LINEAR, "image"), ("b", ReluConv(), "a"), ("end", Sum(), "a", "b")) == {}
    assert given(("b", ReluConv(), "image")) == {}
    assert given(("a", POOL, "image"), ("b", ReluConv(), "a")) == {"b": "main_relu"}


def test_a_relu_of_what_is_clamped_is_nothing():
    assert given(("a", ConvBnAct(8), "image"), ("b", ReluConv(), "a"), ("end", Sum(), "a", "b")) == {"b": "main_relu"}
    relu6 = ConvBnAct(8, activation="relu6")
    assert given(("a", relu6, "image"), ("b", ReluConv(), "a")) == {"b": "main_relu"}


def test_ops_that_do_the_same_are_done_once():
    twice = [("b", ReluConv(), "a"), ("c", ReluConv(1), "a")]
    all_clamped = {"b": "main_relu", "c": "main_relu"}
    assert given(("a", LINEAR, "image"), *twice, ("end", Sum(), "b", "c")) == all_clamped
    assert given(("a", LINEAR, "image"), *twice, ("end", Sum(), "a", "b", "c")) == {"c": "main_relu"}
    # Two pools of one tensor are one tensor, so what pools them again is one, too.
    pools = [("a", POOL, "image"), ("b", POOL, "image"), ("c", POOL, "a"), ("d", POOL, "b")]
    assert given(*pools, ("end", Sum(), "c", "d")) == {"b": "pool", "d": "pool"}


def test_sums_are_shared_in_any_order():
    convs = [("a", LINEAR, "image"), ("b", LINEAR, "image"), ("c", LINEAR, "image")]
    sums = [("x", Sum(), "a", "b"), ("y", Sum(), "b", "a", "c")]
    assert given(*convs, *sums, ("end", Sum(), "x", "y")) == {"y": "add1"}


def test_a_batch_norm_and_a_scale_go_into_the_kernel_before():
    assert given(("a", LINEAR, "image"), ("b", NormAct(), "a")) == {"b": "bn+act"}
    assert given(("a", LINEAR, "image"), ("b", NormAct(), "a"), ("c", NormAct(), "a"), ("end", Sum(), "b", "c")) == {}
    assert given(("a", LINEAR, "image"), ("b", Zeros(), "a"), ("end", ReluConv(), "b")) == {
        "b": "zero",
        "end": "main_relu",
    }
    assert given(("a", POOL, "image"), ("b", NormAct(), "a")) == {}


def test_what_runs_nothing_has_no_key_in_a_table():
    nodes = (Node("a", LINEAR, ("image",)), Node("b", NormAct(), ("a",)), Node("c", ReluConv(), ("a",)))
    network = Network("network", (("image", TensorSpec((8, 8, 8))),), nodes[:2], ("b",))
    assert list(network.signatures("int8")) == ["a"]
    assert network.params == sum(graph.params for graph in network.blocks_lowered.values())
    network = Network("network", (("image", TensorSpec((8, 8, 8))),), (nodes[0], nodes[2]), ("c",))
    assert network.signatures("int8")["c"] == "relu_conv()@8x8x8/int8 without main_relu"
    assert network.entries["c"].deployed.inputs == (("main_relu", (8, 8, 8)),)


def test_structure_tells_the_same_whatever_is_given():
    """What a run remembers of its space does not change with what tables tell apart."""
    space = SearchSpace.load("nas_bench_201", input_shape=(8, 8, 3))
    assert not any(entry.given for table in space.structure for entry in table.entries)
    assert any(entry.given for entry in space.entries)
    assert {entry.graph.macs for table in space.structure for entry in table.entries} == {
        entry.graph.macs for entry in space.entries
    }
