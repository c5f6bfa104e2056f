"""Models written directly: the runtime takes them, and they are what the converter would have made."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.reader import check_integer, model_io, read_operators
from edgenas.spaces.blocks import (
    ClassifierHead,
    ConvBnAct,
    FusedInvertedBottleneck,
    GroupConvInvertedBottleneck,
    InvertedBottleneck,
    Pooling,
)
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder
from edgenas.spaces.network import chain
from edgenas.spaces.ops import (
    ACTIVATIONS,
    GATES,
    Activation,
    Add,
    BatchNorm,
    Convolution,
    Dense,
    DepthwiseConvolution,
    Dropout,
    GlobalAveragePool,
    Multiply,
    Op,
    Pool,
    Scale,
    ScaleShift,
    op_classes,
)
from edgenas.spaces.references import reference_network

PRECISIONS = ("float32", "float16", "int8")
BOTTLENECKS = (InvertedBottleneck, FusedInvertedBottleneck, GroupConvInvertedBottleneck)
#: Blocks that between them use every op and activation.
BLOCKS = {
    "ibn": (InvertedBottleneck(16, kernel=5, expansion=4), (8, 8, 16)),
    "ibn, stride, relu6": (InvertedBottleneck(24, stride=2, expansion=3, activation="relu6"), (9, 9, 16)),
    "ibn, hard gate": (InvertedBottleneck(16, expansion=1, activation="hard_swish", se_ratio=0.5), (7, 7, 8)),
    "fused, sigmoid gate": (
        FusedInvertedBottleneck(16, expansion=4, activation="swish", se_ratio=0.25, se_gate="sigmoid"),
        (6, 6, 16),
    ),
    "gc": (GroupConvInvertedBottleneck(16, expansion=4, group_size=16), (8, 8, 16)),
    "stem": (ConvBnAct(16, stride=2, activation="hard_swish"), (15, 15, 3)),
    "head": (ClassifierHead(10, hidden=32, activation="relu6", dropout=0.2), (4, 4, 16)),
    "average pool": (Pooling("average", 3, 2), (9, 9, 16)),
    "max pool": (Pooling("max", 2, 2), (9, 9, 16)),
}


@st.composite
def blocks(draw):
    """Any block of the library with an input shape that it takes."""
    side, channels = draw(st.integers(1, 12)), draw(st.sampled_from([1, 3, 8, 16, 24]))
    shape = (side, draw(st.sampled_from([side, max(1, side - 1)])), channels)
    family = draw(st.sampled_from([*BOTTLENECKS, ConvBnAct, ClassifierHead, Pooling]))
    activation = draw(st.sampled_from(ACTIVATIONS))
    if family is Pooling:
        kernel, stride = draw(st.integers(1, 3)), draw(st.integers(1, 2))
        return Pooling(draw(st.sampled_from(["average", "max"])), kernel, stride), shape
    if family is ClassifierHead:
        return ClassifierHead(draw(st.integers(1, 12)), draw(st.sampled_from([0, 16])), activation, 0.1), shape
    options = {
        "filters": draw(st.sampled_from([8, 16, channels])),
        "kernel": draw(st.sampled_from([1, 3, 5, 7])),
        "stride": draw(st.sampled_from([1, 2])),
        "activation": activation,
    }
    if family in BOTTLENECKS:
        options["expansion"] = draw(st.sampled_from([1, 2, 4]))
        options["se_ratio"] = draw(st.sampled_from([0, 0.25]))
        options["se_gate"] = draw(st.sampled_from(GATES))
    if family is GroupConvInvertedBottleneck:
        options["groups"] = draw(st.sampled_from([n for n in (1, 2, 4, 8) if channels % n == 0]))
    return family(**options), shape


@settings(max_examples=60, deadline=None)
@given(case=blocks(), seed=st.integers(0, 2**32 - 1))
def test_every_block_runs_and_computes_the_same_in_every_precision(case, seed):
    block, shape = case
    graph = block.lower(shape)
    image = np.random.default_rng(seed).normal(size=(1, *shape)).astype(np.float32)
    models = {precision: write_tflite(graph, precision, seed=seed) for precision in PRECISIONS}
    outputs = {precision: _run(model, image) for precision, model in models.items()}
    exact = outputs["float32"]
    assert exact.shape == (1, *graph.output_shapes[0])
    assert np.isfinite(exact).all()
    spread = max(float(np.abs(exact).max()), 0.5)
    assert np.abs(outputs["float16"] - exact).max() < 0.02 * spread
    assert np.isfinite(outputs["int8"]).all()
    if min(image.size, exact.size) >= 64:  # estimated ranges hold on average: a lone value may lie outside of its own
        assert np.abs(outputs["int8"] - exact).mean() < 0.15 * spread
    assert check_integer(models["int8"]) == []


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_outputs_are_spread_over_their_range(name, precision):
    block, shape = BLOCKS[name]
    model = write_tflite(block.lower(shape), precision)
    image = np.random.default_rng(1).normal(size=(1, *shape)).astype(np.float32)
    output = _run(model, image)
    assert 0.1 < output.std() < 4
    (end,) = model_io(model).outputs
    if precision == "int8":
        low, high = ((bound - end.zero_point[0]) * end.scale[0] for bound in (-128, 127))
        own_floor = low > -1  # of the activation: 0, or -3/8 of a hard swish
        saturated = (output >= high - 1e-6) | ((output <= low + 1e-6) & (not own_floor))
        assert saturated.mean() < 0.02


def test_a_whole_network_runs():
    network = _network()
    image = np.random.default_rng(1).normal(size=(1, 28, 28, 1)).astype(np.float32)
    logits = {precision: _run(write_tflite(network.graph, precision), image) for precision in PRECISIONS}
    assert logits["int8"].shape == (1, 10)
    assert np.corrcoef(logits["float32"][0], logits["int8"][0])[0, 1] > 0.95
    assert np.corrcoef(logits["float32"][0], logits["float16"][0])[0, 1] > 0.999
    assert model_io(write_tflite(network.graph, "int8")).inputs[0].name == "image"


@pytest.mark.parametrize("name", ["mobilenet_v2_0.35", "mobilenet_v3_small", "mobilenet_edgetpu_v2_tiny"])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_published_networks_run(name, precision):
    model = write_tflite(reference_network(name, input_shape=(64, 64, 3)).graph, precision)
    logits = _run(model, np.random.default_rng(1).normal(size=(1, 64, 64, 3)).astype(np.float32))
    assert np.isfinite(logits).all()
    assert len(np.unique(logits)) > 40


def test_several_inputs_and_outputs():
    builder = GraphBuilder((4, 4, 8), (4, 4, 8), input_names=("left", "right"))
    total = builder.add("total", Add(), *builder.inputs)
    graph = builder.build(total, builder.add("mean", GlobalAveragePool(), total))
    ends = model_io(write_tflite(graph, "int8"))
    assert [tensor.name for tensor in ends.inputs] == ["left", "right"]
    assert [tensor.shape for tensor in ends.outputs] == [(1, 4, 4, 8), (1, 8)]


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_accelerated_kernels_take_all_of_a_bottleneck(precision):
    from ai_edge_litert.interpreter import Interpreter

    graph = InvertedBottleneck(16, expansion=4).lower((8, 8, 16))
    interpreter = Interpreter(model_content=write_tflite(graph, precision))
    interpreter.allocate_tensors()
    plan = [operator["op_name"] for operator in interpreter._get_ops_details()]
    assert plan[-1] == "DELEGATE"


def test_constants_are_aligned():
    from edgenas.export.tflite.schema import schema

    model = write_tflite(InvertedBottleneck(16, expansion=3).lower((8, 8, 8)), "int8")
    root = schema().Model.GetRootAs(model, 0)
    starts = []
    for index in range(root.BuffersLength()):
        buffer = root.Buffers(index)
        if buffer.DataLength():
            starts.append(buffer._tab.Vector(buffer._tab.Offset(4)))
    assert len(starts) == 6
    assert all(start % 16 == 0 for start in starts)


def test_bytes_follow_from_the_seed():
    graph = InvertedBottleneck(16).lower((8, 8, 16))
    assert write_tflite(graph, "int8", seed=3) == write_tflite(graph, "int8", seed=3)
    assert write_tflite(graph, "int8", seed=3) != write_tflite(graph, "int8", seed=4)


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match="'int4': expected one of float32, float16, int8"):
        write_tflite(InvertedBottleneck(16).lower((8, 8, 16)), "int4")


def test_a_model_that_no_file_holds_is_refused_at_once():
    graph = InvertedBottleneck(filters=16, expansion=4096).lower((3, 3, 4096))
    with pytest.raises(InputError, match=r"a model of [0-9,]+ parameters is not written: expected at most 268,435,456"):
        write_tflite(graph, "int8")


def test_an_op_without_writer_is_refused_by_name():
    @dataclass(frozen=True)
    class Roll(Op):
        def output_shape(self, *inputs):
            return inputs[0]

    builder = GraphBuilder((4, 4, 8))
    graph = builder.build(builder.add("rolled", Roll(), builder.inputs[0]))
    with pytest.raises(InputError, match="node 'rolled': no TFLite writer for the op Roll"):
        write_tflite(graph, "int8")


def test_every_op_has_a_writer_or_is_taken_apart():
    from edgenas.export.expansion import _EXPANSIONS
    from edgenas.export.tflite.model_writer import _WRITERS

    ours = {op for op in op_classes() if op.__module__.startswith("edgenas.spaces.")}
    gone = {op for op in ours if op.traits.normalises or op.traits.gone_when_deployed}
    assert ours - gone <= set(_WRITERS) | set(_EXPANSIONS)


def test_no_tensorflow_is_imported():
    code = (
        "import sys; from edgenas.export.tflite.flatbuffer import write_tflite; "
        "from edgenas.spaces.blocks import ConvBnAct; "
        "write_tflite(ConvBnAct(8).lower((4, 4, 3)), 'int8'); sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- the same operators as the converter ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BLOCKS)
def test_operators_equal_the_converters(name):
    block, shape = BLOCKS[name]
    _assert_same_as_converter(block.lower(shape))


def test_operators_of_a_network_equal_the_converters():
    _assert_same_as_converter(_network().graph)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_edgetpu_v2_tiny"])
def test_operators_of_published_networks_equal_the_converters(name):
    _assert_same_as_converter(reference_network(name, input_shape=(64, 64, 3)).graph)


@pytest.mark.slow
def test_operators_equal_the_converters_on_random_signatures():
    import random

    cases = random.Random(0)
    for _ in range(20):
        family = cases.choice([*BOTTLENECKS, ConvBnAct])
        side, channels = cases.choice([7, 14, 28]), cases.choice([8, 16, 32])
        options = {
            "filters": cases.choice([8, 16, 32]),
            "kernel": cases.choice([1, 3, 5, 7]),
            "stride": cases.choice([1, 2]),
            "activation": cases.choice(ACTIVATIONS),
        }
        if family is not ConvBnAct:
            options |= {"expansion": cases.choice([1, 3, 6]), "se_ratio": cases.choice([0, 0.25])}
            options["se_gate"] = cases.choice(GATES)
        if family is GroupConvInvertedBottleneck:
            options["groups"] = cases.choice([2, 4, 8])
        _assert_same_as_converter(family(**options).lower((side, side, channels)))


def _single(op, *more):
    shape = (8,) if isinstance(op, Dense) else (4, 4, 8)
    builder = GraphBuilder(shape)
    source = builder.inputs[0]
    for index, each in enumerate((op, *more)):
        source = builder.add(f"n{index}", each, source)
    return builder.build(source)


def _read_twice():
    builder = GraphBuilder((4, 4, 8))
    conv = builder.add("conv", Convolution(8), builder.inputs[0])
    norm = builder.add("norm", BatchNorm(), conv)
    relu = builder.add("relu", Activation("relu"), norm)
    return builder.build(builder.add("multiply", Multiply(), norm, relu))


def _done_twice(op, before=None):
    """Two convolutions of what the same op makes of one tensor, and their sum."""
    builder = GraphBuilder((4, 4, 8))
    source = builder.inputs[0] if before is None else builder.add("before", before, builder.inputs[0])
    ends = []
    for name in ("first", "second"):
        made = builder.add(name, op, *(source,) * (2 if isinstance(op, Add) else 1))
        ends.append(builder.add(f"{name}_conv", Convolution(8, 3, use_bias=True), made))
    return builder.build(builder.add("sum", Add(), *ends))


@pytest.mark.slow
@pytest.mark.parametrize(
    "graph",
    [
        _done_twice(Activation("relu"), Convolution(8, use_bias=True)),
        _done_twice(Activation("relu")),
        _done_twice(Activation("swish"), Convolution(8, use_bias=True)),
        _done_twice(Pool("average", 3, 1)),
        _done_twice(Add()),
        _single(Convolution(8), Scale(0.5), Activation("relu")),
        _single(DepthwiseConvolution(3), ScaleShift()),
        _single(Dense(8), Scale(0.5)),
        _single(Activation("hard_sigmoid")),
        _single(Activation("relu"), Activation("relu6")),
        _single(Activation("sigmoid"), Activation("swish"), Activation("hard_swish")),
        _single(BatchNorm(), Activation("relu")),
        _single(Convolution(8), Activation("relu")),
        _single(Convolution(16, kernel=3, groups=2, use_bias=True), Activation("hard_sigmoid")),
        _single(Dense(8, use_bias=False)),
        _single(Dense(8), BatchNorm(), Activation("hard_sigmoid")),
        _single(DepthwiseConvolution(5, use_bias=True), Dropout(0.1), Activation("relu6")),
        _single(Pool("average", 2, 2), Activation("relu")),
        _single(Pool("max", 4, 4), GlobalAveragePool(keep_sides=True), Convolution(8)),
        _read_twice(),
    ],
)
def test_rare_combinations_equal_the_converters(graph):
    _assert_same_as_converter(graph)


def _assert_same_as_converter(graph):
    from edgenas.export.keras.builder import build_graph
    from edgenas.export.quantization import convert

    model = build_graph(graph, "network")
    rng = np.random.default_rng(0)
    for variable in model.variables:
        # A bias of zeros, as initialised, would be dropped by the converter; trained ones never are.
        if variable.path.endswith(("bias", "beta", "moving_mean")):
            variable.assign(rng.normal(0, 0.2, variable.shape))
    images = rng.normal(size=(4, *graph.inputs[0][1])).astype(np.float32)
    for precision in PRECISIONS:
        ours = _facts(write_tflite(graph, precision))
        theirs = _facts(convert(model, quantization=precision, calibration=images))
        assert ours == theirs, precision


def _facts(model):
    """Everything that a runtime sees of the operators. Expansions of constants come first, in any order."""
    facts = [
        (
            operator.name,
            operator.version,
            [(tensor.shape, tensor.dtype, tensor.is_constant) for tensor in operator.inputs if tensor],
            [(tensor.shape, tensor.dtype) for tensor in operator.outputs],
            dict(operator.options),
        )
        for operator in read_operators(model)
    ]
    expansions = [fact for fact in facts if fact[0] == "DEQUANTIZE"]
    return sorted(expansions, key=str), [fact for fact in facts if fact[0] != "DEQUANTIZE"]


def _network():
    return chain(
        "little",
        (28, 28, 1),
        {
            "stem": ConvBnAct(8, stride=2),
            "first": FusedInvertedBottleneck(16, stride=2, expansion=4),
            "second": InvertedBottleneck(16, expansion=4, activation="relu6"),
            "third": GroupConvInvertedBottleneck(24, expansion=2, groups=2, se_ratio=0.25),
            "head": ClassifierHead(10, dropout=0.2),
        },
    )


def _run(model, image):
    """The output as real numbers for an image of real numbers."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    if source["dtype"] == np.int8:
        scale, zero_point = source["quantization"]
        image = np.clip(np.rint(image / scale) + zero_point, -128, 127).astype(np.int8)
    interpreter.set_tensor(source["index"], image)
    interpreter.invoke()
    output = interpreter.get_tensor(result["index"])
    if result["dtype"] == np.int8:
        scale, zero_point = result["quantization"]
        return (output.astype(np.float32) - zero_point) * scale
    return output
