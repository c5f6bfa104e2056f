"""Which networks quantization-aware training can be done with: those whose every stored value it can round."""

from __future__ import annotations

from collections import Counter

from edgenas.export.expansion import is_taken_apart
from edgenas.spaces.graph import OpGraph
from edgenas.spaces.ops import WeightedSum


def not_quantize_aware(graph: OpGraph) -> str | None:
    """The first op that keeps a graph from quantization-aware training, in words; None where there is none.

    A file holds values inside such ops: the variance in a layer norm, the product in a batch norm that no kernel takes
    up. The fine-tuned network has no tensor for them, so they would stay in floating point.
    """
    nodes = {node.name: node for node in graph.nodes}
    reads = Counter([*(source for node in graph.nodes for source in node.inputs), *graph.outputs])
    for node in graph.nodes:
        if isinstance(node.op, WeightedSum):  # becomes products and additions first
            continue
        before = nodes.get(node.inputs[0])
        folds = before is not None and before.op.traits.has_kernel and reads[before.name] == 1
        if (node.op.traits.normalises and not folds) or is_taken_apart(node.op, *graph.input_shapes(node)):
            return f"{type(node.op).__name__} {node.name!r}"
    return None
