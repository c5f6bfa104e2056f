"""Ops to a TFLite model, written directly: no TensorFlow, a few milliseconds a block.

For measuring cost before anybody trains: weights are random (He-scaled, batch norms folded), activation scales are
estimated rather than calibrated, and the operators are exactly those that the TensorFlow converter would emit for the
same ops after training. Models of one seed compute the same function in every precision, up to rounding.

Every op class has one writer in a registry; a new op is a new function under :func:`op_writer`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from export.activation_ranges import (
    SIGMOID_OUTPUT,
    STANDARD_NORMAL,
    ActivationRange,
    Quantization,
    after_activation,
    after_global_mean,
    after_product,
    after_scaling,
    after_sum,
    normal,
)
from export.deployed import ConstantOperand, DeployedGraph, DeployedNode, deploy
from export.tflite_assembler import ModelAssembler
from export.tflite_schema import schema
from spaces.errors import InputError
from spaces.graph import OpGraph
from spaces.ops import (
    Activation,
    Add,
    Convolution,
    Dense,
    DepthwiseConvolution,
    GlobalAveragePool,
    Multiply,
    Op,
    Pool,
)

#: Precisions that :func:`write_tflite` knows.
PRECISIONS = ("float32", "float16", "int8")

_FUSED = {"linear": "NONE", "relu": "RELU", "relu6": "RELU6"}
#: Random biases are uniform up to this many standard deviations of what the kernel puts out.
_BIAS_REACH = 0.25

OpWriter = Callable[["ModelWriter", DeployedNode], None]
WriterType = TypeVar("WriterType", bound=OpWriter)
_WRITERS: dict[type[Op], OpWriter] = {}


def write_tflite(graph: OpGraph, precision: str, *, seed: int = 0) -> bytes:
    """A TFLite model of a graph of ops with random weights, batch 1.

    ``precision`` is ``float32``, ``float16`` (float16 weights, expanded to float32 when loaded) or ``int8`` (integer
    everywhere, inputs and outputs included). The same graph, precision and seed give the same bytes.

    Raises InputError for an unknown precision and for an op class that has no writer.

    >>> from spaces.blocks import InvertedBottleneck
    >>> from export.tflite_reader import read_operators
    >>> graph = InvertedBottleneck(filters=16).lower((14, 14, 16))
    >>> [operator.name for operator in read_operators(write_tflite(graph, "int8"))]
    ['CONV_2D', 'DEPTHWISE_CONV_2D', 'CONV_2D', 'ADD']
    """
    if precision not in PRECISIONS:
        raise InputError(f"cannot write a model in precision {precision!r}: expected one of {', '.join(PRECISIONS)}")
    return ModelWriter(deploy(graph), precision, np.random.default_rng(seed)).write()


def op_writer(op_class: type[Op]) -> Callable[[WriterType], WriterType]:
    """Decorator that registers how an op class is written. Raises InputError when it already is."""

    def register(writer: WriterType) -> WriterType:
        known = _WRITERS.get(op_class)
        if known is not None and known.__qualname__ != writer.__qualname__:
            raise InputError(f"{op_class.__name__} is already written by {known.__qualname__}")
        _WRITERS[op_class] = writer
        return writer

    return register


class ModelWriter:
    """What op writers work with: the shapes, value ranges and tensors so far, and methods to add more."""

    def __init__(self, graph: DeployedGraph, precision: str, rng: np.random.Generator) -> None:
        self.graph = graph
        self.precision = precision
        self.rng = rng
        self.is_int8 = precision == "int8"
        self.ranges: dict[str, ActivationRange] = {}
        self._assembler = ModelAssembler("main")
        self._tensors: dict[str, int] = {}
        self._quantizations: dict[str, Quantization | None] = {}

    def write(self) -> bytes:
        """The whole model. Raises InputError when an op has no writer."""
        for name, _ in self.graph.inputs:
            self.add_activation(name, STANDARD_NORMAL)
        for node in self.graph.nodes:
            writer = _WRITERS.get(type(node.op))
            if writer is None:
                raise InputError(
                    f"node {node.name!r}: no TFLite writer for the op {type(node.op).__name__}: "
                    "register one with export.flatbuffer.op_writer"
                )
            writer(self, node)
        inputs = [self._tensors[name] for name, _ in self.graph.inputs]
        outputs = [self._tensors[name] for name in self.graph.outputs]
        return self._assembler.build(inputs, outputs, f"EdgeNAS {self.precision}, random weights")

    def tensor(self, name: str) -> int:
        """Index of an activation's tensor."""
        return self._tensors[name]

    def scale(self, name: str) -> float:
        """Scale of an int8 activation; 1 in a float model."""
        quantization = self._quantizations[name]
        return 1.0 if quantization is None else float(quantization.scale[0])

    def add_activation(self, name: str, values: ActivationRange, *, quantization: Quantization | None = None) -> int:
        """The tensor of a node's output; its scale follows from the range unless one is given."""
        self.ranges[name] = values
        self._quantizations[name] = (quantization or values.quantization()) if self.is_int8 else None
        dtype = "int8" if self.is_int8 else "float32"
        shape = (1, *self.graph.shapes[name])
        self._tensors[name] = self._assembler.add_tensor(name, shape, dtype, self._quantizations[name])
        return self._tensors[name]

    def add_like(self, name: str, source: str, values: ActivationRange) -> int:
        """The tensor of a node that must keep the scale of ``source``, as pools do."""
        return self.add_activation(name, values, quantization=self._quantizations[source])

    def add_constant(self, name: str, data: np.ndarray, quantization: Quantization | None = None) -> int:
        """A constant tensor. In a float16 model floats are stored halved and expanded by a DEQUANTIZE."""
        if data.dtype != np.float32 or self.precision != "float16":
            return self._assembler.add_tensor(name, data.shape, data.dtype.name, quantization, data)
        half = self._assembler.add_tensor(f"{name}/half", data.shape, "float16", None, data.astype(np.float16))
        full = self._assembler.add_tensor(name, data.shape, "float32")
        self._assembler.add_operator("DEQUANTIZE", [half], full, version=3, options="DequantizeOptions")
        return full

    def add_operator(self, kind: str, inputs: list[int], output: int, **options: Any) -> None:
        """See :meth:`ModelAssembler.add_operator`."""
        self._assembler.add_operator(kind, inputs, output, **options)

    def fused(self, node: DeployedNode) -> int:
        """The schema's number of the node's fused activation."""
        return int(getattr(schema().ActivationFunctionType, _FUSED[node.activation]))

    def add_kernel(self, node: DeployedNode, shape: tuple[int, ...], channel_axis: int, fan_in: int) -> list[int]:
        """Random kernel, and bias if the node has one, such that outputs have mean 0 (plus the folded offset) and
        variance 1; returns the operator's inputs.

        The kernel is uniform, with its own limit for each output channel, and drawn as 8-bit integers, so that a
        float model of the same seed has the same weights.
        """
        (source,) = node.inputs
        channels = shape[channel_axis]
        limit = math.sqrt(3 / (fan_in * self.ranges[source].power))
        scales = (limit / 127 * self.rng.uniform(0.75, 1.25, channels)).astype(np.float32)
        stored = self.rng.integers(-127, 127, shape, dtype=np.int8, endpoint=True)
        bias = self.rng.uniform(-_BIAS_REACH, _BIAS_REACH, channels) + node.bias_offset
        if self.is_int8:
            kernel = self.add_constant(f"{node.name}/kernel", stored, Quantization(scales, dimension=channel_axis))
            bias_scales = (scales * self.scale(source)).astype(np.float32)
            bias_data, bias_quantization = np.rint(bias / bias_scales).astype(np.int32), Quantization(bias_scales)
        else:
            broadcast = [1] * len(shape)
            broadcast[channel_axis] = channels
            kernel = self.add_constant(f"{node.name}/kernel", stored * scales.reshape(broadcast))
            bias_data, bias_quantization = bias.astype(np.float32), None
        inputs = [self.tensor(source), kernel]
        return (
            [*inputs, self.add_constant(f"{node.name}/bias", bias_data, bias_quantization)] if node.has_bias else inputs
        )

    def add_weighted_output(self, node: DeployedNode) -> int:
        """The output of a node whose kernel :meth:`add_kernel` made."""
        variance = 1 + (_BIAS_REACH**2 / 3 if node.has_bias else 0)
        return self.add_activation(node.name, after_activation(node.activation, normal(node.bias_offset, variance)))


@op_writer(Convolution)
def _write_convolution(writer: ModelWriter, node: DeployedNode) -> None:
    op = node.op
    assert isinstance(op, Convolution)
    channels = writer.graph.shapes[node.inputs[0]][-1] // op.groups
    shape = (op.filters, op.kernel, op.kernel, channels)
    inputs = writer.add_kernel(node, shape, channel_axis=0, fan_in=op.kernel**2 * channels)
    # As the converter: one CONV_2D whose kernel is shallower than the input, known from version 6 on.
    version = 6 if op.groups > 1 else 3 if writer.is_int8 else 1
    writer.add_operator(
        "CONV_2D",
        inputs,
        writer.add_weighted_output(node),
        version=version,
        options="Conv2DOptions",
        strideW=op.stride,
        strideH=op.stride,
        fusedActivationFunction=writer.fused(node),
    )


@op_writer(DepthwiseConvolution)
def _write_depthwise_convolution(writer: ModelWriter, node: DeployedNode) -> None:
    op = node.op
    assert isinstance(op, DepthwiseConvolution)
    shape = (1, op.kernel, op.kernel, writer.graph.shapes[node.name][-1])
    inputs = writer.add_kernel(node, shape, channel_axis=3, fan_in=op.kernel**2)
    writer.add_operator(
        "DEPTHWISE_CONV_2D",
        inputs,
        writer.add_weighted_output(node),
        version=3 if writer.is_int8 else 1,
        options="DepthwiseConv2DOptions",
        strideW=op.stride,
        strideH=op.stride,
        depthMultiplier=1,
        fusedActivationFunction=writer.fused(node),
    )


@op_writer(Dense)
def _write_dense(writer: ModelWriter, node: DeployedNode) -> None:
    op = node.op
    assert isinstance(op, Dense)
    (features,) = writer.graph.shapes[node.inputs[0]]
    inputs = writer.add_kernel(node, (op.units, features), channel_axis=0, fan_in=features)
    writer.add_operator(
        "FULLY_CONNECTED",
        inputs if node.has_bias else [*inputs, -1],
        writer.add_weighted_output(node),
        version=4 if writer.is_int8 else 1,
        options="FullyConnectedOptions",
        fusedActivationFunction=writer.fused(node),
    )


_ACTIVATION_OPERATORS = {"relu": "RELU", "relu6": "RELU6", "hard_swish": "HARD_SWISH", "sigmoid": "LOGISTIC"}


@op_writer(Activation)
def _write_activation(writer: ModelWriter, node: DeployedNode) -> None:
    assert isinstance(node.op, Activation)
    kind = node.op.kind
    output = writer.add_activation(
        node.name,
        after_activation(kind, writer.ranges[node.inputs[0]]),
        quantization=SIGMOID_OUTPUT if kind == "sigmoid" else None,
    )
    writer.add_operator(
        _ACTIVATION_OPERATORS[kind],
        [writer.tensor(node.inputs[0])],
        output,
        version=2 if writer.is_int8 and kind != "hard_swish" else 1,
        options="HardSwishOptions" if kind == "hard_swish" else None,
    )


@op_writer(Add)
def _write_add(writer: ModelWriter, node: DeployedNode) -> None:
    values = after_sum(*(writer.ranges[name] for name in node.inputs))
    _write_elementwise(writer, node, "ADD", [writer.tensor(name) for name in node.inputs], values)


@op_writer(Multiply)
def _write_multiply(writer: ModelWriter, node: DeployedNode) -> None:
    values = after_product(*(writer.ranges[name] for name in node.inputs))
    _write_elementwise(writer, node, "MUL", [writer.tensor(name) for name in node.inputs], values)


@op_writer(ConstantOperand)
def _write_constant_operand(writer: ModelWriter, node: DeployedNode) -> None:
    op = node.op
    assert isinstance(op, ConstantOperand)
    (source,) = node.inputs
    channels = writer.graph.shapes[source][-1]
    before = writer.ranges[source]
    if op.kind == "add":
        constant = writer.rng.uniform(-0.5, 0.5, channels) if op.value is None else np.array(op.value)
        values = after_sum(before, normal(float(constant.mean()), float(constant.var())))
    else:
        constant = writer.rng.uniform(0.5, 1.5, channels) if op.value is None else np.array(op.value)
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
        options="AddOptions" if kind == "ADD" else "MulOptions",
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
        strideW=op.stride,
        strideH=op.stride,
        filterWidth=op.kernel,
        filterHeight=op.kernel,
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
