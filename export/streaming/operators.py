"""What each op becomes in a network that streams, and which it keeps a state for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from edgenas.export.streaming.recurrent import recurrent
from edgenas.export.streaming.walk import Flow, Walk, read_state, refused
from edgenas.spaces.graph import OpNode
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

#: Ops that do the same to every frame.
_POINTWISE = (Activation, Add, BatchNorm, Dropout, Multiply, Scale, Subtract)


def streamed(walk: Walk, node: OpNode, name: str) -> Flow:
    """Adds what a node becomes. Raises InputError when it looks at later frames; ``name`` is the whole network's."""
    flows = [walk.flows[source] for source in node.inputs]
    first, op, add = flows[0], node.op, walk.builder.add
    if not any(flow.frames for flow in flows):  # the time is gone
        return Flow(add(node.name, op, *(flow.name for flow in flows)), 0)
    if any(flow.before for flow in flows) and not isinstance(op, (Convolution, DepthwiseConvolution)):
        raise refused(name, node, "reads what is padded in front")
    if isinstance(op, _POINTWISE):
        if any(flow.period != first.period for flow in flows):
            raise refused(name, node, "reads frames of different rates")
        return dataclasses.replace(first, name=add(node.name, op, *(flow.name for flow in flows)))
    handler = _OPERATORS.get(type(op))
    if handler is None or len(flows) != 1:
        raise refused(name, node, "looks at all frames")
    return handler(walk, node, first, name)


def _pad(walk: Walk, node: OpNode, flow: Flow, name: str) -> Flow:
    op = node.op
    assert isinstance(op, Pad)
    if op.bottom:
        raise refused(name, node, "pads behind")
    if op.top:
        return dataclasses.replace(flow, before=(op.top, op.left, op.right))
    return dataclasses.replace(flow, name=walk.builder.add(node.name, op, flow.name))


def _convolution(walk: Walk, node: OpNode, flow: Flow, name: str) -> Flow:
    op, builder = node.op, walk.builder
    assert isinstance(op, (Convolution, DepthwiseConvolution))
    frames, stride = (pair(op.kernel)[0] - 1) * pair(op.dilation)[0], pair(op.stride)[0]
    top, left, right = flow.before or (0, 0, 0)
    if (op.padding == "same" and (frames or stride > 1)) or top != frames:
        raise refused(name, node, "looks at later frames")
    source = flow.name
    count, width, channels = builder.shape(source)
    if frames:
        kept = read_state(walk, (frames, width, channels))
        source = builder.add(f"{node.name}.all", Concatenate(0), kept, source)
        walk.keep(kept, builder.add(f"{node.name}.kept", Slice(count, frames, 0), source))
    if left or right:
        source = builder.add(f"{node.name}.sides", Pad(left=left, right=right), source)
    out = builder.add(node.name, op, source)
    return Flow(out, walk.graph.shapes[node.name][0], flow.period * stride)


def _reshape(walk: Walk, node: OpNode, flow: Flow, name: str) -> Flow:
    op = node.op
    assert isinstance(op, Reshape)
    shape = walk.graph.shapes[node.name]
    if len(shape) < 2 or shape[0] > flow.frames or flow.frames % shape[0]:
        raise refused(name, node, "mixes frames")
    together = flow.frames // shape[0]
    count = walk.builder.shape(flow.name)[0] // together
    rest = (-1,) if -1 in op.shape[1:] and len(op.shape) == 2 else tuple(shape[1:])
    out = walk.builder.add(node.name, Reshape((count, *rest)), flow.name)
    return Flow(out, shape[0], flow.period * together)


def _slice(walk: Walk, node: OpNode, flow: Flow, name: str) -> Flow:
    op = node.op
    assert isinstance(op, Slice)
    if op.axis % len(walk.graph.input_shapes(node)[0]):
        return dataclasses.replace(flow, name=walk.builder.add(node.name, op, flow.name))
    if op.size == 1 and op.start == flow.frames - 1 and flow.period == walk.hop:
        walk.steps = flow.frames
        return Flow(flow.name, 0)
    if op.start:
        raise refused(name, node, "leaves out the first frames")
    return dataclasses.replace(flow, frames=op.size)


def _mean(walk: Walk, node: OpNode, flow: Flow, name: str) -> Flow:
    """Over all frames: their own means are kept."""
    op, builder = node.op, walk.builder
    if isinstance(op, Reduce):
        axes = {axis % len(walk.graph.input_shapes(node)[0]) for axis in op.axes}
        if 0 not in axes:
            return dataclasses.replace(flow, name=builder.add(node.name, op, flow.name))
        if op.kind != "mean" or axes != {0}:
            raise refused(name, node, "looks at all frames")
    if flow.period != walk.hop:
        raise refused(name, node, "averages frames of another rate than the last")
    walk.steps, channels = flow.frames, walk.graph.shapes[node.name][-1]
    own = flow.name
    if isinstance(op, GlobalAveragePool):
        own = builder.add(f"{node.name}.own", GlobalAveragePool(), own)
        own = builder.add(f"{node.name}.row", Reshape((1, channels)), own)
    if flow.frames > 1:
        kept = read_state(walk, (flow.frames - 1, channels))
        own = builder.add(f"{node.name}.all", Concatenate(0), kept, own)
        walk.keep(kept, builder.add(f"{node.name}.kept", Slice(1, flow.frames - 1, 0), own))
    keeps = isinstance(op, GlobalAveragePool) and op.keep_sides
    out = builder.add(f"{node.name}.mean" if keeps else node.name, Reduce("mean", (0,)), own)
    return Flow(builder.add(node.name, Reshape((1, 1, channels)), out) if keeps else out, 0)


def _dense(walk: Walk, node: OpNode, flow: Flow, name: str) -> Flow:
    return dataclasses.replace(flow, name=walk.builder.add(node.name, node.op, flow.name))


_OPERATORS: Mapping[type[Op], Callable[[Walk, OpNode, Flow, str], Flow]] = {
    Convolution: _convolution,
    Dense: _dense,
    DepthwiseConvolution: _convolution,
    GlobalAveragePool: _mean,
    Gru: recurrent,
    Lstm: recurrent,
    Pad: _pad,
    Reduce: _mean,
    Reshape: _reshape,
    Slice: _slice,
}
