"""Runs TensorFlow's TFLite converter: fast, quiet, and with its reason when it fails.

The weights enter the traced function as constants, so the converter reads the graph from memory: on a small network
1 s instead of the 4 s that the way over a SavedModel on disk takes, and nothing is left to freeze.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import numpy as np

from edgenas.export._console import quiet_console
from edgenas.export._tensorflow import tensorflow
from edgenas.spaces.errors import InputError, WorkError

#: Place of the field ``outputs`` in the table ``SubGraph`` of the TFLite schema.
_OUTPUTS_FIELD = 8


def run_converter(model: Any, configure: Callable[[Any], None]) -> bytes:
    """The ``.tflite`` bytes of a Keras or tf-keras model at batch 1, after ``configure`` set the converter up.

    Raises:
        InputError: the model is not float32 throughout (mixed precision).
        WorkError: a weight is not a finite number, or the converter fails; with its reason.
    """
    _check_model(model)
    tf = tensorflow()
    with quiet_console() as log:
        try:
            function = _with_constant_weights(tf, model)
            converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
            configure(converter)
            converted = bytes(converter.convert())
            if hasattr(model, "stateless_call"):
                return with_outputs_in_order(converted)
            return with_outputs_named(converted, tuple(model.output_names))
        except InputError:
            raise
        except Exception as error:
            raise WorkError(f"model {model.name!r} could not be converted to TFLite: {_reason(error, log)}") from error


def _check_model(model: Any) -> None:
    for layer in model.layers:
        if layer.compute_dtype not in (None, "float32"):
            raise InputError(
                f"model {model.name!r}, layer {layer.name!r} computes in {layer.compute_dtype}: build the network "
                f"again in float32 (keras.config.set_dtype_policy('float32')) and copy the weights"
            )
    for variable in model.variables:
        if not np.isfinite(variable.numpy()).all():
            raise WorkError(
                f"model {model.name!r}: weight {getattr(variable, 'path', variable.name)!r} holds values that are not "
                f"finite numbers; the training diverged, train again with a lower learning rate"
            )


def _with_constant_weights(tf: Any, model: Any) -> Any:
    specs = [tf.TensorSpec((1, *source.shape[1:]), source.dtype, name=source.name) for source in model.inputs]
    if not hasattr(model, "stateless_call"):  # tf-keras
        freeze = importlib.import_module("tensorflow.python.framework.convert_to_constants")
        function = tf.function(lambda *inputs: model(_one_or_list(inputs), training=False), autograph=False)
        return freeze.convert_variables_to_constants_v2(function.get_concrete_function(*specs))
    trainable = [variable.numpy() for variable in model.trainable_variables]
    fixed = [variable.numpy() for variable in model.non_trainable_variables]

    def forward(*inputs: Any) -> Any:
        outputs, _ = model.stateless_call(trainable, fixed, _one_or_list(inputs), training=False)
        return outputs

    return tf.function(forward, autograph=False).get_concrete_function(*specs)


def _one_or_list(inputs: tuple[Any, ...]) -> Any:
    return inputs[0] if len(inputs) == 1 else list(inputs)


def with_outputs_in_order(model: bytes) -> bytes:
    """The file with its outputs in the order of the function's: the converter lists them as they come.

    It names them ``PartitionedCall:0``, ``PartitionedCall:1``, ... in the function's order.
    """
    schema = importlib.import_module("tensorflow.lite.python.schema_py_generated")
    content = bytearray(model)
    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    outputs = [int(graph.Outputs(place)) for place in range(graph.OutputsLength())]
    matches = [re.fullmatch(r"(.*?)(?:[:_](\d+))?", graph.Tensors(index).Name().decode()) for index in outputs]
    named = [(match[1], int(match[2] or 0)) for match in matches if match]
    if len(outputs) < 2 or len({base for base, _ in named}) != 1 or len(set(named)) != len(outputs):
        return model
    return _with_outputs(content, graph, [outputs[place] for place in np.argsort([number for _, number in named])])


def with_outputs_named(model: bytes, names: Sequence[str]) -> bytes:
    """The file with its outputs in the order of these layers, which made them.

    Of a tf-keras model the converter names outputs by path, such as ``qat/boxes.join/concat``, and by several paths
    where operators were merged; the first one's layer is the output's. Raises WorkError when that tells no order.
    """
    schema = importlib.import_module("tensorflow.lite.python.schema_py_generated")
    content = bytearray(model)
    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    outputs = [int(graph.Outputs(place)) for place in range(graph.OutputsLength())]
    if len(outputs) < 2:
        return model
    paths = {index: graph.Tensors(index).Name().decode().split(";")[0].split("/") for index in outputs}
    ordered = [index for name in names for index in dict.fromkeys(outputs) if name in paths[index]]
    if sorted(ordered) != sorted(outputs):
        told = ", ".join("/".join(path) for path in paths.values())
        raise WorkError(f"the converter's outputs {told} cannot be told apart as {', '.join(names)}; choose int8")
    return _with_outputs(content, graph, ordered)


def _with_outputs(content: bytearray, graph: Any, ordered: Sequence[int]) -> bytes:
    start = graph._tab.Vector(graph._tab.Offset(_OUTPUTS_FIELD))
    content[start : start + 4 * len(ordered)] = np.array(ordered, "<i4").tobytes()
    return bytes(content)


def _reason(error: Exception, log: BinaryIO) -> str:
    """The first line that says what went wrong: the error's own, or the last of what the converter printed."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        log.seek(0)
        lines = log.read().decode(errors="replace").strip().splitlines()[-1:]
    return lines[0][:500] if lines else type(error).__name__
