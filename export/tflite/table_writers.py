"""How rows of raw numbers become features, and standardised answers values: operators on real numbers.

In an int8 model they stand before a QUANTIZE and behind a DEQUANTIZE. A place ``v`` among a column's values is
one-hot where ``relu(1 - |v - k|)`` is 1: exact for whole numbers, and of operators that every runtime has.
"""

from __future__ import annotations

import numpy as np

from edgenas.export.deployed import DeployedNode
from edgenas.export.quantization.activation_ranges import STANDARD_NORMAL
from edgenas.export.tflite.model_writer import ModelWriter, op_writer
from edgenas.export.tflite.schema import schema
from edgenas.spaces.errors import InputError
from edgenas.spaces.ops import ColumnFeatures, RestoreUnit


@op_writer(ColumnFeatures)
def _write_features(writer: ModelWriter, node: DeployedNode) -> None:
    op = node.op
    assert isinstance(op, ColumnFeatures)
    width = op.numeric + sum(op.categories)
    parts = []
    row = writer.tensor(node.inputs[0])
    if op.numeric:
        raw = row if not op.categories else _slice(writer, node, row, "numbers", 0, op.numeric)
        parts.append((_standardised(writer, node, raw, op.numeric), op.numeric))
    if op.categories:
        raw = row if not op.numeric else _slice(writer, node, row, "places", op.numeric, len(op.categories))
        parts.append((_one_hot(writer, node, raw, op.categories), width - op.numeric))
    features = parts[0][0]
    if len(parts) > 1:
        features = writer.add_temporary(f"{node.name}/joined", (width,), "float32")
        writer.add_operator(
            "CONCATENATION", [tensor for tensor, _ in parts], features, options="ConcatenationOptions", axis=1
        )
    output = writer.add_activation(node.name, STANDARD_NORMAL, quantization=writer.begins_with)
    if writer.is_int8:
        writer.add_operator("QUANTIZE", [features], output, options="QuantizeOptions")
    else:  # a copy that every runtime has, so that the output has the node's name
        shape = writer.add_constant(f"{node.name}/shape", np.array([1, width], np.int32))
        writer.add_operator("RESHAPE", [features, shape], output, options="ReshapeOptions", newShape=[1, width])


def _slice(writer: ModelWriter, node: DeployedNode, row: int, part: str, start: int, size: int) -> int:
    output = writer.add_temporary(f"{node.name}/{part}", (size,), "float32")
    ends = [
        writer.add_constant(f"{node.name}/{part}/{name}", np.array(values, np.int32))
        for name, values in (("begin", [0, start]), ("size", [1, size]))
    ]
    writer.add_operator("SLICE", [row, *ends], output, options="SliceOptions")
    return output


def _standardised(writer: ModelWriter, node: DeployedNode, raw: int, count: int) -> int:
    mean, std = _constants(writer, node, count)
    centred = writer.add_temporary(f"{node.name}/centred", (count,), "float32")
    output = writer.add_temporary(f"{node.name}/standardised", (count,), "float32")
    writer.add_operator("SUB", [raw, writer.add_constant(f"{node.name}/mean", mean)], centred, options="SubOptions")
    inverse = writer.add_constant(f"{node.name}/inverse", (1 / std).astype(np.float32))
    writer.add_operator("MUL", [centred, inverse], output, options="MulOptions")
    return output


def _one_hot(writer: ModelWriter, node: DeployedNode, raw: int, categories: tuple[int, ...]) -> int:
    count = sum(categories)
    source = raw
    if len(categories) > 1:
        columns = np.repeat(np.arange(len(categories)), categories).astype(np.int32)
        source = writer.add_temporary(f"{node.name}/repeated", (count,), "float32")
        places = writer.add_constant(f"{node.name}/columns", columns)
        writer.add_operator("GATHER", [raw, places], source, options="GatherOptions", axis=1)
    values = np.concatenate([np.arange(each) for each in categories]).astype(np.float32)
    away, distance, output = (
        writer.add_temporary(f"{node.name}/{part}", (count,), "float32") for part in ("away", "distance", "one_hot")
    )
    writer.add_operator("SUB", [source, writer.add_constant(f"{node.name}/values", values)], away, options="SubOptions")
    writer.add_operator("ABS", [away], distance, options="AbsOptions")
    one = writer.add_constant(f"{node.name}/one", np.array([1.0], np.float32))
    relu = schema().ActivationFunctionType.RELU
    writer.add_operator("SUB", [one, distance], output, options="SubOptions", fusedActivationFunction=relu)
    return output


@op_writer(RestoreUnit)
def _write_unit(writer: ModelWriter, node: DeployedNode) -> None:
    (name,) = node.inputs
    source, (count,) = writer.tensor(name), writer.graph.shapes[name]
    if writer.is_int8:
        real = writer.add_temporary(f"{node.name}/real", (count,), "float32")
        writer.add_last_operator("DEQUANTIZE", [source], real, version=2, options="DequantizeOptions")
        source = real
    mean, std = _constants(writer, node, count)
    scaled = writer.add_temporary(f"{node.name}/scaled", (count,), "float32")
    output = writer.add_activation(node.name, STANDARD_NORMAL)
    writer.add_operator("MUL", [source, writer.add_constant(f"{node.name}/std", std)], scaled, options="MulOptions")
    writer.add_operator("ADD", [scaled, writer.add_constant(f"{node.name}/mean", mean)], output, options="AddOptions")


def _constants(writer: ModelWriter, node: DeployedNode, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(mean, deviation); without given ones the values are standardised already."""
    given = writer.constants.get(node.name, (np.zeros(count), np.ones(count)))
    mean, std = (np.asarray(values, np.float32) for values in given)
    if mean.shape != (count,) or std.shape != (count,):
        raise InputError(f"node {node.name!r}: {mean.size} means and {std.size} deviations for {count} values")
    return mean, std
