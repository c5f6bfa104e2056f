"""Entries, open sides and inputs of model files, on small files with edited structure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgenas.export.compilers.edgetpu.check import check_edgetpu
from edgenas.export.input_values import default_range, make_feeds, parse_range
from edgenas.export.tflite.entries import choose_entry, find_input, model_entries, refuse_what_is_no_number
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.model_rewriting import rewrite
from edgenas.export.tflite.reader import model_io, read_operators, read_subgraphs
from edgenas.export.tflite.schema import schema
from edgenas.export.tflite.shapes import with_entry_first, with_shapes
from edgenas.spaces.blocks import ConvBnAct
from edgenas.spaces.errors import InputError


def small(precision: str = "float32", shape: tuple[int, int, int] = (8, 8, 3)) -> bytes:
    return write_tflite(ConvBnAct(filters=4, kernel=3, stride=1).lower(shape), precision)


def opened(model: bytes, sides: tuple[int, ...]) -> bytes:
    """The model as converters write one with these input sides open: 1 in every shape, -1 in the signature."""

    def change(unpacked: Any) -> None:
        graph = unpacked.subgraphs[0]
        for tensor in graph.tensors:
            if len(tensor.shape) == 4 and unpacked.buffers[tensor.buffer].data is None:
                tensor.shapeSignature = [-1 if place in sides else side for place, side in enumerate(tensor.shape)]
                tensor.shape = [1 if place in sides else side for place, side in enumerate(tensor.shape)]

    return rewrite(model, change)


def two_graphs() -> bytes:
    """Two entries, named by signatures: 'small' on 8x8 and 'large', a copy of the graph, on 16x16."""

    def change(unpacked: Any) -> None:
        other = schema().ModelT.InitFromPackedBuf(small(shape=(16, 16, 3)), 0).subgraphs[0]
        for tensor, twin in zip(other.tensors, unpacked.subgraphs[0].tensors, strict=True):
            tensor.buffer = twin.buffer
        unpacked.subgraphs.append(other)
        unpacked.signatureDefs = [signature(name, index, other) for index, name in enumerate(("small", "large"))]

    return rewrite(small(), change)


def signature(name: str, graph: int, of: Any) -> Any:
    definition = schema().SignatureDefT()
    definition.signatureKey, definition.subgraphIndex = name, graph
    entry = schema().TensorMapT()
    entry.name, entry.tensorIndex = "picture", int(of.inputs[0])
    definition.inputs, definition.outputs = [entry], []
    return definition


def test_a_plain_file_has_one_entry() -> None:
    (entry,) = model_entries(small())
    assert entry.subgraph == 0
    assert [given.shape for given in entry.inputs] == [(1, 8, 8, 3)]
    assert entry.open_inputs == ()
    assert choose_entry([entry], None) is entry


def test_several_signatures_are_named_and_chosen() -> None:
    model = two_graphs()
    entries = model_entries(model)
    assert [entry.name for entry in entries] == ["small", "large"]
    with pytest.raises(InputError, match=r"2 entries: choose one with --signature NAME: small .*; large .*16, 16, 3"):
        choose_entry(entries, None)
    with pytest.raises(InputError, match="no signature or graph 'huge'"):
        choose_entry(entries, "huge")
    large = choose_entry(entries, "large")
    assert choose_entry(entries, "1") is large
    chosen = with_entry_first(model, large)
    assert model_io(chosen).inputs[0].shape == (1, 16, 16, 3)
    assert [entry.name for entry in model_entries(chosen)] == ["large", "small"]
    assert find_input(large, "picture").shape == (1, 16, 16, 3)


def test_bodies_of_control_flow_are_no_entries() -> None:
    def change(unpacked: Any) -> None:
        code = schema().OperatorCodeT()
        code.builtinCode = schema().BuiltinOperator.WHILE
        code.deprecatedBuiltinCode, code.version = schema().BuiltinOperator.WHILE, 1
        unpacked.operatorCodes.append(code)
        graph = schema().ModelT.InitFromPackedBuf(small(), 0).subgraphs[0]
        for tensor in graph.tensors:
            tensor.buffer = 0
        unpacked.subgraphs += [graph, graph]
        loop = schema().OperatorT()
        loop.opcodeIndex = len(unpacked.operatorCodes) - 1
        loop.inputs = loop.outputs = list(unpacked.subgraphs[0].outputs)
        loop.builtinOptionsType = schema().BuiltinOptions.WhileOptions
        loop.builtinOptions = schema().WhileOptionsT()
        loop.builtinOptions.condSubgraphIndex, loop.builtinOptions.bodySubgraphIndex = 1, 2
        unpacked.subgraphs[0].operators.append(loop)

    model = rewrite(small("int8"), change)
    assert len(read_subgraphs(model)) == 3
    assert [entry.subgraph for entry in model_entries(model)] == [0]
    report = check_edgetpu(model)
    assert report.mapped == 0
    assert "control flow" in str(report.failure)


def test_open_sides_are_read_and_given() -> None:
    model = opened(small(), (0, 1, 2))
    (entry,) = model_entries(model)
    assert entry.open_inputs[0].shape == (-1, -1, -1, 3)
    assert not entry.open_inputs[0].has_open_batch_only
    fixed = with_shapes(model, {entry.inputs[0].tensor.index: (1, 10, 12, 3)})
    assert [given.shape for given in model_entries(fixed)[0].inputs] == [(1, 10, 12, 3)]
    assert read_operators(fixed)[-1].output_shapes == ((1, 10, 12, 4),)
    assert not any(tensor.is_open for operator in read_operators(fixed) for tensor in operator.outputs)


def test_shapes_that_the_model_does_not_take_are_refused() -> None:
    model = opened(small(), (1, 2, 3))
    (entry,) = model_entries(model)
    with pytest.raises(InputError, match="does not take inputs of shape"):
        with_shapes(model, {entry.inputs[0].tensor.index: (1, 8, 8, 5)})


def test_an_open_batch_is_told_apart() -> None:
    (entry,) = model_entries(opened(small(), (0,)))
    assert entry.open_inputs[0].has_open_batch_only


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("INT8", (-128, 127)), ("UINT8", (0, 255)), ("INT32", (0, 1)), ("INT64", (0, 1)), ("BOOL", (0, 1))],
)
def test_whole_numbers_without_scale_are_zero_and_one(dtype: str, expected: tuple[int, int]) -> None:
    (entry,) = model_entries(with_input_type(dtype))
    assert default_range(entry.inputs[0]) == expected


def with_input_type(dtype: str) -> bytes:
    """An int8 model whose input is said to be of another type: only the description is of interest."""

    def change(unpacked: Any) -> None:
        graph = unpacked.subgraphs[0]
        tensor = graph.tensors[graph.inputs[0]]
        tensor.type = getattr(schema().TensorType, dtype)
        if dtype not in ("INT8", "UINT8"):
            tensor.quantization = None

    return rewrite(small("int8"), change)


@pytest.mark.parametrize("dtype", ["STRING", "RESOURCE", "VARIANT"])
def test_inputs_of_no_numbers_are_refused(dtype: str) -> None:
    (entry,) = model_entries(with_input_type(dtype))
    with pytest.raises(InputError, match=f"type {dtype}"):
        refuse_what_is_no_number(entry)


def test_ranges_and_values_are_checked() -> None:
    (entry,) = model_entries(with_input_type("INT32"))
    name = entry.inputs[0].name
    (feed,) = make_feeds(entry, [parse_range(f"{name}=0:1000")])
    assert (feed.low, feed.high) == (0, 1000)
    assert feed.to_runner()["high"] == 1000
    values = np.full((1, 8, 8, 3), 7)
    (feed,) = make_feeds(entry, arrays={name: values}, source="x.npz")
    assert (feed.low, feed.high, feed.to_json()["file"]) == (7, 7, "x.npz")
    for wrong in (f"{name}=1", f"{name}=5:1", "=0:1", f"{name}=0:nan"):
        with pytest.raises(InputError, match="expected NAME=LO:HI"):
            parse_range(wrong)
    with pytest.raises(InputError, match="must be whole numbers"):
        make_feeds(entry, [(name, 0.5, 1.0)])
    with pytest.raises(InputError, match="no input called 'nobody'"):
        make_feeds(entry, [("nobody", 0, 1)])
    with pytest.raises(InputError, match="has the shape"):
        make_feeds(entry, arrays={name: values[:, :4]}, source="x.npz")
    with pytest.raises(InputError, match="values that are no INT32"):
        make_feeds(entry, arrays={name: values + 0.5}, source="x.npz")


def test_real_values_of_a_quantized_input_are_quantized() -> None:
    (entry,) = model_entries(small("int8"))
    tensor = entry.inputs[0].tensor
    values = np.full((1, 8, 8, 3), 10 * tensor.scale[0], np.float32)
    (feed,) = make_feeds(entry, arrays={entry.inputs[0].name: values}, source="x.npz")
    assert feed.values is not None
    assert (feed.values == 10 + tensor.zero_point[0]).all()
    assert feed.values.dtype == np.int8
