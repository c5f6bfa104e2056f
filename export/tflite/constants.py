"""Small integer constants of a model: axes, sizes, paddings and the like, which say what an operator does.

Weights are not read: a constant of more than :data:`LARGEST` elements is left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgenas.export.tflite.reader import read_subgraphs
from edgenas.export.tflite.schema import schema
from edgenas.spaces.errors import InputError

#: Constants with more elements than this are weights, not parameters of an operator.
LARGEST = 4096
_TYPES = {"INT8": np.int8, "UINT8": np.uint8, "INT32": np.int32, "INT64": np.int64, "BOOL": np.int8}


def integer_constants(model: bytes) -> Mapping[int, np.ndarray]:
    """Values of the small integer constants of a model's main graph, flat, by tensor index.

    A constant whose bytes do not fill its shape is left out. Raises InputError on anything but a whole model.
    """
    main = read_subgraphs(model)[0]  # has checked every offset that is followed below
    tensors = {
        tensor.index: tensor
        for operator in main.operators
        for tensor in operator.inputs
        if tensor is not None and tensor.is_constant and tensor.dtype in _TYPES
    }
    generated = schema().Model.GetRootAs(model, 0)
    subgraph = generated.Subgraphs(0)
    constants = {}
    for index, tensor in tensors.items():
        count = int(np.prod(tensor.shape, dtype=np.float64))
        if not 0 < count <= LARGEST:
            continue
        try:
            data = generated.Buffers(subgraph.Tensors(index).Buffer()).DataAsNumpy()
        except (IndexError, ValueError) as error:
            raise InputError(f"damaged TFLite model: tensor {index}: {error}") from None
        dtype = np.dtype(_TYPES[tensor.dtype]).newbyteorder("<")
        if isinstance(data, np.ndarray) and data.nbytes == count * dtype.itemsize:
            constants[index] = np.frombuffer(data.tobytes(), dtype)
    return constants
