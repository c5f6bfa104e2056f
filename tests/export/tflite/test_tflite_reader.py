"""Reading models back, and refusing everything that is not one."""

from __future__ import annotations

import flatbuffers
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.export.tflite.assembler import ModelAssembler
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.reader import check_integer, model_io, read_operators, read_subgraphs
from edgenas.export.tflite.schema import schema
from edgenas.spaces.blocks import ClassifierHead, InvertedBottleneck
from edgenas.spaces.errors import InputError

GRAPH = InvertedBottleneck(filters=16, kernel=5, expansion=4, activation="relu6", se_ratio=0.25).lower((8, 8, 16))
MODEL = write_tflite(GRAPH, "int8")


def test_operators_have_names_versions_tensors_and_options():
    expand, depthwise, mean, *_ = read_operators(MODEL)
    assert (expand.name, expand.version, expand.fused_activation, expand.index) == ("CONV_2D", 3, "RELU6", 0)
    assert expand.input_shapes == ((1, 8, 8, 16), (64, 1, 1, 16), (64,))
    assert expand.output_shapes == ((1, 8, 8, 64),)
    assert [tensor.dtype for tensor in expand.inputs if tensor] == ["INT8", "INT8", "INT32"]
    assert [tensor.is_constant for tensor in expand.inputs if tensor] == [False, True, True]
    assert depthwise.options["depthMultiplier"] == 1
    assert depthwise.inputs[1] is not None
    assert depthwise.inputs[1].quantized_dimension == 3
    assert len(depthwise.inputs[1].scale) == 64
    assert (mean.name, mean.options["keepDims"], mean.fused_activation) == ("MEAN", True, "NONE")


def test_model_io_has_scales():
    ends = model_io(MODEL)
    (source,), (result,) = ends.inputs, ends.outputs
    assert (source.name, source.shape, source.dtype) == ("input0", (1, 8, 8, 16), "INT8")
    assert (result.shape, result.dtype) == ((1, 8, 8, 16), "INT8")
    assert len(source.scale) == len(source.zero_point) == 1
    assert source.scale[0] > 0
    assert model_io(write_tflite(GRAPH, "float32")).inputs[0].scale == ()


def test_integer_check_names_the_operators_and_ends_that_are_not():
    assert check_integer(MODEL) == []
    problems = check_integer(write_tflite(ClassifierHead(classes=3).lower((2, 2, 8)), "float32"))
    assert len(problems) == 4
    assert problems[0].startswith("operator 0 MEAN: input0 is FLOAT32")
    assert problems[2:] == ["input input0 is FLOAT32", "output logits is FLOAT32"]


def test_omitted_inputs_custom_operators_and_old_codes():
    assembler = ModelAssembler("main")
    source = assembler.add_tensor("source", (1, 4), "float32")
    kernel = assembler.add_tensor("kernel", (2, 4), "float32", data=np.ones((2, 4), np.float32))
    middle = assembler.add_tensor("middle", (1, 2), "float32")
    result = assembler.add_tensor("result", (1, 2), "float32")
    assembler.add_operator("FULLY_CONNECTED", [source, kernel, -1], middle, options="FullyConnectedOptions")
    assembler.add_operator("CUSTOM", [middle], result)
    model = schema().ModelT.InitFromPackedBuf(assembler.build([source], [result], "test"), 0)
    model.operatorCodes[0].builtinCode = 0  # as files from before 2020 have it
    model.operatorCodes[1].customCode = "edgetpu-custom-op"
    dense, custom = read_operators(_pack(model))
    assert (dense.name, dense.inputs[2]) == ("FULLY_CONNECTED", None)
    assert dense.input_shapes == ((1, 4), (2, 4))
    assert (custom.name, custom.is_custom, dense.is_custom) == ("edgetpu-custom-op", True, False)


def test_an_operator_that_the_schema_does_not_know_is_called_by_its_number():
    model = schema().ModelT.InitFromPackedBuf(MODEL, 0)
    model.operatorCodes[0].builtinCode = 9999
    assert read_operators(_pack(model))[0].name == "BUILTIN_9999"


def test_several_graphs_are_read_and_the_first_is_the_main_one():
    model = schema().ModelT.InitFromPackedBuf(MODEL, 0)
    body = schema().ModelT.InitFromPackedBuf(write_tflite(ClassifierHead(classes=3).lower((2, 2, 8)), "float32"), 0)
    for tensor in body.subgraphs[0].tensors:
        tensor.buffer = 0
    for operator in body.subgraphs[0].operators:
        operator.opcodeIndex = 0
    model.subgraphs.append(body.subgraphs[0])
    both = _pack(model)
    assert read_operators(both) == read_operators(MODEL)
    assert len(read_subgraphs(both)) == 2
    assert all(problem.startswith("subgraph 1, ") for problem in check_integer(both))
    assert check_integer(both)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"TFL3",
        b"PK\x03\x04" + bytes(100),
        b"\x1c\x00\x00\x00TFL3",
        b"\xff" * 4 + b"TFL3" + b"\xff" * 64,
        bytes(4096),
    ],
)
def test_files_that_are_no_models_are_refused(garbage):
    for read in (read_operators, model_io, check_integer):
        with pytest.raises(InputError, match="TFLite model"):
            read(garbage)


def test_every_truncation_is_refused():
    for length in range(0, len(MODEL) - 8, 61):
        with pytest.raises(InputError, match="TFLite model"):
            read_operators(MODEL[:length])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda m: setattr(m, "version", 4), "schema version 4"),
        (lambda m: setattr(m, "subgraphs", []), "no graph"),
        (lambda m: setattr(m.subgraphs[0].operators[1], "opcodeIndex", 77), "operator 1 refers to operator code 77"),
        (lambda m: setattr(m.subgraphs[0].operators[0], "inputs", np.array([0, 999], np.int32)), "no tensor 999"),
        (lambda m: setattr(m.subgraphs[0].operators[0], "outputs", np.array([-5], np.int32)), "no tensor -5"),
        (lambda m: setattr(m.subgraphs[0].tensors[2], "buffer", 500), "tensor 2 refers to buffer 500"),
        (lambda m: setattr(m.subgraphs[0].tensors[2], "type", 99), "tensor 2 has the unknown type 99"),
        (lambda m: setattr(m.subgraphs[0].tensors[0], "shape", np.array([1, -7], np.int32)), "tensor 0 has the shape"),
        (lambda m: setattr(m.subgraphs[0].tensors[0], "shape", np.ones(40, np.int32)), "tensor 0 has 40 sides"),
    ],
)
def test_references_to_nowhere_are_named(damage, words):
    model = schema().ModelT.InitFromPackedBuf(MODEL, 0)
    damage(model)
    with pytest.raises(InputError, match=words):
        read_operators(_pack(model))


@settings(max_examples=400)
@given(
    edits=st.lists(
        st.tuples(
            st.integers(0, len(MODEL) // 4 - 1),
            st.one_of(
                st.sampled_from([0, 1, 4, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, len(MODEL)]), st.integers(0, 2**32 - 1)
            ),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_a_damaged_model_is_read_or_refused_but_never_crashes(edits):
    damaged = bytearray(MODEL)
    for word, value in edits:
        damaged[4 * word : 4 * word + 4] = value.to_bytes(4, "little")
    try:
        read_operators(bytes(damaged))
        check_integer(bytes(damaged))
    except InputError as error:
        assert "TFLite model" in str(error)  # noqa: PT017  (either outcome is right)


def test_random_damage_is_mostly_noticed_where_it_hits_the_structure():
    """The test above would pass if nothing were ever checked: most damage to structure must be refused."""
    rng = np.random.default_rng(0)
    graph = InvertedBottleneck(filters=8, expansion=1).lower((4, 4, 8))
    model = write_tflite(graph, "int8")
    refused = 0
    for _ in range(300):
        damaged = bytearray(model)
        word = int(rng.integers(2, len(model) // 4))
        damaged[4 * word : 4 * word + 4] = b"\xff\xff\xff\x7f"
        try:
            read_operators(bytes(damaged))
        except InputError:
            refused += 1
    assert refused > 90


def _pack(model) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
