"""What the Edge TPU takes of hand-built models, and damaged files."""

from __future__ import annotations

import flatbuffers
import numpy as np
import pytest

from edgenas.export.compilers.edgetpu.check import check_edgetpu, partition
from edgenas.export.compilers.edgetpu.compiled import compiled_parts, is_compiled
from edgenas.export.compilers.edgetpu.parameters import CACHE_BYTES
from edgenas.export.compilers.edgetpu.rules import MAPPED, MORE_THAN_ONE_SUBGRAPH, NEWEST_VERSIONS, RULES
from edgenas.export.quantization.activation_ranges import Quantization
from edgenas.export.tflite.assembler import ModelAssembler
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.reader import read_operators
from edgenas.export.tflite.schema import schema
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct, GroupConvInvertedBottleneck, InvertedBottleneck
from edgenas.spaces.errors import InputError
from edgenas.spaces.references import reference_network

SCALE = Quantization(np.array([0.1], np.float32), 0, 0)


class Model:
    """A model written operator by operator."""

    def __init__(self, *shape: int, dtype: str = "int8") -> None:
        self.assembler = ModelAssembler("main")
        self.source = self.tensor(*shape, dtype=dtype)

    def tensor(self, *shape: int, dtype: str = "int8") -> int:
        return self.assembler.add_tensor("tensor", shape, dtype, SCALE if dtype == "int8" else None)

    def constant(self, values, dtype: str = "int32") -> int:
        data = np.array(values, dtype)
        return self.assembler.add_tensor("constant", data.shape, dtype, SCALE if dtype == "int8" else None, data)

    def add(self, kind: str, inputs: list[int], *shape: int, dtype: str = "int8", **options) -> int:
        output = self.tensor(*shape, dtype=dtype)
        self.assembler.add_operator(kind, inputs, output, **options)
        return output

    def conv(self, source: int, height: int, channels: int, filters: int) -> int:
        kernel, bias = self.constant(np.ones((filters, 1, 1, channels)), "int8"), self.constant(np.ones(filters))
        return self.add(
            "CONV_2D", [source, kernel, bias], 1, height, height, filters, version=3, options="Conv2DOptions"
        )

    def build(self, *outputs: int) -> bytes:
        return self.assembler.build([self.source], list(outputs), "test")


def one(kind: str, before: tuple[int, ...], after: tuple[int, ...], *constants, **options) -> bytes:
    """A model of one operator."""
    model = Model(*before)
    inputs = [model.source, *(model.constant(values) for values in constants)]
    return model.build(model.add(kind, inputs, *after, **options))


def only(model: bytes):
    (operator,) = check_edgetpu(model).operators
    return operator


def repack(model: bytes, change) -> bytes:
    unpacked = schema().ModelT.InitFromPackedBuf(model, 0)
    change(unpacked)
    builder = flatbuffers.Builder(1024)
    builder.Finish(unpacked.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("name", ["mobilenet_v2_1.0", "mobilenet_edgetpu_v2_xs", "efficientnet_lite0"])
def test_networks_made_for_the_edge_tpu_map_whole(name):
    report = check_edgetpu(write_tflite(reference_network(name, (64, 64, 3)).graph, "int8"))
    if name.startswith("mobilenet_edgetpu_v2"):
        assert report.failure  # its group convolutions are one operator of version 6 each
        return
    assert report.cpu == 0
    assert {operator.reason for operator in report.operators} == {MAPPED}
    assert 0 < report.cached_bytes == report.parameter_bytes <= CACHE_BYTES
    assert report.changes == ()


def test_the_first_unmapped_operator_ends_the_partition():
    graph = InvertedBottleneck(filters=16, activation="hard_swish").lower((8, 8, 16))
    report = check_edgetpu(write_tflite(graph, "int8"))
    first, swish, *rest = report.operators
    assert (first.op, first.mapped) == ("CONV_2D", True)
    assert (swish.op, swish.mapped, swish.reason) == ("HARD_SWISH", False, "Operation not supported")
    assert rest
    assert {operator.reason for operator in rest} == {MORE_THAN_ONE_SUBGRAPH, "Operation not supported"}
    assert (report.mapped, report.cpu) == (1, len(rest) + 1)
    assert "relu" in report.changes[0]
    assert report.to_json()["operators"][1] == {
        "index": 1,
        "op": "HARD_SWISH",
        "mapped": False,
        "reason": "Operation not supported",
    }


def test_float_models_stay_on_the_cpu():
    report = check_edgetpu(write_tflite(ConvBnAct(filters=8).lower((8, 8, 3)), "float32"))
    assert report.mapped == 0 == report.parameter_bytes
    assert report.operators[0].reason.startswith("Operation is working on an unsupported data type")


def test_float_ends_cost_only_their_own_operators():
    model = Model(1, 8, 8, 3, dtype="float32")
    inside = model.add("QUANTIZE", [model.source], 1, 8, 8, 3)
    result = model.conv(inside, 8, 3, 8)
    report = check_edgetpu(model.build(model.add("LOGISTIC", [result], 1, 8, 8, 8)))
    assert [operator.mapped for operator in report.operators] == [False, True, True]
    assert report.operators[0].reason.startswith("Operation is otherwise supported, but not mapped")


def test_a_branch_beside_an_unmapped_operator_is_taken_and_what_joins_them_is_not():
    model = Model(1, 8, 8, 8)
    stem = model.conv(model.source, 8, 8, 8)
    swish = model.add("HARD_SWISH", [stem], 1, 8, 8, 8)
    beside = model.conv(stem, 8, 8, 8)
    joined = model.add("ADD", [swish, beside], 1, 8, 8, 8)
    report = check_edgetpu(model.build(joined))
    assert [operator.mapped for operator in report.operators] == [True, False, True, False]
    assert report.operators[3].reason == MORE_THAN_ONE_SUBGRAPH


def test_partition_of_nothing_and_of_all():
    operators = read_operators(write_tflite(ConvBnAct(filters=8, activation="swish").lower((8, 8, 3)), "int8"))
    assert partition((), []) == []
    assert partition(operators, [True] * 3) == [True] * 3
    assert partition(operators, [False] * 3) == [False] * 3
    assert partition(operators, [True, False, True]) == [True, False, False]


def test_group_convolutions_make_the_compiler_refuse_the_file():
    block = GroupConvInvertedBottleneck(filters=16, expansion=4, groups=4)
    report = check_edgetpu(write_tflite(block.lower((8, 8, 16)), "int8"))
    assert report.failure == "Didn't find op for builtin opcode 'CONV_2D' version '6'"
    assert report.mapped == 0
    assert any("SPLIT" in change for change in report.changes)


REFUSED = {
    "fused activation": one(
        "MAX_POOL_2D",
        (1, 4, 4, 8),
        (1, 2, 2, 8),
        options="Pool2DOptions",
        strideW=2,
        strideH=2,
        filterWidth=2,
        filterHeight=2,
        fusedActivationFunction=3,
    ),
    "2D output": one("SOFTMAX", (1, 4, 8), (1, 4, 8), options="SoftmaxOptions"),
    "16,000": one("SOFTMAX", (1, 16_001), (1, 16_001), options="SoftmaxOptions"),
    "reduces over the batch": one("MEAN", (1, 4, 4, 8), (4, 4, 8), [0], options="ReducerOptions"),
    "multiple of 4": one("MEAN", (1, 4, 4, 6), (1, 4, 4), [-1], options="ReducerOptions"),
    "too many values": one("MEAN", (1, 256, 128, 3), (1, 3), [1, 2], options="ReducerOptions"),
    "pads the batch": one("PAD", (1, 4, 4, 8), (2, 4, 4, 8), [[0, 1], [0, 0], [0, 0], [0, 0]]),
    "more than 16 times": one("RESIZE_BILINEAR", (1, 1, 1, 8), (1, 33, 33, 8), [33, 33]),
    "3 MiB": one("RESIZE_BILINEAR", (1, 256, 256, 32), (1, 512, 512, 32), [512, 512]),
    "half-pixel": one(
        "RESIZE_NEAREST_NEIGHBOR",
        (1, 4, 4, 8),
        (1, 8, 8, 8),
        [8, 8],
        options="ResizeNearestNeighborOptions",
        halfPixelCenters=True,
    ),
    "stride other than 1": one(
        "STRIDED_SLICE",
        (1, 4, 4, 8),
        (1, 2, 2, 8),
        [0, 0, 0, 0],
        [1, 4, 4, 8],
        [1, 2, 2, 1],
        options="StridedSliceOptions",
    ),
    "unsupported rank": one("LOGISTIC", (2, 4, 4, 8), (2, 4, 4, 8)),
    "tensor is large": one("RESHAPE", (1, 64, 64, 255), (1, 4096, 3, 85), [1, 4096, 3, 85]),
    "not supported": one("LEAKY_RELU", (1, 4, 4, 8), (1, 4, 4, 8), options="LeakyReluOptions"),
    "between others": one("SQUEEZE", (1, 5, 1, 8), (1, 5, 8), options="SqueezeOptions"),
}


@pytest.mark.parametrize("words", REFUSED)
def test_limits(words):
    operator = only(REFUSED[words])
    assert not operator.mapped
    assert words in operator.reason
    assert operator.change


TAKEN = [
    one("SOFTMAX", (1, 1001), (1, 1001), options="SoftmaxOptions"),
    one("MEAN", (1, 7, 7, 30), (1, 30), [1, 2], options="ReducerOptions"),
    one("MEAN", (1, 4, 4, 8), (1, 4, 4), [-1], options="ReducerOptions"),
    one("PAD", (1, 4, 4, 8), (1, 5, 5, 8), [[0, 0], [0, 1], [0, 1], [0, 0]]),
    one("RESIZE_BILINEAR", (1, 8, 8, 32), (1, 16, 16, 32), [16, 16]),
    one("RESHAPE", (1, 1, 1, 64), (1, 64), [1, 64]),
    one("LOGISTIC", (1, 4, 4, 8), (1, 4, 4, 8)),
    one("TRANSPOSE", (1, 4, 4, 8), (1, 8, 4, 4), [0, 3, 1, 2]),
]


@pytest.mark.parametrize("model", TAKEN, ids=lambda model: read_operators(model)[0].name)
def test_what_keeps_to_the_limits_is_mapped(model):
    operator = only(model)
    assert operator.mapped, operator.reason


def test_a_constant_may_be_concatenated_only_as_padding_with_zeros():
    for value, mapped in ((0, True), (1, False)):
        model = Model(1, 4, 4, 8)
        other = model.constant(np.full((1, 4, 4, 8), value), "int8")
        joined = model.add("CONCATENATION", [model.source, other], 1, 4, 4, 16, options="ConcatenationOptions", axis=3)
        assert only(model.build(joined)).mapped is mapped


def test_computed_weights_and_dilations_are_refused():
    model = Model(1, 4, 4, 8)
    kernel = model.tensor(8, 1, 1, 8)
    computed = model.add("CONV_2D", [model.source, kernel], 1, 4, 4, 8, options="Conv2DOptions")
    assert only(model.build(computed)).reason.startswith("Filter, bias, or other param is not constant")
    plain = write_tflite(ConvBnAct(filters=8).lower((8, 8, 8)), "int8")

    def dilate(unpacked) -> None:
        unpacked.subgraphs[0].operators[0].builtinOptions.dilationWFactor = 2

    assert "dilates" in only(repack(plain, dilate)).reason


def test_infinite_scales_are_named():
    def damage(unpacked) -> None:
        unpacked.subgraphs[0].tensors[0].quantization.scale = np.array([np.inf], np.float32)

    operator = only(repack(write_tflite(ConvBnAct(filters=8).lower((8, 8, 8)), "int8"), damage))
    assert "scale" in operator.reason
    assert "calibrate" in operator.change


def test_sizes_that_are_not_fixed_fail_the_file():
    def unfix(unpacked) -> None:
        unpacked.subgraphs[0].tensors[0].shape = np.array([-1, 8, 8, 3], np.int32)

    report = check_edgetpu(repack(write_tflite(ConvBnAct(filters=8).lower((8, 8, 3)), "int8"), unfix))
    assert "static-sized tensors" in str(report.failure)
    assert report.mapped == 0


def test_newer_operator_versions_fail_the_file():
    def age(unpacked) -> None:
        unpacked.operatorCodes[0].version = NEWEST_VERSIONS["FULLY_CONNECTED"] + 3

    graph = ClassifierHead(classes=10).lower((1, 1, 8))
    model = write_tflite(graph, "int8")
    names = [operator.name for operator in read_operators(model)]
    assert names == ["MEAN", "FULLY_CONNECTED"]

    def age_dense(unpacked) -> None:
        unpacked.operatorCodes[1].version = 12

    report = check_edgetpu(repack(model, age_dense))
    assert "FULLY_CONNECTED' version '12'" in str(report.failure)
    assert "per tensor" in " ".join(report.changes)
    assert [operator.mapped for operator in report.operators] == [False, False]


def test_parameters_beyond_the_cache_are_streamed():
    model = Model(1, 4096)
    kernel = model.constant(np.ones((4096, 4096)), "int8")
    report = check_edgetpu(
        model.build(
            model.add("FULLY_CONNECTED", [model.source, kernel], 1, 4096, version=4, options="FullyConnectedOptions")
        )
    )
    assert report.cached_bytes == CACHE_BYTES
    assert report.parameter_bytes == report.cached_bytes + report.streamed_bytes > 4096**2
    assert "sent again" in report.changes[-1]


def test_every_rule_has_words():
    for limits in RULES.values():
        for limit in limits:
            assert limit.status
            assert limit.found
            assert limit.change


# Compiled files ----------------------------------------------------------------------------------------------------


def _vector(builder, size: int) -> int:
    return builder.CreateByteVector(bytes(size))


def _executable(kind: int, parameters: int, instructions: int, cycles: int) -> bytes:
    builder = flatbuffers.Builder(64)
    stream = _vector(builder, instructions)
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(0, stream, 0)
    bitstream = builder.EndObject()
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(bitstream)
    streams = builder.EndVector()
    stored = _vector(builder, parameters)
    builder.StartObject(17)
    builder.PrependUOffsetTRelativeSlot(5, streams, 0)
    builder.PrependUOffsetTRelativeSlot(6, stored, 0)
    builder.PrependInt16Slot(13, kind, 0)
    builder.PrependInt64Slot(16, cycles, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def package(*executables: bytes) -> bytes:
    builder = flatbuffers.Builder(64)
    texts = [builder.CreateString(raw) for raw in executables]
    builder.StartVector(4, len(texts), 4)
    for text in reversed(texts):
        builder.PrependUOffsetTRelative(text)
    vector = builder.EndVector()
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, vector, 0)
    builder.Finish(builder.EndObject())
    bundle = bytes(builder.Output())
    builder = flatbuffers.Builder(64)
    inner = builder.CreateByteVector(bundle)
    builder.StartObject(3)
    builder.PrependUOffsetTRelativeSlot(1, inner, 0)
    builder.Finish(builder.EndObject(), b"DWN1")
    return bytes(builder.Output())


def compiled_model(options: bytes) -> bytes:
    model = Model(1, 8, 8, 3)
    custom = model.add("CUSTOM", [model.source], 1, 10)
    plain = model.build(model.add("LEAKY_RELU", [custom], 1, 10, options="LeakyReluOptions"))

    def compile_it(unpacked) -> None:
        unpacked.operatorCodes[0].customCode = "edgetpu-custom-op"
        unpacked.subgraphs[0].operators[0].customOptions = np.frombuffer(options, np.uint8)

    return repack(plain, compile_it)


def test_compiled_models_are_read():
    options = b"some" + package(_executable(2, 300, 64, 21_568), _executable(1, 5_000, 16, 0))
    model = compiled_model(options)
    report = check_edgetpu(model)
    assert is_compiled(model)
    assert report.compiled
    assert [operator.mapped for operator in report.operators] == [True, False]
    assert (report.parameter_bytes, report.cached_bytes, report.streamed_bytes) == (5_300, 5_000, 300)
    (part,) = compiled_parts(model)
    assert (part.instruction_bytes, part.estimated_cycles) == (64, 21_568)
    assert not is_compiled(TAKEN[0])


@pytest.mark.parametrize("options", [b"", b"DWN1", bytes(64), b"0000\xff\xff\xff\xffDWN1" + bytes(40)])
def test_damaged_packages_are_refused(options):
    with pytest.raises(InputError, match=r"damaged compiled model|TFLite model"):
        check_edgetpu(compiled_model(options))


# Hostile files -----------------------------------------------------------------------------------------------------

SEEDS = [
    write_tflite(InvertedBottleneck(filters=16, se_ratio=0.25, activation="relu6").lower((8, 8, 16)), "int8"),
    write_tflite(ClassifierHead(classes=5).lower((4, 4, 8)), "int8"),
    compiled_model(package(_executable(2, 30, 64, 1), _executable(1, 50, 16, 0))),
    REFUSED["stride other than 1"],
    REFUSED["reduces over the batch"],
    TAKEN[3],
]


def test_a_thousand_mutations_are_checked_or_refused_but_never_crash():
    rng = np.random.default_rng(0)
    refused = 0
    for round_ in range(1_000):
        damaged = bytearray(SEEDS[round_ % len(SEEDS)])
        for _ in range(rng.integers(1, 6)):
            place = int(rng.integers(0, len(damaged)))
            kind = rng.integers(0, 4)
            if kind == 0:
                damaged[place] = int(rng.integers(0, 256))
            elif kind == 1:
                damaged[place : place + 4] = int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF])).to_bytes(4, "little")
            elif kind == 2:
                del damaged[place : place + int(rng.integers(1, 64))]
            else:
                damaged[place:place] = bytes(int(rng.integers(1, 16)))
            if not damaged:
                break
        try:
            report = check_edgetpu(bytes(damaged))
        except InputError:
            refused += 1
            continue
        assert report.mapped + report.cpu == len(report.operators)
        assert report.cached_bytes + report.streamed_bytes == report.parameter_bytes
    assert 100 < refused < 1_000  # both outcomes are exercised


@pytest.mark.parametrize("shape", [(), (0,), (1, 0, 0, 0)])
def test_empty_shapes_do_no_harm(shape):
    def flatten(unpacked) -> None:
        for tensor in unpacked.subgraphs[0].tensors:
            tensor.shape = np.array(shape, np.int32)

    for seed in (*SEEDS[:2], *REFUSED.values(), *TAKEN):
        check_edgetpu(repack(seed, flatten))


def test_operators_without_ends_do_no_harm():
    def cut(unpacked) -> None:
        for operator in unpacked.subgraphs[0].operators:
            operator.inputs = np.array([], np.int32)
            operator.outputs = np.array([], np.int32)

    for seed in (*SEEDS[:2], *REFUSED.values(), *TAKEN):
        assert check_edgetpu(repack(seed, cut)).mapped == 0
