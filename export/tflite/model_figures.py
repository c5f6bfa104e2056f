"""What any model file holds, in a few figures: operators, parameters, inputs and outputs."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from edgenas.export.tflite.reader import TfliteTensor, check_integer, model_io, read_subgraphs


def model_figures(model: bytes) -> dict[str, Any]:
    """``{"size_bytes", "params", "operators": {NAME: COUNT}, "operator_count", "integer", "inputs", "outputs"}``.

    ``params`` counts the stored weights and biases of all graphs: constants that are floats or have a scale, not axes
    and shapes. Raises InputError on anything but a whole model.

    >>> from edgenas.export.tflite.flatbuffer import write_tflite
    >>> from edgenas.spaces.blocks import ConvBnAct
    >>> model_figures(write_tflite(ConvBnAct(filters=8, kernel=3).lower((4, 4, 3)), "int8"))["params"]
    224
    """
    ends = model_io(model)
    operators: Counter[str] = Counter()
    params = 0
    for subgraph in read_subgraphs(model):
        operators.update(operator.name for operator in subgraph.operators)
        constants = {
            tensor.index: tensor
            for operator in subgraph.operators
            for tensor in operator.inputs
            if tensor is not None and tensor.is_constant and (tensor.scale or not tensor.is_integer)
        }
        params += sum(math.prod(tensor.shape) for tensor in constants.values())
    return {
        "size_bytes": len(model),
        "params": params,
        "operators": dict(sorted(operators.items())),
        "operator_count": sum(operators.values()),
        "integer": not check_integer(model),
        "inputs": [_end(tensor) for tensor in ends.inputs],
        "outputs": [_end(tensor) for tensor in ends.outputs],
    }


def _end(tensor: TfliteTensor) -> dict[str, Any]:
    return {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype}
