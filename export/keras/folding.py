"""Batch norms folded into the convolutions before them, in the graph of ops and in the weights.

Fine-tuning for deployment (quantization-aware, pruned, clustered) works on what is deployed: the kernel that is
rounded, zeroed or clustered is the one in the file, not one that the converter still multiplies by a batch norm.
The statistics are thereby frozen, as Krishnamoorthi (arXiv 1806.08342, section 3.2.2) recommends for the end of a
quantization-aware training.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgenas.spaces.graph import OpGraph, OpNode
from edgenas.spaces.ops import BatchNorm

#: By op name, the arrays of its layer in the order of Keras: kernel, bias; scale, shift, mean, variance.
Weights = dict[str, list[np.ndarray]]


def layer_weights(model: Any) -> Weights:
    """The weights of a Keras model by layer name, for layers that have any."""
    return {layer.name: [np.asarray(array) for array in layer.get_weights()] for layer in model.layers if layer.weights}


def fold_batch_norms(graph: OpGraph, weights: Mapping[str, list[np.ndarray]]) -> tuple[OpGraph, Weights]:
    """The graph and the weights without the batch norms that directly follow a convolution or a dense op.

    The op takes over the name that the batch norm's readers know it by: its own. A batch norm whose convolution
    somebody else reads too stays as it is. Computed in float64, so that the outputs agree to float32 rounding.
    """
    nodes = {node.name: node for node in graph.nodes}
    reads = Counter([*(source for node in graph.nodes for source in node.inputs), *graph.outputs])
    folded: Weights = {name: list(arrays) for name, arrays in weights.items()}
    renamed: dict[str, str] = {}
    kept: dict[str, OpNode] = {}
    for node in graph.nodes:
        inputs = tuple(renamed.get(source, source) for source in node.inputs)
        before = nodes.get(node.inputs[0])
        if isinstance(node.op, BatchNorm) and before and before.op.traits.has_kernel and reads[before.name] == 1:
            if node.weights is None:
                folded[before.name] = _folded(before, folded[before.name], folded.pop(node.name), node.op.epsilon)
            with_bias = dataclasses.replace(before.op, use_bias=True)  # type: ignore[call-arg]
            kept[before.name] = dataclasses.replace(kept[before.name], op=with_bias)
            renamed[node.name] = before.name
        else:
            kept[node.name] = dataclasses.replace(node, inputs=inputs)
    outputs = tuple(renamed.get(name, name) for name in graph.outputs)
    return OpGraph(graph.inputs, tuple(kept.values()), outputs), folded


def _folded(node: OpNode, arrays: list[np.ndarray], norm: list[np.ndarray], epsilon: float) -> list[np.ndarray]:
    scale, shift, mean, variance = (array.astype(np.float64) for array in norm)
    kernel = arrays[0].astype(np.float64)
    bias = arrays[1].astype(np.float64) if len(arrays) > 1 else np.zeros_like(mean)
    factor = scale / np.sqrt(variance + epsilon)
    by_channel = factor.reshape((-1,) + (1,) * (-1 - node.op.traits.kernel_axis))
    return [(kernel * by_channel).astype(np.float32), ((bias - mean) * factor + shift).astype(np.float32)]
