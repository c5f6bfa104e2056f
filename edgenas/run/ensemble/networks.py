"""Towers side by side in one network: the same inputs for all, and the weighted sum of their outputs.

A tower's weight is multiplied into its last dense layer, so it costs nothing when the network runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgenas.spaces.blocks import Sum
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, Node
from edgenas.spaces.ops import Dense

OUTPUT = "ensemble"


def side_by_side(name: str, towers: Sequence[Network]) -> Network:
    """One network of towers that take the same inputs and give one output each; nodes are ``t0_NAME``, ``t1_NAME``...

    Raises InputError when they take or give something else.
    """
    first = towers[0]
    for tower in towers:
        if tower.inputs != first.inputs:
            raise InputError(f"{tower.name!r} takes other inputs than {first.name!r}: they make no ensemble")
        if len(tower.outputs) != 1 or tower.graph.output_shapes != first.graph.output_shapes:
            raise InputError(f"{tower.name!r} has other outputs than {first.name!r}: they make no ensemble")
    given = {source for source, _ in first.inputs}
    nodes: list[Node] = []
    for place, tower in enumerate(towers):

        def named(source: str, place: int = place) -> str:
            return source if source in given else f"t{place}_{source}"

        nodes += [
            Node(
                named(node.name),
                node.block,
                tuple(named(source) for source in node.inputs),
                None if node.weights is None else named(node.weights),
            )
            for node in tower.nodes
        ]
    ends = tuple(f"t{place}_{tower.outputs[0]}" for place, tower in enumerate(towers))
    return Network(name, first.inputs, (*nodes, Node(OUTPUT, Sum(), ends)), (OUTPUT,))


def weights_side_by_side(
    towers: Sequence[Network], weights: Sequence[Mapping[str, np.ndarray]], shares: Sequence[float]
) -> dict[str, np.ndarray]:
    """Arrays of the ensemble's variables by name, of those of its towers; raises InputError as :func:`last_dense`."""
    found: dict[str, np.ndarray] = {}
    for place, (tower, arrays, share) in enumerate(zip(towers, weights, shares, strict=True)):
        last = last_dense(tower)
        for name, values in arrays.items():
            scaled = share * values if name.rpartition("/")[0] == last else values
            found[f"t{place}_{name}"] = np.asarray(scaled, np.float32)
    return found


def last_dense(network: Network) -> str:
    """Name of the dense op that a network ends in. Raises InputError when it ends in something else."""
    graph = network.graph
    end = next((node for node in graph.nodes if node.name == graph.outputs[0]), None)
    if len(graph.outputs) != 1 or end is None or not isinstance(end.op, Dense):
        raise InputError(f"{network.name!r} does not end in one dense layer, whose outputs an ensemble could add up")
    return end.name
