"""The graph of a network that takes a few frames at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgenas.export.streaming.operators import streamed
from edgenas.export.streaming.walk import FRAMES, STATE, Flow, Loose, Walk, refused
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph, OpNode
from edgenas.spaces.network import Network
from edgenas.spaces.ops import (
    Convolution,
    DepthwiseConvolution,
    Reshape,
    pair,
)
from edgenas.spaces.tensor import Shape


@dataclass(frozen=True)
class Streaming:
    """A network that takes ``hop`` frames at a time.

    Attributes:
        graph: its inputs are ``frames`` and the states, its outputs the answer and the states in the same order.
        hop: frames of a call.
        steps: calls after which it has seen what the whole network sees.
        states: shape of each state.
    """

    graph: OpGraph
    hop: int
    steps: int
    states: tuple[Shape, ...]


def is_causal(network: Network) -> bool:
    """Whether a network can be streamed."""
    try:
        streaming(network)
    except InputError:
        return False
    return True


def streaming(network: Network) -> Streaming:
    """The network for a few frames at a time.

    Raises InputError, naming the node, when one looks at later frames, or the network is none of frames.
    """
    graph = network.learned.graph
    if len(graph.inputs) != 1 or len(graph.inputs[0][1]) < 2 or len(graph.outputs) != 1:
        raise InputError(f"network {network.name!r} cannot be streamed: it needs one input of frames and one output")
    hop = _hop(graph, network.name)
    shapes: list[Shape] = []
    # States are inputs of the graph: how many there are, and of which shapes, is known after a first walk.
    for _ in range(2):
        walk = _walked(graph, network.name, hop, shapes)
        shapes = [walk.builder.shape(made) for _, made in walk.states]
    if walk.flows[graph.outputs[0]].frames or not walk.steps:
        raise InputError(f"network {network.name!r} cannot be streamed: it has no answer for all frames together")
    outputs = (walk.flows[graph.outputs[0]].name, *(made for _, made in walk.states))
    return Streaming(walk.builder.build(*outputs), hop, walk.steps, tuple(tuple(shape) for shape in shapes))


def _hop(graph: OpGraph, name: str) -> int:
    """Frames of the input that make one of the last frames: the product of all strides."""
    periods = {graph.inputs[0][0]: 1}
    for node in graph.nodes:
        before = max(periods[source] for source in node.inputs)
        periods[node.name] = before * _shortened(graph, node, name)
    return max(periods.values())


def _shortened(graph: OpGraph, node: OpNode, name: str) -> int:
    op = node.op
    if isinstance(op, (Convolution, DepthwiseConvolution)):
        return pair(op.stride)[0]
    frames, shape = graph.input_shapes(node)[0][0], graph.shapes[node.name]
    if isinstance(op, Reshape) and len(shape) > 1 and shape[0] > 1 and shape[0] < frames:
        if frames % shape[0]:
            raise refused(name, node, "mixes frames")
        return int(frames // shape[0])
    return 1


def _walked(graph: OpGraph, name: str, hop: int, shapes: Sequence[Shape]) -> Walk:
    source, spec = graph.inputs[0]
    known = list(shapes) or [(1,)] * 3 * len(graph.nodes)
    names = (FRAMES, *(f"{STATE}{index}" for index in range(len(known))))
    if not shapes:  # a first walk: every state may have any shape, which the ops that read it are told
        builder: GraphBuilder = Loose((hop, *spec[1:]), *known, input_names=names)
    else:
        builder = GraphBuilder((hop, *spec[1:]), *known, input_names=names)
    walk = Walk(graph, hop, builder, {source: Flow(FRAMES, spec[0])})
    for node in graph.nodes:
        walk.flows[node.name] = streamed(walk, node, name)
    return walk
