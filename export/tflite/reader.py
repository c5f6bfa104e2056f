"""Any TFLite model read back: its operators, tensors, inputs and outputs.

Models come from anywhere, so nothing in a file is believed: offsets and lengths are checked against the file, and
whatever does not add up is an InputError. Weights are never looked at.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from edgenas.export.tflite.schema import FILE_IDENTIFIER, SCHEMA_VERSION, builtin_name, enum_names, schema
from edgenas.spaces.errors import InputError

_INTEGER_TYPES = frozenset(
    {"BOOL", "INT2", "INT4", "INT8", "INT16", "INT32", "INT64", "UINT4", "UINT8", "UINT16", "UINT32", "UINT64"}
)
#: What the generated readers raise on files that are not what they seem.
GARBAGE = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError, MemoryError)
#: Tensors with more sides than this do not exist; a damaged length does.
_MAXIMUM_RANK = 32
#: Bytes of a table: the offset to it and the offset to its layout.
_SMALLEST_TABLE = 8


@dataclass(frozen=True)
class TfliteTensor:
    """A tensor of a model. ``shape`` includes the batch; ``scale`` is empty when it is not quantized.

    A side that the file leaves open is 1 in ``shape`` (in some files -1) and -1 in ``signature``, which is empty where
    every side is known.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    is_constant: bool
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    quantized_dimension: int = 0
    is_sparse: bool = False
    signature: tuple[int, ...] = ()

    @property
    def open_shape(self) -> tuple[int, ...]:
        """The shape with -1 for the sides that are open."""
        return self.signature or self.shape

    @property
    def is_open(self) -> bool:
        """Whether the file leaves a side open."""
        return any(side < 0 for side in (*self.shape, *self.signature))

    @property
    def is_integer(self) -> bool:
        return self.dtype in _INTEGER_TYPES


@dataclass(frozen=True)
class TfliteOperator:
    """An operator of a model, in the order in which it runs.

    ``name`` is the builtin operator's (``CONV_2D``) or the custom operator's own. An optional input that is left out
    is None. ``options`` are the operator's attributes under the schema's names (``strideW``).
    """

    index: int
    name: str
    version: int
    inputs: tuple[TfliteTensor | None, ...]
    outputs: tuple[TfliteTensor, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    is_custom: bool = False

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the inputs that are there, constants included."""
        return tuple(tensor.shape for tensor in self.inputs if tensor is not None)

    @property
    def output_shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(tensor.shape for tensor in self.outputs)

    @property
    def fused_activation(self) -> str:
        """Such as ``NONE`` or ``RELU6``."""
        number = self.options.get("fusedActivationFunction", 0)
        return enum_names("ActivationFunctionType").get(number, str(number))


@dataclass(frozen=True)
class TfliteSubgraph:
    """A graph of a model. The first of a model is the one that runs; others are bodies of control flow."""

    name: str
    inputs: tuple[TfliteTensor, ...]
    outputs: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]


@dataclass(frozen=True)
class ModelIO:
    """Inputs and outputs of a model."""

    inputs: tuple[TfliteTensor, ...]
    outputs: tuple[TfliteTensor, ...]


def read_operators(model: bytes) -> tuple[TfliteOperator, ...]:
    """The operators of a model's main graph, in execution order. Raises InputError on anything but a whole model."""
    return read_subgraphs(model)[0].operators


def model_io(model: bytes) -> ModelIO:
    """Shapes, types, scales and zero points of a model's inputs and outputs. Raises as :func:`read_operators`."""
    main = read_subgraphs(model)[0]
    return ModelIO(main.inputs, main.outputs)


def check_integer(model: bytes, *, real_ends: bool = False) -> list[str]:
    """Why a model would not run on integers alone, one line per operator, input or output; empty when it would.

    With ``real_ends``, real numbers may go in before the first quantization, and come out of the last dequantization.
    Raises as :func:`read_operators`.
    """
    if real_ends:
        return _integer_core(model)
    problems = []
    for number, subgraph in enumerate(read_subgraphs(model)):
        where = f"subgraph {number}, " if number else ""
        for operator in subgraph.operators:
            tensors = [tensor for tensor in (*operator.inputs, *operator.outputs) if tensor is not None]
            floats = [f"{tensor.name} is {tensor.dtype}" for tensor in tensors if not tensor.is_integer]
            if floats:
                problems.append(f"{where}operator {operator.index} {operator.name}: {', '.join(floats)}")
        for kind, ends in (("input", subgraph.inputs), ("output", subgraph.outputs)):
            problems += [f"{where}{kind} {end.name} is {end.dtype}" for end in ends if not end.is_integer]
    return problems


def _integer_core(model: bytes) -> list[str]:
    """The same of the operators between the two ends."""
    operators = read_operators(model)
    begins = [place for place, operator in enumerate(operators) if operator.name == "QUANTIZE"][:1]
    ends = [place for place, operator in enumerate(operators) if operator.name == "DEQUANTIZE"][-1:]
    if not begins:
        return ["nothing is quantized"]
    problems = []
    for operator in operators[begins[0] + 1 : ends[0] if ends else None]:
        tensors = [tensor for tensor in (*operator.inputs, *operator.outputs) if tensor is not None]
        if floats := [f"{tensor.name} is {tensor.dtype}" for tensor in tensors if not tensor.is_integer]:
            problems.append(f"operator {operator.index} {operator.name}: {', '.join(floats)}")
    return problems


def read_subgraphs(model: bytes) -> tuple[TfliteSubgraph, ...]:
    """All graphs of a model, the main one first. Raises InputError on anything but a whole model."""
    if len(model) < 8 or model[4:8] != FILE_IDENTIFIER:
        found = f"{len(model)} bytes" + (f" starting with {model[:8].hex(' ')}" if model else "")
        raise InputError(f"not a TFLite model: found {found}, expected the identifier 'TFL3' in bytes 4 to 8")
    try:
        return _Reader(model).read()
    except InputError:
        raise
    except GARBAGE as error:
        raise InputError(f"damaged TFLite model ({len(model)} bytes): {error}; copy or export the file again") from None


class _Reader:
    """Reads one file. Counts the bytes it is told to read, so that a damaged length cannot keep it busy."""

    def __init__(self, model: bytes) -> None:
        self._bytes = model
        # Whatever is read takes space in the file, and next to nothing in it is shared.
        self._bytes_left = 2 * len(model) + 1024
        self._model = schema().Model.GetRootAs(model, 0)

    def read(self) -> tuple[TfliteSubgraph, ...]:
        version = self._model.Version()
        if version != SCHEMA_VERSION:
            raise InputError(f"TFLite model of schema version {version}: expected version {SCHEMA_VERSION}")
        self._has_data = [self._buffer_has_data(buffer) for buffer in self._tables(self._model, "Buffers")]
        self._codes = [self._read_code(code) for code in self._tables(self._model, "OperatorCodes")]
        subgraphs = tuple(self._read_subgraph(subgraph) for subgraph in self._tables(self._model, "Subgraphs"))
        if not subgraphs:
            raise ValueError("it has no graph")
        return subgraphs

    def _spend(self, count: int, size: int) -> int:
        self._bytes_left -= count * size
        if count < 0 or self._bytes_left < 0:
            raise ValueError("a length exceeds the file")
        return count

    def _tables(self, owner: Any, attribute: str) -> Iterator[Any]:
        get = getattr(owner, attribute)
        for index in range(self._spend(getattr(owner, f"{attribute}Length")(), _SMALLEST_TABLE)):
            table = get(index)
            if not 0 < table._tab.Pos <= len(self._bytes) - 4:
                raise ValueError(f"an entry of {attribute} lies outside the file")
            yield table

    def _numbers(self, owner: Any, attribute: str) -> tuple[Any, ...]:
        if not self._spend(getattr(owner, f"{attribute}Length")(), 1):
            return ()
        numbers: np.ndarray = getattr(owner, f"{attribute}AsNumpy")()
        return tuple(numbers.tolist())

    def _text(self, raw: bytes | None) -> str:
        self._spend(len(raw or b""), 1)
        return (raw or b"").decode("utf-8", "replace")

    def _buffer_has_data(self, buffer: Any) -> bool:
        length = buffer.DataLength()
        if not 0 <= length <= len(self._bytes):
            raise ValueError("a constant exceeds the file")
        if length:
            start = buffer._tab.Vector(buffer._tab.Offset(4))
            if not 0 <= start <= len(self._bytes) - length:
                raise ValueError("a constant lies outside the file")
        # Models above 2 GB keep constants behind the flatbuffer, at an offset.
        return bool(length) or buffer.Offset() > 1

    def _read_code(self, code: Any) -> tuple[str, int, bool]:
        # Files from before 2020 know only the deprecated field, which ends at 127.
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = builtin_name(number)
        is_custom = name == "CUSTOM"
        if is_custom:
            name = self._text(code.CustomCode()) or name
        return name, code.Version(), is_custom

    def _read_subgraph(self, subgraph: Any) -> TfliteSubgraph:
        tensors = [self._read_tensor(index, tensor) for index, tensor in enumerate(self._tables(subgraph, "Tensors"))]
        operators = tuple(
            self._read_operator(index, operator, tensors)
            for index, operator in enumerate(self._tables(subgraph, "Operators"))
        )
        return TfliteSubgraph(
            self._text(subgraph.Name()),
            tuple(_pick(tensors, index) for index in self._numbers(subgraph, "Inputs")),
            tuple(_pick(tensors, index) for index in self._numbers(subgraph, "Outputs")),
            operators,
        )

    def _read_tensor(self, index: int, tensor: Any) -> TfliteTensor:
        if tensor.ShapeLength() > _MAXIMUM_RANK:
            raise ValueError(f"tensor {index} has {tensor.ShapeLength()} sides")
        shape = self._numbers(tensor, "Shape")
        if any(side < -1 for side in shape):
            raise ValueError(f"tensor {index} has the shape {shape}")
        signature = self._numbers(tensor, "ShapeSignature") if tensor.ShapeSignatureLength() <= _MAXIMUM_RANK else ()
        if any(side < -1 for side in signature):
            raise ValueError(f"tensor {index} has the shape {shape} and the open shape {signature}")
        number, buffer = tensor.Type(), tensor.Buffer()
        dtype = enum_names("TensorType").get(number)
        if dtype is None:
            raise ValueError(f"tensor {index} has the unknown type {number}")
        if buffer >= len(self._has_data):
            raise ValueError(f"tensor {index} refers to buffer {buffer} of {len(self._has_data)}")
        scale: tuple[float, ...] = ()
        zero_point: tuple[int, ...] = ()
        dimension = 0
        quantization = tensor.Quantization()
        if quantization is not None:
            scale = self._numbers(quantization, "Scale")
            zero_point = self._numbers(quantization, "ZeroPoint")
            dimension = quantization.QuantizedDimension()
        is_constant = self._has_data[buffer]
        return TfliteTensor(
            index,
            self._text(tensor.Name()),
            shape,
            dtype,
            is_constant,
            scale,
            zero_point,
            dimension,
            is_sparse=tensor.Sparsity() is not None,
            signature=signature if -1 in signature else (),
        )

    def _read_operator(self, index: int, operator: Any, tensors: list[TfliteTensor]) -> TfliteOperator:
        code = operator.OpcodeIndex()
        if code >= len(self._codes):
            raise ValueError(f"operator {index} refers to operator code {code} of {len(self._codes)}")
        name, version, is_custom = self._codes[code]
        inputs = self._numbers(operator, "Inputs")
        return TfliteOperator(
            index,
            name,
            version,
            tuple(None if tensor == -1 else _pick(tensors, tensor) for tensor in inputs),
            tuple(_pick(tensors, tensor) for tensor in self._numbers(operator, "Outputs")),
            self._read_options(operator),
            is_custom,
        )

    def _read_options(self, operator: Any) -> dict[str, Any]:
        name = enum_names("BuiltinOptions").get(operator.BuiltinOptionsType(), "NONE")
        table = operator.BuiltinOptions()
        if name == "NONE" and hasattr(operator, "BuiltinOptions2Type"):  # those of operators from 2023 on
            name = enum_names("BuiltinOptions2").get(operator.BuiltinOptions2Type(), "NONE")
            table = operator.BuiltinOptions2()
        if name == "NONE" or table is None:
            return {}
        options = getattr(schema(), name)()
        options.Init(table.Bytes, table.Pos)
        values: dict[str, Any] = {}
        for key, accessor, is_vector in _option_fields(name):
            value = self._numbers(options, accessor) if is_vector else getattr(options, accessor)()
            if isinstance(value, (bool, int, float, tuple)):
                values[key] = value
        return values


def _pick(tensors: list[TfliteTensor], index: int) -> TfliteTensor:
    if not 0 <= index < len(tensors):
        raise ValueError(f"there is no tensor {index}: the graph has {len(tensors)}")
    return tensors[index]


@cache
def _option_fields(name: str) -> tuple[tuple[str, str, bool], ...]:
    """Name, accessor, and whether it is a vector of numbers, of each field of an options table."""
    accessors = getattr(schema(), name)
    fields = []
    for key in vars(getattr(schema(), f"{name}T")()):
        accessor = key[0].upper() + key[1:]
        is_vector = hasattr(accessors, f"{accessor}Length")
        if not is_vector or hasattr(accessors, f"{accessor}AsNumpy"):
            fields.append((key, accessor, is_vector))
    return tuple(fields)
