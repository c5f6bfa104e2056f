"""Which layers put out what a network answers: where a task sets what its answers begin with."""

from __future__ import annotations

from typing import Any

from edgenas.spaces.network import Network


def last_biases(model: Any, network: Network, output: int) -> list[Any]:
    """The bias variables of a Keras model of the network that stand last before one of its outputs.

    From the output back through what has no weights, such as reshaping and joining.
    """
    graph = network.graph
    nodes = {node.name: node for node in graph.nodes}
    names, waiting, seen = set(), [graph.outputs[output]], set()
    while waiting:
        name = waiting.pop()
        node = nodes.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if node.op.params(*graph.input_shapes(node)):
            names.add(f"{node.weights or name}/bias")
        else:
            waiting += node.inputs
    return [variable for variable in model.trainable_variables if variable.path in names]
