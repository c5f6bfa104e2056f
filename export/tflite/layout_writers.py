"""How ops that join, cut, move, resize and summarise tensors are written as TFLite operators."""

from __future__ import annotations

import math

import numpy as np

from edgenas.export.deployed import DeployedNode
from edgenas.export.quantization.activation_ranges import ActivationRange, after_global_mean, normal
from edgenas.export.tflite.model_writer import ModelWriter, op_writer
from edgenas.spaces.ops import ArgMax, Concatenate, Maximum, Pad, Reduce, Reshape, Resize, Slice, Transpose


def union(ranges: list[ActivationRange]) -> ActivationRange:
    """What several tensors hold together."""
    count = len(ranges)
    return ActivationRange(
        min(values.low for values in ranges),
        max(values.high for values in ranges),
        sum(values.mean for values in ranges) / count,
        sum(values.power for values in ranges) / count,
    )


def _batched(axis: int, rank: int) -> int:
    """An axis counted with the batch."""
    return axis + 1 if axis >= 0 else rank + 1 + axis


def _version(writer: ModelWriter, name: str) -> int:
    return 2 if writer.is_int8 and writer.graph.shapes[name].is_real else 1


@op_writer(Concatenate)
def _write_concatenate(writer: ModelWriter, node: DeployedNode) -> None:
    op = node.op
    assert isinstance(op, Concatenate)
    output = writer.add_tied(node, union([writer.ranges[name] for name in node.inputs]))
    writer.add_operator(
        "CONCATENATION",
        [writer.tensor_like(name, node.name) for name in node.inputs],
        output,
        version=_version(writer, node.name),
        options="ConcatenationOptions",
        axis=op.axis + 1 if op.axis >= 0 else op.axis,
    )


@op_writer(Maximum)
def _write_maximum(writer: ModelWriter, node: DeployedNode) -> None:
    first, second = (writer.ranges[name] for name in node.inputs)
    values = union([first, second])
    output = writer.add_tied(node, ActivationRange(max(first.low, second.low), values.high, values.mean, values.power))
    inputs = [writer.tensor_like(name, node.name) for name in node.inputs]
    writer.add_operator("MAXIMUM", inputs, output, version=_version(writer, node.name), options="MaximumMinimumOptions")


@op_writer(Slice)
def _write_slice(writer: ModelWriter, node: DeployedNode) -> None:
    op, (source,) = node.op, node.inputs
    assert isinstance(op, Slice)
    rank = len(writer.graph.shapes[source])
    axis = _batched(op.axis, rank)
    ends = [np.zeros(rank + 1, np.int32) for _ in range(2)]
    ends[0][axis], ends[1][axis] = op.start, op.start + op.size
    mask = 2 ** (rank + 1) - 1 - 2**axis
    constants = [
        writer.add_constant(f"{node.name}/{what}", data)
        for what, data in (("begin", ends[0]), ("end", ends[1]), ("strides", np.ones(rank + 1, np.int32)))
    ]
    writer.add_operator(
        "STRIDED_SLICE",
        [writer.tensor(source), *constants],
        writer.add_like(node.name, source, writer.ranges[source]),
        version=_version(writer, source),
        options="StridedSliceOptions",
        beginMask=mask,
        endMask=mask,
    )


@op_writer(Pad)
def _write_pad(writer: ModelWriter, node: DeployedNode) -> None:
    op, (source,) = node.op, node.inputs
    assert isinstance(op, Pad)
    amounts = np.array([[0, 0], [op.top, op.bottom], [op.left, op.right], [0, 0]], np.int32)
    writer.add_operator(
        "PAD",
        [writer.tensor(source), writer.add_constant(f"{node.name}/paddings", amounts)],
        writer.add_like(node.name, source, writer.ranges[source]),
        version=_version(writer, source),
        options="PadOptions",
    )


@op_writer(Resize)
def _write_resize(writer: ModelWriter, node: DeployedNode) -> None:
    op, (source,) = node.op, node.inputs
    assert isinstance(op, Resize)
    nearest = op.kind != "bilinear"
    writer.add_operator(
        "RESIZE_NEAREST_NEIGHBOR" if nearest else "RESIZE_BILINEAR",
        [writer.tensor(source), writer.add_constant(f"{node.name}/size", np.array([op.height, op.width], np.int32))],
        writer.add_like(node.name, source, writer.ranges[source]),
        version=3 if op.kind != "repeat" else 2 if writer.is_int8 else 1,
        options="ResizeNearestNeighborOptions" if nearest else "ResizeBilinearOptions",
        halfPixelCenters=op.kind != "repeat",
    )


@op_writer(Reshape)
def _write_reshape(writer: ModelWriter, node: DeployedNode) -> None:
    (source,) = node.inputs
    shape = np.array([1, *writer.graph.shapes[node.name]], np.int32)
    writer.add_operator(
        "RESHAPE",
        [writer.tensor(source), writer.add_constant(f"{node.name}/shape", shape)],
        writer.add_like(node.name, source, writer.ranges[source]),
    )


@op_writer(Transpose)
def _write_transpose(writer: ModelWriter, node: DeployedNode) -> None:
    op, (source,) = node.op, node.inputs
    assert isinstance(op, Transpose)
    order = np.array([0, *(axis + 1 for axis in op.order)], np.int32)
    writer.add_operator(
        "TRANSPOSE",
        [writer.tensor(source), writer.add_constant(f"{node.name}/order", order)],
        writer.add_like(node.name, source, writer.ranges[source]),
        version=_version(writer, source),
        options="TransposeOptions",
    )


@op_writer(Reduce)
def _write_reduce(writer: ModelWriter, node: DeployedNode) -> None:
    op, (source,) = node.op, node.inputs
    assert isinstance(op, Reduce)
    shape = writer.graph.shapes[source]
    # One axis keeps the sign that it was written with, as the converter does.
    axes = [axis + 1 if axis >= 0 else axis for axis in op.axes] if op.keep_sides else None
    axes = [_batched(axis, len(shape)) for axis in op.axes] if axes is None or len(axes) > 1 else axes
    before = writer.ranges[source]
    count = math.prod(shape[axis] for axis in op.axes)
    constant = writer.add_constant(f"{node.name}/axes", np.array(axes, np.int32))
    if op.kind == "max":
        output = writer.add_like(node.name, source, before)
    elif op.kind == "sum":
        output = writer.add_activation(node.name, normal(count * before.mean, count * before.variance))
    else:
        output = writer.add_activation(node.name, after_global_mean(before, count))
    writer.add_operator(
        {"mean": "MEAN", "max": "REDUCE_MAX", "sum": "SUM"}[op.kind],
        [writer.tensor(source), constant],
        output,
        version=_version(writer, source),
        options="ReducerOptions",
        keepDims=op.keep_sides,
    )


@op_writer(ArgMax)
def _write_arg_max(writer: ModelWriter, node: DeployedNode) -> None:
    op, (source,) = node.op, node.inputs
    assert isinstance(op, ArgMax)
    axis = np.array(op.axis + 1 if op.axis >= 0 else op.axis, np.int32)
    writer.add_operator(
        "ARG_MAX",
        [writer.tensor(source), writer.add_constant(f"{node.name}/axis", axis)],
        writer.add_activation(node.name, normal(0, 1)),
        version=_version(writer, source),
        options="ArgMaxOptions",
        outputType=2,
    )
