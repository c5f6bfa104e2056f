"""Trained weights of sums taken as constants: products and additions, each with a tensor of its own.

Quantization-aware training rounds every tensor that the integer file will hold. A weighted sum is one layer to Keras
and several operators to the file, so it is taken apart first; its weights are no longer trained then.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgenas.export.keras.folding import Weights
from edgenas.spaces.graph import OpGraph, OpNode
from edgenas.spaces.ops import Add, Scale, WeightedSum

_EPSILON = 1e-4


def fix_weighted_sums(graph: OpGraph, weights: Mapping[str, list[np.ndarray]]) -> tuple[OpGraph, Weights]:
    """The graph with every weighted sum as constant factors and additions, and the weights without theirs.

    An input whose weight has become 0 is left out.
    """
    nodes: list[OpNode] = []
    for node in graph.nodes:
        nodes += _parts(node, weights) if isinstance(node.op, WeightedSum) else [node]
    sums = {node.name for node in graph.nodes if isinstance(node.op, WeightedSum)}
    return OpGraph(graph.inputs, tuple(nodes), graph.outputs), {k: v for k, v in weights.items() if k not in sums}


def _parts(node: OpNode, weights: Mapping[str, list[np.ndarray]]) -> list[OpNode]:
    positive = np.maximum(weights[node.weights or node.name][0], 0)
    shares = positive / (positive.sum() + _EPSILON)
    read = [(source, float(share)) for source, share in zip(node.inputs, shares, strict=True) if share > 0]
    read = read or [(node.inputs[0], 0.0)]
    if len(read) == 1:
        return [OpNode(node.name, Scale(read[0][1]), (read[0][0],))]
    parts = [
        OpNode(f"{node.name}_share{number}", Scale(share), (source,)) for number, (source, share) in enumerate(read)
    ]
    total = parts[0].name
    adds = []
    for number, part in enumerate(parts[1:], start=1):
        name = node.name if number == len(parts) - 1 else f"{node.name}_add{number}"
        adds.append(OpNode(name, Add(), (total, part.name)))
        total = name
    return [*parts, *adds]
