"""Every op: its shape and parameters are Keras's, and our file has the operators of the converter's."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edgenas.export.keras.builder import build_graph
from edgenas.export.quantization import convert
from edgenas.export.runtime import find_runtime
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.operator_list import list_operators
from edgenas.export.tflite.reader import check_integer, model_io, read_operators
from edgenas.spaces.graph import GraphBuilder
from edgenas.spaces.ops import (
    Activation,
    Add,
    ArgMax,
    BatchNorm,
    Concatenate,
    Convolution,
    Dense,
    DepthwiseConvolution,
    Dropout,
    Embedding,
    GlobalAveragePool,
    Gru,
    LayerNorm,
    Lstm,
    MatrixProduct,
    Maximum,
    Multiply,
    Pad,
    Pool,
    Reduce,
    RelativeBias,
    Reshape,
    Resize,
    Scale,
    ScaleShift,
    Slice,
    Softmax,
    Subtract,
    TensorSpec,
    Transpose,
    TransposedConvolution,
    WeightedSum,
    op_classes,
)

IMAGE, SEQUENCE, TOKENS = (8, 8, 16), (6, 16), TensorSpec((6,), "int32")
CASES = [
    (Convolution(8, (3, 5), (2, 1)), [IMAGE]),
    (Convolution(8, 3, use_bias=True, dilation=2), [IMAGE]),
    (Convolution(8, (10, 4), (2, 1)), [(49, 10, 1)]),
    (Convolution(8, (3, 4), (2, 1), padding="valid"), [IMAGE]),
    (Convolution(32, 3, groups=4), [IMAGE]),
    (DepthwiseConvolution(3, dilation=2), [IMAGE]),
    (DepthwiseConvolution((3, 1)), [IMAGE]),
    (DepthwiseConvolution((3, 1), 2, padding="valid"), [IMAGE]),
    (TransposedConvolution(8, 3, 2, use_bias=True), [IMAGE]),
    (TransposedConvolution(8, 2, 2), [IMAGE]),
    (Dense(8), [(16,)]),
    (Dense(8), [SEQUENCE]),
    (Dense(8, use_bias=False), [SEQUENCE]),
    (Activation("gelu"), [IMAGE]),
    (Activation("tanh"), [IMAGE]),
    (Activation("sigmoid"), [SEQUENCE]),
    (Activation("hard_swish"), [IMAGE]),
    (Add(), [IMAGE, IMAGE]),
    (Add(broadcast=True), [IMAGE, (8, 1, 16)]),
    (Subtract(), [IMAGE, IMAGE]),
    (Multiply(), [IMAGE, (1, 1, 16)]),
    (Maximum(), [IMAGE, IMAGE]),
    (Scale(0.5), [IMAGE]),
    (ScaleShift(), [SEQUENCE]),
    (WeightedSum(), [IMAGE, IMAGE, IMAGE]),
    (Concatenate(), [IMAGE, (8, 8, 4)]),
    (Concatenate(0), [SEQUENCE, SEQUENCE]),
    (Slice(4, 8), [IMAGE]),
    (Slice(1, 2, 0), [SEQUENCE]),
    (Pad(1, 1, 0, 2), [IMAGE]),
    (Resize(16, 16), [IMAGE]),
    (Resize(3, 5), [IMAGE]),
    (Resize(16, 12, "bilinear"), [IMAGE]),
    (Resize(16, 24, "repeat"), [IMAGE]),
    (Reshape((64, -1)), [IMAGE]),
    (Transpose((1, 0, 2)), [IMAGE]),
    (Pool("max", (3, 2), (1, 2)), [IMAGE]),
    (Pool("average", 3, 1), [IMAGE]),
    (GlobalAveragePool(), [IMAGE]),
    (Reduce("mean", (0,)), [SEQUENCE]),
    (Reduce("mean", (-1,), keep_sides=True), [SEQUENCE]),
    (Reduce("max", (-1,)), [IMAGE]),
    (Reduce("sum", (0, 1), keep_sides=True), [IMAGE]),
    (ArgMax(), [IMAGE]),
    (BatchNorm(), [IMAGE]),
    (LayerNorm(), [SEQUENCE]),
    (Softmax(), [SEQUENCE]),
    (Dropout(0.2), [IMAGE]),
    (MatrixProduct(transpose_second=True), [SEQUENCE, SEQUENCE]),
    (MatrixProduct(), [(2, 6, 4), (2, 4, 6)]),
    (RelativeBias(2, 3), [(4, 6, 6)]),
    (Embedding(50, 8), [TOKENS]),
    (Lstm(8), [SEQUENCE]),
    (Lstm(8, all_positions=True), [(3, 16)]),
    (Gru(4), [(2, 6)]),
]


def test_every_op_is_here():
    ours = {cls for cls in op_classes() if cls.__module__.startswith("edgenas.spaces.")}
    ours -= {cls for cls in ours if cls.traits.only_deployed}  # no converter writes these: tests of their own
    assert ours == {type(op) for op, _ in CASES}


def _graph(op, shapes):
    builder = GraphBuilder(*shapes)
    # An activation in front of what leaves nothing in a file, so that there is a file.
    sources = builder.inputs
    if op.does_nothing(*shapes):
        sources = (builder.add("before", Activation("relu"), sources[0]),)
    return builder.build(builder.add("op", op, *sources))


def _examples(graph):
    rng = np.random.default_rng(0)
    specs = [spec for _, spec in graph.inputs]
    found = [
        rng.normal(size=(4, *s)).astype(np.float32) if s.is_real else rng.integers(0, 50, (4, *s)).astype(np.int32)
        for s in specs
    ]
    return found if len(found) > 1 else found[0]


def _facts(model):
    return [
        (
            operator.name,
            operator.version,
            [(tensor.shape, tensor.dtype, tensor.is_constant) for tensor in operator.inputs if tensor],
            [(tensor.shape, tensor.dtype) for tensor in operator.outputs],
            dict(operator.options),
        )
        for operator in read_operators(model)
    ]


def _run(model, inputs):
    interpreter = find_runtime().interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    for source, values in zip(interpreter.get_input_details(), inputs, strict=True):
        if source["dtype"] == np.int8:
            scale, zero_point = source["quantization"]
            values = np.clip(np.rint(values / scale) + zero_point, -128, 127).astype(np.int8)
        interpreter.set_tensor(source["index"], values)
    interpreter.invoke()
    result = interpreter.get_output_details()[0]
    values = interpreter.get_tensor(result["index"])
    if result["dtype"] == np.int8:
        scale, zero_point = result["quantization"]
        return (values.astype(np.float32) - zero_point) * scale
    return values


@pytest.mark.parametrize(("op", "shapes"), CASES, ids=lambda value: str(value) if hasattr(value, "traits") else "")
def test_shapes_parameters_and_operators_agree(op, shapes):
    graph = _graph(op, shapes)
    (shape,) = graph.output_shapes
    model = build_graph(graph, "network")
    assert tuple(model.output.shape[1:]) == tuple(shape)
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_variables) == graph.params
    rng = np.random.default_rng(1)
    for variable in model.variables:
        if variable.path.endswith(("bias", "beta", "gamma", "shares", "moving_mean")):
            variable.assign(rng.normal(0.5, 0.2, variable.shape))
    examples = _examples(graph)
    first = [each[:1] for each in (examples if isinstance(examples, list) else [examples])]
    outputs = {}
    for precision in ("float32", "int8"):
        ours = write_tflite(graph, precision)
        theirs = convert(model, quantization=precision, calibration=examples)
        if isinstance(op, (Lstm, Gru)):  # the converter may put steps that do not wait for another in another order
            assert sorted(_facts(ours), key=str) == sorted(_facts(theirs), key=str), precision
        else:
            assert _facts(ours) == _facts(theirs), precision
        assert (
            [end.shape for end in model_io(ours).outputs]
            == [(1, *shape)]
            == [end.shape for end in model_io(theirs).outputs]
        )
        listed = [(o.name, [t.shape for t in o.inputs if t]) for o in list_operators(graph, precision)]
        assert listed == [(o.name, [t.shape for t in o.inputs if t]) for o in read_operators(ours)]
        outputs[precision] = _run(ours, first)
        assert outputs[precision].shape == (1, *shape)
        if precision == "int8":
            assert check_integer(ours) == []
    if not isinstance(op, ArgMax):
        spread = max(float(np.abs(outputs["float32"]).max()), 0.1)
        assert np.abs(outputs["int8"] - outputs["float32"]).mean() < 0.1 * spread


@pytest.mark.parametrize(("op", "shapes"), CASES, ids=lambda value: str(value) if hasattr(value, "traits") else "")
def test_costs_are_whole_numbers_of_at_least_zero(op, shapes):
    for cost in (op.macs, op.weights, op.biases, op.params, op.deployed_biases):
        assert isinstance(cost(*shapes), int)
        assert cost(*shapes) >= 0
    assert op.weight_bytes("float32", *shapes) >= op.weight_bytes("int8", *shapes)
    assert dataclasses.replace(op) == op


@pytest.mark.parametrize(
    ("op", "shapes", "macs", "params"),
    [
        (Convolution(8, (3, 5), (2, 1)), [IMAGE], 4 * 8 * 15 * 16 * 8, 15 * 16 * 8),
        (TransposedConvolution(8, 3, 2, use_bias=True), [IMAGE], 64 * 9 * 16 * 8, 9 * 16 * 8 + 8),
        (Dense(8), [SEQUENCE], 6 * 16 * 8, 16 * 8 + 8),
        (MatrixProduct(transpose_second=True), [SEQUENCE, SEQUENCE], 6 * 6 * 16, 0),
        (MatrixProduct(), [(2, 6, 4), (2, 4, 6)], 2 * 6 * 6 * 4, 0),
        (RelativeBias(2, 3), [(4, 6, 6)], 0, 4 * 3 * 5),
        (Embedding(50, 8), [TOKENS], 0, 400),
        (Lstm(8), [SEQUENCE], 6 * 4 * 8 * 24, 4 * 8 * 24 + 4 * 8),
        (Gru(4), [(2, 6)], 2 * 3 * 4 * 10, 3 * 4 * 10 + 2 * 3 * 4),
        (LayerNorm(), [SEQUENCE], 0, 32),
        (WeightedSum(), [IMAGE, IMAGE, IMAGE], 0, 3),
    ],
)
def test_costs_by_hand(op, shapes, macs, params):
    assert op.macs(*shapes) == macs
    assert op.params(*shapes) == params
