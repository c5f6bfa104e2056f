"""Group convolutions of a finished model, rebuilt as what accelerators take: SPLIT, one CONV_2D a group, CONCATENATION.

Works on the file, so a trained and converted model keeps its weights and its numbers. The rebuilt model computes the
same: every part has its own slice of the kernel, of the bias and of their scales.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgenas.export.tflite.model_rewriting import rewrite
from edgenas.export.tflite.reader import TfliteOperator, read_operators
from edgenas.export.tflite.schema import schema
from edgenas.spaces.errors import InputError

#: CONV_2D of an int8 model without groups.
_PLAIN_VERSION = 3


def groups_of(operator: TfliteOperator) -> int:
    """Groups of a convolution; 1 for anything else."""
    if operator.name != "CONV_2D" or len(operator.inputs) < 2:
        return 1
    source, kernel = operator.inputs[:2]
    if source is None or kernel is None or len(source.shape) != 4 or len(kernel.shape) != 4 or not kernel.shape[3]:
        return 1
    return source.shape[3] // kernel.shape[3]


def split_group_convolutions(model: bytes) -> bytes:
    """The model with every group convolution in parts; the same bytes when it has none.

    Raises InputError on anything but a whole model, and when kernel or bias of a group convolution are not constants
    that can be cut into its groups.
    """
    operators = read_operators(model)
    groups = {operator.index: groups_of(operator) for operator in operators if groups_of(operator) > 1}
    if not groups:
        return model
    for index, count in groups.items():
        _check(operators[index], count)
    return _rebuild(model, groups)


def _rebuild(model: bytes, groups: Mapping[int, int]) -> bytes:
    def take_apart(unpacked: Any) -> None:
        rebuilt: list[Any] = []
        editor = _Editor(unpacked)
        for index, operator in enumerate(unpacked.subgraphs[0].operators):
            rebuilt += editor.parts(operator, groups[index]) if index in groups else [operator]
        unpacked.subgraphs[0].operators = rebuilt
        editor.lower_convolution_version()

    return rewrite(model, take_apart)


def _check(operator: TfliteOperator, groups: int) -> None:
    source, kernel = operator.inputs[:2]
    assert source is not None
    assert kernel is not None
    parameters = [tensor for tensor in operator.inputs[1:] if tensor is not None]
    whole = source.shape[3] % groups == 0 == kernel.shape[0] % groups and kernel.shape[3] * groups == source.shape[3]
    if not whole or not all(tensor.is_constant for tensor in parameters):
        raise InputError(f"operator {operator.index} CONV_2D: its {groups} groups cannot be taken apart")


class _Editor:
    """Adds tensors, constants and operators to an unpacked model."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._graph = model.subgraphs[0]
        self._schema = schema()

    def parts(self, operator: Any, groups: int) -> list[Any]:
        source, kernel, *bias = (int(index) for index in operator.inputs)
        result = int(operator.outputs[0])
        inputs = [self._like(source, groups, part) for part in range(groups)]
        outputs = [self._like(result, groups, part) for part in range(groups)]
        axis = self._constant(np.array(3, np.int32), "split/axis")
        split = self._operator("SPLIT", 1, [axis, source], inputs)
        split.builtinOptionsType = self._schema.BuiltinOptions.SplitOptions
        split.builtinOptions = self._schema.SplitOptionsT(numSplits=groups)
        operators = [split]
        for part in range(groups):
            convolution = copy.copy(operator)
            slices = [self._slice(index, groups, part) for index in (kernel, *(i for i in bias if i >= 0))]
            convolution.inputs = np.array([inputs[part], *slices], np.int32)
            convolution.outputs = np.array([outputs[part]], np.int32)
            operators.append(convolution)
        join = self._operator("CONCATENATION", 1, outputs, [result])
        join.builtinOptionsType = self._schema.BuiltinOptions.ConcatenationOptions
        join.builtinOptions = self._schema.ConcatenationOptionsT(axis=3, fusedActivationFunction=0)
        return [*operators, join]

    def lower_convolution_version(self) -> None:
        """Without groups, no convolution needs the version that only group convolutions have."""
        for code in self._model.operatorCodes:
            if max(code.builtinCode, code.deprecatedBuiltinCode) == self._schema.BuiltinOperator.CONV_2D:
                code.version = min(code.version, _PLAIN_VERSION)

    def _add(self, tensor: Any) -> int:
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _name(self, tensor: Any, part: int) -> str:
        name = tensor.name.decode(errors="replace") if isinstance(tensor.name, bytes) else str(tensor.name)
        return f"{name}/group{part}"

    def _like(self, index: int, groups: int, part: int) -> int:
        """An activation with a share of another's channels and its quantization."""
        tensor = copy.copy(self._graph.tensors[index])
        tensor.name = self._name(tensor, part)
        tensor.shape = np.array([*tensor.shape[:3], tensor.shape[3] // groups], np.int32)
        tensor.shapeSignature = None
        tensor.buffer = 0
        return self._add(tensor)

    def _slice(self, index: int, groups: int, part: int) -> int:
        """A share of the filters of a kernel or bias."""
        tensor = copy.copy(self._graph.tensors[index])
        data = np.asarray(self._model.buffers[tensor.buffer].data, np.uint8)
        size = len(data) // groups
        tensor.name = self._name(tensor, part)
        tensor.shape = np.array([tensor.shape[0] // groups, *tensor.shape[1:]], np.int32)
        tensor.quantization = self._sliced_scales(tensor.quantization, groups, part)
        tensor.buffer = self._buffer(data[part * size : (part + 1) * size])
        return self._add(tensor)

    @staticmethod
    def _sliced_scales(quantization: Any, groups: int, part: int) -> Any:
        if quantization is None or quantization.scale is None or len(quantization.scale) <= 1:
            return quantization
        sliced = copy.copy(quantization)
        for name in ("scale", "zeroPoint", "min", "max"):
            values = getattr(quantization, name)
            if values is not None and len(values) > 1:
                size = len(values) // groups
                setattr(sliced, name, np.asarray(values)[part * size : (part + 1) * size])
        return sliced

    def _constant(self, values: np.ndarray, name: str) -> int:
        buffer = self._buffer(np.frombuffer(values.tobytes(), np.uint8))
        kind = self._schema.TensorType.INT32
        return self._add(
            self._schema.TensorT(shape=np.array(values.shape, np.int32), type=kind, buffer=buffer, name=name)
        )

    def _buffer(self, data: np.ndarray) -> int:
        self._model.buffers.append(self._schema.BufferT(data=data))
        return len(self._model.buffers) - 1

    def _operator(self, kind: str, version: int, inputs: list[int], outputs: list[int]) -> Any:
        number = getattr(self._schema.BuiltinOperator, kind)
        numbers = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in self._model.operatorCodes]
        if number not in numbers:
            self._model.operatorCodes.append(
                self._schema.OperatorCodeT(deprecatedBuiltinCode=number, builtinCode=number, version=version)
            )
            numbers.append(number)
        index = numbers.index(number)
        return self._schema.OperatorT(
            opcodeIndex=index, inputs=np.array(inputs, np.int32), outputs=np.array(outputs, np.int32)
        )
