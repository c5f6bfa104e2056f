"""How each op class is written as TFLite operators: kinds, versions and options as the converter sets them."""

from __future__ import annotations

import numpy as np

from edgenas.export.deployed import ConstantOperand, DeployedNode
from edgenas.export.quantization.activation_ranges import (
    SIGMOID_OUTPUT,
    TANH_OUTPUT,
    ActivationRange,
    after_activation,
    after_global_mean,
    after_product,
    after_scaling,
    after_square,
    after_sum,
    normal,
)
from edgenas.export.tflite.model_writer import ModelWriter, op_writer
from edgenas.export.tflite.schema import schema
from edgenas.spaces.ops import (
    Activation,
    Add,
    Convolution,
    Dense,
    DepthwiseConvolution,
    GlobalAveragePool,
    Multiply,
    Pool,
    Subtract,
    pair,
)


@op_writer(Convolution)
def _write_convolution(writer: ModelWriter, node: DeployedNode) -> None:
    op = node.op
    assert isinstance(op, Convolution)
    channels = writer.graph.shapes[node.inputs[0]][-1] // op.groups
    shape = (op.filters, *pair(op.kernel), channels)
    inputs = writer.add_kernel(node, shape, channel_axis=0, fan_in=op.taps * channels)
    # As the converter: one CONV_2D whose kernel is shallower than the input, known from version 6 on.
    version = 6 if op.groups > 1 else 3 if writer.is_int8 else 1
    writer.add_operator(
        "CONV_2D",
        inputs,
        writer.add_weighted_output(node),
        version=version,
        options="Conv2DOptions",
        **_padding(op.padding),
        **_window(op.stride, op.dilation),
        fusedActivationFunction=writer.fused(node),
    )


def _padding(padding: str) -> dict[str, int]:
    """The schema has SAME for its default."""
    return {} if padding == "same" else {"padding": schema().Padding.VALID}


def _window(stride: int | tuple[int, int], dilation: int | tuple[int, int] = 1) -> dict[str, int]:
    """Options of a window; dilations only where there are any, as the schema has 1 for its default."""
    (down, right), (rows, columns) = pair(stride), pair(dilation)
    options = {"strideW": right, "strideH": down}
    return options if (rows, columns) == (1, 1) else {**options, "dilationWFactor": columns, "dilationHFactor": rows}


@op_writer(DepthwiseConvolution)
def _write_depthwise_convolution(writer: ModelWriter, node: DeployedNode) -> None:
    op = node.op
    assert isinstance(op, DepthwiseConvolution)
    shape = (1, *pair(op.kernel), writer.graph.shapes[node.name][-1])
    inputs = writer.add_kernel(node, shape, channel_axis=3, fan_in=op.taps)
    writer.add_operator(
        "DEPTHWISE_CONV_2D",
        inputs,
        writer.add_weighted_output(node),
        version=3 if writer.is_int8 else 1 if op.dilation in (1, (1, 1)) else 2,
        options="DepthwiseConv2DOptions",
        **_padding(op.padding),
        **_window(op.stride, op.dilation),
        depthMultiplier=1,
        fusedActivationFunction=writer.fused(node),
    )


@op_writer(Dense)
def _write_dense(writer: ModelWriter, node: DeployedNode) -> None:
    op = node.op
    assert isinstance(op, Dense)
    features, is_sequence = writer.graph.shapes[node.inputs[0]][-1], len(writer.graph.shapes[node.inputs[0]]) > 1
    inputs = writer.add_kernel(node, (op.units, features), channel_axis=0, fan_in=features)
    writer.add_operator(
        "FULLY_CONNECTED",
        inputs if node.has_bias else [*inputs, -1],
        writer.add_weighted_output(node),
        version=5 if is_sequence else 4 if writer.is_int8 else 1,
        options="FullyConnectedOptions",
        fusedActivationFunction=writer.fused(node),
        **({"keepNumDims": True} if is_sequence else {}),
    )


_ACTIVATION_OPERATORS = {
    "relu": "RELU",
    "relu6": "RELU6",
    "hard_swish": "HARD_SWISH",
    "sigmoid": "LOGISTIC",
    "gelu": "GELU",
    "tanh": "TANH",
}
_ACTIVATION_OPTIONS = {"hard_swish": "HardSwishOptions", "gelu": "GeluOptions"}
_ACTIVATION_OUTPUTS = {"sigmoid": SIGMOID_OUTPUT, "tanh": TANH_OUTPUT}


@op_writer(Activation)
def _write_activation(writer: ModelWriter, node: DeployedNode) -> None:
    assert isinstance(node.op, Activation)
    kind = node.op.kind
    output = writer.add_activation(
        node.name,
        after_activation(kind, writer.ranges[node.inputs[0]]),
        quantization=_ACTIVATION_OUTPUTS.get(kind),
    )
    writer.add_operator(
        _ACTIVATION_OPERATORS[kind],
        [writer.tensor(node.inputs[0])],
        output,
        version=2 if writer.is_int8 and kind != "hard_swish" else 1,
        options=_ACTIVATION_OPTIONS.get(kind),
    )


@op_writer(Add)
def _write_add(writer: ModelWriter, node: DeployedNode) -> None:
    values = after_sum(*(writer.ranges[name] for name in node.inputs))
    _write_elementwise(writer, node, "ADD", [writer.tensor(name) for name in node.inputs], values)


@op_writer(Multiply)
def _write_multiply(writer: ModelWriter, node: DeployedNode) -> None:
    first, second = (writer.ranges[name] for name in node.inputs)
    values = after_square(first) if len(set(node.inputs)) == 1 else after_product(first, second)
    _write_elementwise(writer, node, "MUL", [writer.tensor(name) for name in node.inputs], values)


@op_writer(Subtract)
def _write_subtract(writer: ModelWriter, node: DeployedNode) -> None:
    first, second = (writer.ranges[name] for name in node.inputs)
    values = normal(first.mean - second.mean, first.variance + second.variance)
    _write_elementwise(writer, node, "SUB", [writer.tensor(name) for name in node.inputs], values)


@op_writer(ConstantOperand)
def _write_constant_operand(writer: ModelWriter, node: DeployedNode) -> None:
    op = node.op
    assert isinstance(op, ConstantOperand)
    (source,) = node.inputs
    shape = tuple(writer.graph.shapes[source])
    size = shape if op.whole else shape[-1]
    before = writer.ranges[source]
    if op.kind == "add":
        constant = writer.rng.uniform(-0.5, 0.5, size) if op.value is None else np.array(op.value)
        values = after_sum(before, normal(float(constant.mean()), float(constant.var())))
    else:
        constant = writer.rng.uniform(0.5, 1.5, size) if op.value is None else np.array(op.value)
        values = after_scaling(before, float(constant.max()))
    kind = "ADD" if op.kind == "add" else "MUL"
    operand = _add_small_constant(writer, f"{node.name}/operand", constant)
    _write_elementwise(writer, node, kind, [writer.tensor(source), operand], values)


def _add_small_constant(writer: ModelWriter, name: str, constant: np.ndarray) -> int:
    if not writer.is_int8:
        return writer.add_constant(name, constant.astype(np.float32))
    bounds = ActivationRange(float(constant.min()), float(constant.max()), 0.0, 1.0).quantization()
    stored = np.clip(np.rint(constant / bounds.scale[0]) + bounds.zero_point, -128, 127).astype(np.int8)
    return writer.add_constant(name, stored, bounds)


def _write_elementwise(
    writer: ModelWriter, node: DeployedNode, kind: str, inputs: list[int], values: ActivationRange
) -> None:
    output = writer.add_activation(node.name, after_activation(node.activation, values))
    writer.add_operator(
        kind,
        inputs,
        output,
        version=2 if writer.is_int8 else 1,
        options={"ADD": "AddOptions", "MUL": "MulOptions", "SUB": "SubOptions"}[kind],
        fusedActivationFunction=writer.fused(node),
    )


@op_writer(Pool)
def _write_pool(writer: ModelWriter, node: DeployedNode) -> None:
    op = node.op
    assert isinstance(op, Pool)
    (source,) = node.inputs
    values = after_activation(node.activation, writer.ranges[source])
    writer.add_operator(
        "AVERAGE_POOL_2D" if op.kind == "average" else "MAX_POOL_2D",
        [writer.tensor(source)],
        writer.add_like(node.name, source, values),
        version=2 if writer.is_int8 else 1,
        options="Pool2DOptions",
        **_window(op.stride),
        filterWidth=pair(op.kernel)[1],
        filterHeight=pair(op.kernel)[0],
        fusedActivationFunction=writer.fused(node),
    )


@op_writer(GlobalAveragePool)
def _write_global_average_pool(writer: ModelWriter, node: DeployedNode) -> None:
    assert isinstance(node.op, GlobalAveragePool)
    (source,) = node.inputs
    height, width, _ = writer.graph.shapes[source]
    axes = writer.add_constant(f"{node.name}/axes", np.array([1, 2], np.int32))
    writer.add_operator(
        "MEAN",
        [writer.tensor(source), axes],
        writer.add_activation(node.name, after_global_mean(writer.ranges[source], height * width)),
        version=2 if writer.is_int8 else 1,
        options="ReducerOptions",
        keepDims=node.op.keep_sides,
    )
