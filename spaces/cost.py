"""Memory of a deployed network: weights, and the most activation memory that is alive at once.

Deployed means batch norms folded into the convolution before them, activations done in place, dropout gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from edgenas.spaces.graph import OpGraph, OpNode
from edgenas.spaces.network import Network
from edgenas.spaces.tensor import check_precision


def peak_activation_bytes(network: Network, precision: str = "int8") -> int:
    """The most bytes of activations alive at once when ops run in the network's order, for one example.

    While an op runs, its inputs, its output and every tensor that a later op still needs are alive. Buffers of the
    runtime (im2col, padding) are not counted; a runtime that reorders or overlaps tensors may need less.
    """
    return graph_peak_bytes(network.graph, precision)


def graph_peak_bytes(graph: OpGraph, precision: str, kept: Collection[str] = ()) -> int:
    """The same of any graph. ``kept`` names inputs that somebody else still needs when the graph has run."""
    check_precision(precision)
    root, order = _in_place_roots(graph, kept)
    last_use = {root[source]: step for step, node in enumerate(order) for source in node.inputs}
    last_use |= {root[name]: len(order) for name in (*graph.outputs, *kept)}
    sizes: dict[str, int] = {}
    for name, source in root.items():
        sizes[source] = max(sizes.get(source, 0), graph.shapes[name].bytes(precision))
    alive = {name for name, _ in graph.inputs}
    peak = sum(sizes[name] for name in alive)
    for step, node in enumerate(order):
        alive.add(node.name)
        peak = max(peak, sum(sizes[tensor] for tensor in alive))
        alive = {tensor for tensor in alive if last_use.get(tensor, step) > step}
    return peak


def weight_bytes(network: Network, precision: str) -> int:
    """Bytes of weights and biases as deployed: one bias per filter of every convolution and dense layer."""
    return graph_weight_bytes(network.graph, precision)


def graph_weight_bytes(graph: OpGraph, precision: str) -> int:
    """The same of any graph, such as a block's."""
    check_precision(precision)
    return sum(
        node.op.weight_bytes(precision, *graph.input_shapes(node)) for node in graph.nodes if node.weights is None
    )


def _in_place_roots(graph: OpGraph, kept: Collection[str]) -> tuple[dict[str, str], list[OpNode]]:
    """The tensor that holds each name's values, and the ops that make a new tensor, in order.

    An op that works in place makes a new tensor after all where somebody else reads its input too.
    """
    reads = Counter([*(source for node in graph.nodes for source in node.inputs), *graph.outputs, *kept])
    root = {name: name for name, _ in graph.inputs}
    order = []
    for node in graph.nodes:
        source = node.inputs[0]
        gone = node.op.does_nothing(*graph.input_shapes(node))
        if gone or (node.op.traits.in_place and reads[source] == 1):
            root[node.name] = root[source]
        else:
            root[node.name] = node.name
            order.append(node)
    return root, order
