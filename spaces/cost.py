"""Memory of a deployed network: weights, and the most activation memory that is alive at once.

Deployed means batch norms folded into the convolution before them, activations done in place, dropout gone.
"""

from __future__ import annotations

import math

from edgenas.spaces.block import PRECISIONS
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import OpGraph, OpNode
from edgenas.spaces.network import Network
from edgenas.spaces.ops import Activation, BatchNorm, DepthwiseConvolution, Dropout

#: Depthwise convolutions of more taps have no kernel of their own in common runtimes.
MOST_TAPS = 25
#: Bytes of an activation or weight, and of a bias, by precision. Biases of int8 models have 32 bits.
_ELEMENT_BYTES = {"float32": 4, "float16": 2, "int8": 1}
_BIAS_BYTES = {"float32": 4, "float16": 2, "int8": 4}
_IN_PLACE = (BatchNorm, Activation, Dropout)


def peak_activation_bytes(network: Network, precision: str = "int8") -> int:
    """The most bytes of activations alive at once when ops run in the network's order, for one example.

    While an op runs, its inputs, its output and every tensor that a later op still needs are alive. Buffers of the
    runtime (im2col, padding) are not counted; a runtime that reorders or overlaps tensors may need less.
    """
    _check(precision)
    graph = network.graph
    root, order = _in_place_roots(graph)
    last_use = {root[source]: step for step, node in enumerate(order) for source in node.inputs}
    last_use |= {root[name]: len(order) for name in graph.outputs}
    sizes = {name: math.prod(graph.shapes[name]) for name in {*root.values()}}
    alive = {name for name, _ in graph.inputs}
    peak = sum(sizes[name] for name in alive)
    for step, node in enumerate(order):
        alive.add(node.name)
        peak = max(peak, sum(sizes[tensor] for tensor in alive))
        alive = {tensor for tensor in alive if last_use.get(tensor, step) > step}
    return peak * _ELEMENT_BYTES[precision]


def weight_bytes(network: Network, precision: str) -> int:
    """Bytes of weights and biases as deployed: one bias per filter of every convolution and dense layer."""
    return graph_weight_bytes(network.graph, precision)


def graph_weight_bytes(graph: OpGraph, precision: str) -> int:
    """The same of any graph, such as a block's."""
    _check(precision)
    total = 0
    for node in graph.nodes:
        shapes = graph.input_shapes(node)
        weights = node.op.weights(*shapes)
        if weights:
            filters = node.op.output_shape(*shapes)[-1]
            total += weights * _ELEMENT_BYTES[precision] + filters * _BIAS_BYTES[precision]
    return total


def wide_depthwise_bytes(graph: OpGraph, precision: str) -> int:
    """Bytes of the weights of depthwise convolutions with more than 25 taps, those of 7 x 7, say.

    Runtimes have no kernel of their own for so many taps (XNNPACK's end at 25) and treat them as group convolutions of
    one channel each, whose weights are padded to many times their size.
    """
    _check(precision)
    return sum(
        node.op.weights(*graph.input_shapes(node)) * _ELEMENT_BYTES[precision]
        for node in graph.nodes
        if isinstance(node.op, DepthwiseConvolution) and node.op.kernel**2 > MOST_TAPS
    )


def _check(precision: str) -> None:
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision {precision!r}: expected one of {', '.join(PRECISIONS)}")


def _in_place_roots(graph: OpGraph) -> tuple[dict[str, str], list[OpNode]]:
    """The tensor that holds each name's values, and the ops that make a new tensor, in order."""
    root = {name: name for name, _ in graph.inputs}
    order = []
    for node in graph.nodes:
        if isinstance(node.op, _IN_PLACE):
            root[node.name] = root[node.inputs[0]]
        else:
            root[node.name] = node.name
            order.append(node)
    return root, order
