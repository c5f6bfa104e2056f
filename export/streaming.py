"""A causal network, taken apart in time: it takes a few frames at once, with its state as inputs and outputs.

What a whole network pads with zeros in front, what it averages over all frames, and what its recurrent layers remember
is kept between the calls. Frames that were computed once are not computed again (keyword spotting in streams: Rybakov
et al., arXiv 2005.06720). With states of zeros, the answer after :attr:`Streaming.steps` calls is that of the whole
network on as many frames.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph, OpNode
from edgenas.spaces.network import Network
from edgenas.spaces.ops import (
    Activation,
    Add,
    BatchNorm,
    Concatenate,
    Convolution,
    Dense,
    DepthwiseConvolution,
    Dropout,
    GlobalAveragePool,
    Gru,
    Lstm,
    Multiply,
    Op,
    Pad,
    Reduce,
    Reshape,
    Scale,
    Slice,
    Subtract,
    pair,
)
from edgenas.spaces.tensor import Shape

FRAMES, STATE = "frames", "state"
#: Ops that do the same to every frame.
_POINTWISE = (Activation, Add, BatchNorm, Dropout, Multiply, Scale, Subtract)


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


@dataclass(frozen=True)
class _Flow:
    """A tensor of the whole network in the one that streams.

    Attributes:
        name: of the tensor there.
        frames: of the whole network's; 0 when the time is gone.
        period: frames of the input for one of its frames.
        before: zeros in front of it, and to its left and right, that are not there yet.
    """

    name: str
    frames: int
    period: int = 1
    before: tuple[int, int, int] | None = None


@dataclass
class _Builder:
    """Walks the ops of the whole network and adds those of one call."""

    graph: OpGraph
    hop: int
    builder: GraphBuilder
    flows: dict[str, _Flow]
    states: list[tuple[str, str]] = field(default_factory=list)  # input and output
    steps: int = 0

    def keep(self, source: str, result: str) -> None:
        self.states.append((source, result))


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
            raise _refused(name, node, "mixes frames")
        return int(frames // shape[0])
    return 1


def _walked(graph: OpGraph, name: str, hop: int, shapes: Sequence[Shape]) -> _Builder:
    source, spec = graph.inputs[0]
    known = list(shapes) or [(1,)] * 3 * len(graph.nodes)
    names = (FRAMES, *(f"{STATE}{index}" for index in range(len(known))))
    if not shapes:  # a first walk: every state may have any shape, which the ops that read it are told
        builder: GraphBuilder = _Loose((hop, *spec[1:]), *known, input_names=names)
    else:
        builder = GraphBuilder((hop, *spec[1:]), *known, input_names=names)
    walk = _Builder(graph, hop, builder, {source: _Flow(FRAMES, spec[0])})
    for node in graph.nodes:
        walk.flows[node.name] = _streamed(walk, node, name)
    return walk


class _Loose(GraphBuilder):
    """A builder in which the shape of an input is said when it is first read."""

    def shape_input(self, name: str, shape: Shape) -> None:
        from edgenas.spaces.tensor import TensorSpec

        self._shapes[name] = TensorSpec(shape)


def _read_state(walk: _Builder, shape: Shape) -> str:
    """The input of a new state."""
    name = f"{STATE}{len(walk.states)}"
    if isinstance(walk.builder, _Loose):
        walk.builder.shape_input(name, shape)
    return name


def _refused(name: str, node: OpNode, why: str) -> InputError:
    return InputError(
        f"network {name!r} cannot be streamed: {node.name!r} ({type(node.op).__name__}) {why}; take causal blocks: "
        "causal: true, or recurrent ones"
    )


def _streamed(walk: _Builder, node: OpNode, name: str) -> _Flow:
    flows = [walk.flows[source] for source in node.inputs]
    first, op, add = flows[0], node.op, walk.builder.add
    if not any(flow.frames for flow in flows):  # the time is gone
        return _Flow(add(node.name, op, *(flow.name for flow in flows)), 0)
    if any(flow.before for flow in flows) and not isinstance(op, (Convolution, DepthwiseConvolution)):
        raise _refused(name, node, "reads what is padded in front")
    if isinstance(op, _POINTWISE):
        if any(flow.period != first.period for flow in flows):
            raise _refused(name, node, "reads frames of different rates")
        return dataclasses.replace(first, name=add(node.name, op, *(flow.name for flow in flows)))
    handler = _HANDLERS.get(type(op))
    if handler is None or len(flows) != 1:
        raise _refused(name, node, "looks at all frames")
    return handler(walk, node, first, name)


def _pad(walk: _Builder, node: OpNode, flow: _Flow, name: str) -> _Flow:
    op = node.op
    assert isinstance(op, Pad)
    if op.bottom:
        raise _refused(name, node, "pads behind")
    if op.top:
        return dataclasses.replace(flow, before=(op.top, op.left, op.right))
    return dataclasses.replace(flow, name=walk.builder.add(node.name, op, flow.name))


def _convolution(walk: _Builder, node: OpNode, flow: _Flow, name: str) -> _Flow:
    op, builder = node.op, walk.builder
    assert isinstance(op, (Convolution, DepthwiseConvolution))
    frames, stride = (pair(op.kernel)[0] - 1) * pair(op.dilation)[0], pair(op.stride)[0]
    top, left, right = flow.before or (0, 0, 0)
    if (op.padding == "same" and (frames or stride > 1)) or top != frames:
        raise _refused(name, node, "looks at later frames")
    source = flow.name
    count, width, channels = builder.shape(source)
    if frames:
        kept = _read_state(walk, (frames, width, channels))
        source = builder.add(f"{node.name}.all", Concatenate(0), kept, source)
        walk.keep(kept, builder.add(f"{node.name}.kept", Slice(count, frames, 0), source))
    if left or right:
        source = builder.add(f"{node.name}.sides", Pad(left=left, right=right), source)
    out = builder.add(node.name, op, source)
    return _Flow(out, walk.graph.shapes[node.name][0], flow.period * stride)


def _reshape(walk: _Builder, node: OpNode, flow: _Flow, name: str) -> _Flow:
    op = node.op
    assert isinstance(op, Reshape)
    shape = walk.graph.shapes[node.name]
    if len(shape) < 2 or shape[0] > flow.frames or flow.frames % shape[0]:
        raise _refused(name, node, "mixes frames")
    together = flow.frames // shape[0]
    count = walk.builder.shape(flow.name)[0] // together
    rest = (-1,) if -1 in op.shape[1:] and len(op.shape) == 2 else tuple(shape[1:])
    out = walk.builder.add(node.name, Reshape((count, *rest)), flow.name)
    return _Flow(out, shape[0], flow.period * together)


def _slice(walk: _Builder, node: OpNode, flow: _Flow, name: str) -> _Flow:
    op = node.op
    assert isinstance(op, Slice)
    if op.axis % len(walk.graph.input_shapes(node)[0]):
        return dataclasses.replace(flow, name=walk.builder.add(node.name, op, flow.name))
    if op.size == 1 and op.start == flow.frames - 1 and flow.period == walk.hop:
        walk.steps = flow.frames
        return _Flow(flow.name, 0)
    if op.start:
        raise _refused(name, node, "leaves out the first frames")
    return dataclasses.replace(flow, frames=op.size)


def _mean(walk: _Builder, node: OpNode, flow: _Flow, name: str) -> _Flow:
    """Over all frames: their own means are kept."""
    op, builder = node.op, walk.builder
    if isinstance(op, Reduce):
        axes = {axis % len(walk.graph.input_shapes(node)[0]) for axis in op.axes}
        if 0 not in axes:
            return dataclasses.replace(flow, name=builder.add(node.name, op, flow.name))
        if op.kind != "mean" or axes != {0}:
            raise _refused(name, node, "looks at all frames")
    if flow.period != walk.hop:
        raise _refused(name, node, "averages frames of another rate than the last")
    walk.steps, channels = flow.frames, walk.graph.shapes[node.name][-1]
    own = flow.name
    if isinstance(op, GlobalAveragePool):
        own = builder.add(f"{node.name}.own", GlobalAveragePool(), own)
        own = builder.add(f"{node.name}.row", Reshape((1, channels)), own)
    if flow.frames > 1:
        kept = _read_state(walk, (flow.frames - 1, channels))
        own = builder.add(f"{node.name}.all", Concatenate(0), kept, own)
        walk.keep(kept, builder.add(f"{node.name}.kept", Slice(1, flow.frames - 1, 0), own))
    keeps = isinstance(op, GlobalAveragePool) and op.keep_sides
    out = builder.add(f"{node.name}.mean" if keeps else node.name, Reduce("mean", (0,)), own)
    return _Flow(builder.add(node.name, Reshape((1, 1, channels)), out) if keeps else out, 0)


def _dense(walk: _Builder, node: OpNode, flow: _Flow, name: str) -> _Flow:
    return dataclasses.replace(flow, name=walk.builder.add(node.name, node.op, flow.name))


@dataclass
class _Cell:
    """One step of a recurrent layer, in ops of its own names."""

    walk: _Builder
    node: OpNode
    units: int

    def add(self, what: str, op: Op, *inputs: str) -> str:
        return self.walk.builder.add(f"{self.node.name}.{what}", op, *inputs)

    def gates(self, what: str, source: str, count: int) -> list[str]:
        return [self.add(f"{what}{place}", Slice(place * self.units, self.units), source) for place in range(count)]

    def state(self) -> str:
        return _read_state(self.walk, (self.units,))


def _recurrent(walk: _Builder, node: OpNode, flow: _Flow, name: str) -> _Flow:
    op = node.op
    assert isinstance(op, (Gru, Lstm))
    if flow.period != walk.hop:
        raise _refused(name, node, "reads frames of another rate than the last")
    cell = _Cell(walk, node, op.units)
    read = cell.add("frame", Reshape((walk.builder.shape(flow.name)[-1],)), flow.name)
    read = cell.add("inputs", Dense(op.gates * op.units), read)
    out = _gru_step(cell, read) if isinstance(op, Gru) else _lstm_step(cell, read)
    if not op.all_positions:
        walk.steps = flow.frames
        return _Flow(walk.builder.add(node.name, Reshape((op.units,)), out), 0)
    return dataclasses.replace(flow, name=walk.builder.add(node.name, Reshape((1, op.units)), out))


def _gru_step(cell: _Cell, read: str) -> str:
    state = cell.state()
    held = cell.gates("held", cell.add("state", Dense(3 * cell.units), state), 3)
    own = cell.gates("read", read, 3)
    update, reset = (
        cell.add(f"gate{place}", Activation("sigmoid"), cell.add(f"sum{place}", Add(), own[place], held[place]))
        for place in range(2)
    )
    remembered = cell.add("remembered", Multiply(), reset, held[2])
    new = cell.add("new", Activation("tanh"), cell.add("sum2", Add(), own[2], remembered))
    moved = cell.add("moved", Multiply(), update, cell.add("change", Subtract(), state, new))
    out = cell.add("next", Add(), new, moved)
    cell.walk.keep(state, out)
    return out


def _lstm_step(cell: _Cell, read: str) -> str:
    state = cell.state()
    total = cell.add("total", Add(), read, cell.add("state", Dense(4 * cell.units, use_bias=False), state))
    kept, forgotten, new, shown = cell.gates("gate", total, 4)
    kept, forgotten, shown = (
        cell.add(f"{what}_gate", Activation("sigmoid"), source)
        for what, source in (("in", kept), ("forget", forgotten), ("out", shown))
    )
    new = cell.add("new", Activation("tanh"), new)
    # The second state is read after the first is kept, so that each has a number of its own.
    place = len(cell.walk.states)
    cell.walk.keep(state, "")
    memory = cell.state()
    added = cell.add(
        "memory", Add(), cell.add("old", Multiply(), forgotten, memory), cell.add("added", Multiply(), kept, new)
    )
    cell.walk.keep(memory, added)
    out = cell.add("out", Multiply(), shown, cell.add("squashed", Activation("tanh"), added))
    cell.walk.states[place] = (state, out)
    return out


_HANDLERS: Mapping[type[Op], Callable[[_Builder, OpNode, _Flow, str], _Flow]] = {
    Convolution: _convolution,
    Dense: _dense,
    DepthwiseConvolution: _convolution,
    GlobalAveragePool: _mean,
    Gru: _recurrent,
    Lstm: _recurrent,
    Pad: _pad,
    Reduce: _mean,
    Reshape: _reshape,
    Slice: _slice,
}


def streaming_keras(network: Network, model: Any) -> Any:
    """The Keras model of :func:`streaming` with the weights of the whole network's ``model``. Raises as that."""
    from edgenas.export.keras.builder import build_graph

    found = streaming(network)
    weights: dict[str, list[np.ndarray]] = {}
    for node in network.learned.graph.nodes:
        own = (
            model.get_layer(node.name).get_weights()
            if node.op.params(*network.learned.graph.input_shapes(node))
            else []
        )
        if isinstance(node.op, Gru):
            held, kernel, recurrent, bias = own
            weights |= {f"{node.name}.inputs": [kernel, bias], f"{node.name}.state": [recurrent, held]}
        elif isinstance(node.op, Lstm):
            kernel, recurrent, bias = own
            weights |= {f"{node.name}.inputs": [kernel, bias], f"{node.name}.state": [recurrent]}
        elif own:
            weights[node.name] = own
    return build_graph(found.graph, f"{network.name}_streaming", weights=weights)


def streaming_file(network: Network, model: Any) -> bytes:
    """A float32 ``.tflite`` file of :func:`streaming`, with the weights of the whole network's ``model``.

    Its inputs and outputs are in the order of the graph's. Raises as :func:`streaming`.
    """
    from edgenas.export.quantization import convert
    from edgenas.export.tflite.model_rewriting import rewrite

    names = [name for name, _ in streaming(network).graph.inputs]
    return rewrite(
        convert(streaming_keras(network, model), quantization="float32"), lambda file: _order_inputs(file, names)
    )


def _order_inputs(file: Any, names: Sequence[str]) -> None:
    """The inputs of the only graph in the order of these names, which the signature has."""
    (signature,) = file.signatureDefs
    tensors = {bytes(entry.name).decode(): int(entry.tensorIndex) for entry in signature.inputs}
    file.subgraphs[0].inputs = np.array([tensors[name] for name in names], np.int32)
