"""How products of tensors, embeddings, softmax and what is between them are written as TFLite operators."""

from __future__ import annotations

import numpy as np

from edgenas.export.deployed import DeployedNode
from edgenas.export.expansion import ReciprocalRoot
from edgenas.export.quantization.activation_ranges import (
    SIGMOID_OUTPUT,
    ActivationRange,
    Quantization,
    normal,
)
from edgenas.export.tflite.model_writer import ModelWriter, op_writer
from edgenas.spaces.ops import Embedding, MatrixProduct, Softmax, TransposedConvolution, pair


@op_writer(MatrixProduct)
def _write_matrix_product(writer: ModelWriter, node: DeployedNode) -> None:
    op = node.op
    assert isinstance(op, MatrixProduct)
    first, second = (writer.ranges[name] for name in node.inputs)
    terms = writer.graph.shapes[node.inputs[0]][-1]
    values = normal(terms * first.mean * second.mean, terms * max(first.power * second.power, 1e-6))
    writer.add_operator(
        "BATCH_MATMUL",
        [writer.tensor(name) for name in node.inputs],
        writer.add_activation(node.name, values),
        version=2 if writer.is_int8 else 1,
        options="BatchMatMulOptions",
        adjY=op.transpose_second,
    )


@op_writer(Softmax)
def _write_softmax(writer: ModelWriter, node: DeployedNode) -> None:
    (source,) = node.inputs
    share = 1 / writer.graph.shapes[source][-1]
    values = ActivationRange(0.0, 1.0, share, 2.7 * share**2)
    writer.add_operator(
        "SOFTMAX",
        [writer.tensor(source)],
        writer.add_activation(node.name, values, quantization=SIGMOID_OUTPUT),
        version=2 if writer.is_int8 else 1,
        options="SoftmaxOptions",
        beta=1.0,
    )


@op_writer(Embedding)
def _write_embedding(writer: ModelWriter, node: DeployedNode) -> None:
    op, (source,) = node.op, node.inputs
    assert isinstance(op, Embedding)
    stored = writer.rng.integers(-127, 127, (op.tokens, op.features), dtype=np.int8, endpoint=True)
    scale = np.array([np.sqrt(3) / 127], np.float32)
    quantization = Quantization(scale) if writer.is_int8 else None
    table = writer.shared_constant(node, "table", stored if writer.is_int8 else stored * scale, quantization)
    reach = float(np.sqrt(3))
    writer.add_operator(
        "GATHER",
        [table, writer.tensor(source)],
        writer.add_activation(node.name, ActivationRange(-reach, reach, 0.0, 1.0), quantization=quantization),
        version=2 if writer.is_int8 else 1,
        options="GatherOptions",
    )


@op_writer(ReciprocalRoot)
def _write_reciprocal_root(writer: ModelWriter, node: DeployedNode) -> None:
    before = writer.ranges[node.inputs[0]]
    # Variances of normalised activations are near their mean; the smallest of them sets the largest value.
    typical = max(before.mean, 1e-3)
    high = float(2.0 / np.sqrt(typical))
    writer.add_operator(
        "RSQRT",
        [writer.tensor(node.inputs[0])],
        writer.add_activation(node.name, ActivationRange(0.0, high, high / 2, high**2 / 4)),
        version=2 if writer.is_int8 else 1,
    )


@op_writer(TransposedConvolution)
def _write_transposed_convolution(writer: ModelWriter, node: DeployedNode) -> None:
    op, (source,) = node.op, node.inputs
    assert isinstance(op, TransposedConvolution)
    channels = writer.graph.shapes[source][-1]
    strides = pair(op.stride)
    # Of a kernel's pixels, each output pixel sees one in so many.
    seen = max(1, op.taps // (strides[0] * strides[1]))
    shape = (op.filters, *pair(op.kernel), channels)
    size = np.array([1, *writer.graph.shapes[node.name]], np.int32)
    place = writer.add_constant(f"{node.name}/size", size)
    values, kernel, *bias = writer.add_kernel(node, shape, channel_axis=0, fan_in=seen * channels)
    writer.add_operator(
        "TRANSPOSE_CONV",
        [place, kernel, values, *bias],
        writer.add_weighted_output(node),
        version=3 if bias else 2 if writer.is_int8 else 1,
        options="TransposeConvOptions",
        strideW=strides[1],
        strideH=strides[0],
    )
