"""How the arg-max of segmentation networks is written: one operator, or a chain that every accelerator takes.

The chain is exact in int8. With the input's scale s, ``x - max(x)`` is 0 at the largest channels and a negative
multiple of s elsewhere. Times w/s, where w counts the channels down to 1, plus w, and a relu: w at the largest, 0
elsewhere. The largest w is that of the first of equals, and the number of channels minus it is the label. (After the
arg-max of Autoseg-EdgeTPU's export, tensorflow/models official/projects/edgetpu/vision/modeling/custom_layers.py.)
"""

from __future__ import annotations

import numpy as np

from edgenas.export.deployed import DeployedNode
from edgenas.export.quantization.activation_ranges import ActivationRange, Quantization
from edgenas.export.tflite.model_writer import ModelWriter, op_writer
from edgenas.export.tflite.schema import schema
from edgenas.spaces.ops import ClassMap

_ONE = np.array([1.0], np.float32)
#: Labels as they come out of a cast, and as the chain leaves them: 0 is the least of 8 bits.
_CAST, _COUNTED = Quantization(_ONE, 0), Quantization(_ONE, -128)


@op_writer(ClassMap)
def _write_class_map(writer: ModelWriter, node: DeployedNode) -> None:
    assert isinstance(node.op, ClassMap)
    channels = writer.graph.shapes[node.inputs[0]][-1]
    values = ActivationRange(0.0, float(channels - 1), (channels - 1) / 2, channels**2 / 3)
    if writer.is_int8 and node.op.operators == "chain":
        _write_chain(writer, node, channels, writer.add_activation(node.name, values, quantization=_COUNTED))
        return
    output = writer.add_activation(node.name, values, quantization=_CAST)
    numbers = writer.add_temporary(f"{node.name}/numbers", writer.graph.shapes[node.name], "int32")
    types = schema().TensorType
    writer.add_operator(
        "ARG_MAX",
        [writer.tensor(node.inputs[0]), writer.add_constant(f"{node.name}/axis", np.array(-1, np.int32))],
        numbers,
        version=2 if writer.is_int8 else 1,
        options="ArgMaxOptions",
        outputType=types.INT32,
    )
    writer.add_operator(
        "CAST",
        [numbers],
        output,
        options="CastOptions",
        inDataType=types.INT32,
        outDataType=types.INT8 if writer.is_int8 else types.FLOAT32,
    )


def _write_chain(writer: ModelWriter, node: DeployedNode, channels: int, output: int) -> None:
    (source,) = node.inputs
    scale, shape = writer.scale(source), writer.graph.shapes[source]
    name, plain = node.name, Quantization(_ONE, 0)

    def temporary(part: str, sides: tuple[int, ...], quantization: Quantization) -> int:
        return writer.add_temporary(f"{name}/{part}", sides, "int8", quantization)

    axis = writer.add_constant(f"{name}/axis", np.array([3], np.int32))
    largest = temporary("largest", (*shape[:2], 1), writer.quantization(source))
    below = temporary("below", shape, Quantization(np.array([scale], np.float32), 127))
    weighted = temporary("weighted", shape, Quantization(_ONE, 127))
    kept = temporary("kept", shape, _COUNTED)
    first = temporary("first", shape[:2], _COUNTED)
    weights = np.arange(channels, 0, -1).astype(np.int8)
    times = writer.add_constant(f"{name}/times", weights, Quantization(np.array([1 / scale], np.float32)))
    plus = writer.add_constant(f"{name}/plus", weights, plain)
    count = writer.add_constant(f"{name}/count", np.array([channels], np.int8), plain)
    relu = schema().ActivationFunctionType.RELU
    writer.add_operator(
        "REDUCE_MAX", [writer.tensor(source), axis], largest, version=2, options="ReducerOptions", keepDims=True
    )
    writer.add_operator("SUB", [writer.tensor(source), largest], below, version=2, options="SubOptions")
    writer.add_operator("MUL", [below, times], weighted, version=2, options="MulOptions")
    writer.add_operator("ADD", [weighted, plus], kept, version=2, options="AddOptions", fusedActivationFunction=relu)
    writer.add_operator("REDUCE_MAX", [kept, axis], first, version=2, options="ReducerOptions", keepDims=False)
    writer.add_operator("SUB", [count, first], output, version=2, options="SubOptions")
