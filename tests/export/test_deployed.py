"""What folding and fusing leave of a graph."""

from __future__ import annotations

import pytest

from edgenas.export.deployed import ConstantOperand, DeployedNode, deploy
from edgenas.spaces.blocks import ClassifierHead, InvertedBottleneck
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder
from edgenas.spaces.ops import (
    Activation,
    Add,
    BatchNorm,
    Convolution,
    Dense,
    DepthwiseConvolution,
    Dropout,
    GlobalAveragePool,
    Multiply,
)


def _chain(shape, *ops):
    builder = GraphBuilder(shape)
    source = builder.inputs[0]
    for index, op in enumerate(ops):
        source = builder.add(f"n{index}", op, source)
    return deploy(builder.build(source))


def _summary(graph):
    return [(type(node.op).__name__, node.activation, node.has_bias) for node in graph.nodes]


def test_a_bottleneck_is_three_convolutions_and_an_addition():
    graph = deploy(InvertedBottleneck(filters=16, activation="relu6").lower((8, 8, 16)))
    assert _summary(graph) == [
        ("Convolution", "relu6", True),
        ("DepthwiseConvolution", "relu6", True),
        ("Convolution", "linear", True),
        ("Add", "linear", False),
    ]
    assert graph.outputs == ("add",)
    assert graph.shapes["add"] == (8, 8, 16)


def test_dropout_leaves_nothing():
    with_dropout = deploy(ClassifierHead(classes=10, hidden=32, dropout=0.5).lower((4, 4, 8)))
    without = deploy(ClassifierHead(classes=10, hidden=32).lower((4, 4, 8)))
    assert with_dropout == without
    assert _summary(_chain((8,), Dense(4), Dropout(0.1), Dropout(0.1), Activation("relu"))) == [("Dense", "relu", True)]


def test_a_graph_of_nothing_ends_at_its_input():
    graph = _chain((8,), Dropout(0.1))
    assert (graph.nodes, graph.outputs) == ((), ("input0",))


def test_a_mean_over_one_pixel_is_nothing_when_it_keeps_the_sides():
    assert _summary(_chain((1, 1, 8), GlobalAveragePool(keep_sides=True), Convolution(4)))[0][0] == "Convolution"
    assert _summary(_chain((1, 1, 8), GlobalAveragePool(), Dense(4)))[0][0] == "GlobalAveragePool"


def test_nothing_is_fused_into_an_operator_that_is_read_twice():
    builder = GraphBuilder((4, 4, 8))
    conv = builder.add("conv", Convolution(8), builder.inputs[0])
    relu = builder.add("relu", Activation("relu"), conv)
    graph = deploy(builder.build(builder.add("add", Add(), conv, relu)))
    assert _summary(graph)[:2] == [("Convolution", "linear", True), ("Activation", "linear", False)]

    builder = GraphBuilder((4, 4, 8))
    conv = builder.add("conv", Convolution(8), builder.inputs[0])
    norm = builder.add("norm", BatchNorm(), conv)
    assert [type(node.op) for node in deploy(builder.build(conv, norm)).nodes] == [
        Convolution,
        ConstantOperand,
        ConstantOperand,
    ]


def test_only_one_activation_is_fused():
    graph = _chain((4, 4, 8), Convolution(8), Activation("relu"), Activation("relu6"))
    assert _summary(graph) == [("Convolution", "relu", True), ("Activation", "linear", False)]


def test_batch_norm_without_a_convolution_is_a_product_and_a_sum():
    graph = _chain((4, 4, 8), BatchNorm(), Activation("relu"))
    assert [node.op for node in graph.nodes] == [ConstantOperand("multiply"), ConstantOperand("add")]
    assert graph.nodes[1].activation == "relu"


@pytest.mark.parametrize("op", [Convolution(8), DepthwiseConvolution(), Dense(8, use_bias=False)])
def test_batch_norm_becomes_a_bias(op):
    (node,) = _chain((8,) if isinstance(op, Dense) else (4, 4, 8), op, BatchNorm()).nodes
    assert (node.op, node.has_bias, node.activation) == (op, True, "linear")


def test_only_a_dense_op_may_lack_a_bias():
    assert not _chain((8,), Dense(8, use_bias=False)).nodes[0].has_bias
    assert _chain((4, 4, 8), Convolution(8)).nodes[0].has_bias


def test_hard_sigmoid_folds_its_shift():
    graph = _chain((1, 1, 8), Convolution(8, use_bias=True), Activation("hard_sigmoid"))
    assert graph.nodes[0] == DeployedNode(
        "n0", Convolution(8, use_bias=True), ("input0",), "relu6", has_bias=True, bias_offset=3.0
    )
    assert graph.nodes[1].op == ConstantOperand("multiply", 1 / 6)
    alone = _chain((4, 4, 8), Activation("hard_sigmoid"))
    assert [(node.op, node.activation) for node in alone.nodes] == [
        (ConstantOperand("add", 3.0), "relu6"),
        (ConstantOperand("multiply", 1 / 6), "linear"),
    ]


def test_swish_is_a_sigmoid_and_a_product():
    graph = _chain((4, 4, 8), Convolution(8), Activation("swish"))
    assert [node.op for node in graph.nodes[1:]] == [Activation("sigmoid"), Multiply()]
    assert graph.nodes[2].inputs == ("n0", "n1/sigmoid")


def test_an_unknown_constant_operand_is_refused():
    with pytest.raises(InputError, match="expected 'add' or 'multiply'"):
        ConstantOperand("divide")
