"""One model file behind another: what the first puts out, the second takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgenas.export.tflite.model_rewriting import rewrite
from edgenas.export.tflite.reader import model_io
from edgenas.export.tflite.schema import schema
from edgenas.spaces.errors import InputError


def joined(first: bytes, second: bytes) -> bytes:
    """The file that runs ``second`` on the only output of ``first``.

    Raises InputError when one of them does not have one end there, or the two tensors differ in shape or type.
    """
    (ending,), (beginning,) = model_io(first).outputs, model_io(second).inputs
    if (ending.shape, ending.dtype) != (beginning.shape, beginning.dtype):
        raise InputError(
            f"a model that puts out {ending.dtype} {ending.shape} cannot go on with one that takes {beginning.dtype} "
            f"{beginning.shape}"
        )
    added = schema().ModelT.InitFromPackedBuf(second, 0)
    return rewrite(first, lambda model: _append(model, added))


def _append(model: Any, added: Any) -> None:
    graph, more = model.subgraphs[0], added.subgraphs[0]
    (end,), (start,) = (int(index) for index in graph.outputs), (int(index) for index in more.inputs)
    codes = [_code(model, code) for code in added.operatorCodes]
    places: dict[int, int] = {-1: -1}
    for index, tensor in enumerate(more.tensors):
        if index == start:
            places[index] = end
            continue
        data = added.buffers[tensor.buffer].data
        if data is not None:
            model.buffers.append(schema().BufferT(data=data))
        tensor.buffer = 0 if data is None else len(model.buffers) - 1
        graph.tensors.append(tensor)
        places[index] = len(graph.tensors) - 1
    for operator in more.operators:
        operator.opcodeIndex = codes[operator.opcodeIndex]
        operator.inputs = np.array([places[int(index)] for index in operator.inputs], np.int32)
        operator.outputs = np.array([places[int(index)] for index in operator.outputs], np.int32)
        graph.operators.append(operator)
    (last,) = (places[int(index)] for index in more.outputs)
    graph.outputs = np.array([last], np.int32)
    for signature in model.signatureDefs or ():
        for output in signature.outputs:
            output.tensorIndex = last if output.tensorIndex == end else output.tensorIndex


def _code(model: Any, code: Any) -> int:
    """Number of an operator's kind in a model, which takes it up where it lacks; of two versions, the later one."""
    kind = max(code.builtinCode, code.deprecatedBuiltinCode)
    for index, known in enumerate(model.operatorCodes):
        if max(known.builtinCode, known.deprecatedBuiltinCode) == kind and not known.customCode:
            known.version = max(known.version, code.version)
            return index
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1
