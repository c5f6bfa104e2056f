"""Depthwise convolutions with more taps than runtimes have kernels for."""

from __future__ import annotations

from edgenas.spaces.graph import OpGraph
from edgenas.spaces.ops import DepthwiseConvolution
from edgenas.spaces.tensor import element_bytes

#: Depthwise convolutions of more taps have no kernel of their own in common runtimes (XNNPACK's end at 25).
MOST_TAPS = 25


def wide_depthwise_bytes(graph: OpGraph, precision: str) -> int:
    """Bytes of the weights of depthwise convolutions with more than 25 taps, those of 7 x 7, say.

    Runtimes treat them as group convolutions of one channel each, whose weights are padded to many times their size.
    Raises InputError for an unknown precision.
    """
    return sum(
        node.op.weights(*graph.input_shapes(node)) * element_bytes(precision)
        for node in graph.nodes
        if isinstance(node.op, DepthwiseConvolution) and node.op.taps > MOST_TAPS
    )
