"""Puts a TFLite model file together from tensors and operators, through the runtime's schema module."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np

from edgenas.export.quantization.activation_ranges import Quantization
from edgenas.export.tflite.schema import FILE_IDENTIFIER, SCHEMA_VERSION, schema

#: The schema asks for constants on 16-byte boundaries, which the object API does not keep by itself.
_ALIGNMENT = 16
_TENSOR_TYPES = {
    "float32": "FLOAT32",
    "float16": "FLOAT16",
    "int32": "INT32",
    "int64": "INT64",
    "int8": "INT8",
    "bool": "BOOL",
}


class AlignedBuffer:
    """A constant's bytes; stands in for the schema's ``BufferT``, which would not align them."""

    def __init__(self, data: bytes | None = None) -> None:
        self._data = data

    def Pack(self, builder: Any) -> int:  # noqa: N802  (named by the generated code that calls it)
        start = None
        if self._data is not None:
            size = len(self._data)
            builder.StartVector(1, size, _ALIGNMENT)
            builder.head -= size
            builder.Bytes[builder.head : builder.head + size] = self._data
            start = builder.EndVector()
        generated = schema()
        generated.BufferStart(builder)
        if start is not None:
            generated.BufferAddData(builder, start)
        return generated.BufferEnd(builder)


class ModelAssembler:
    """Collects the tensors and operators of one subgraph, in order, and packs them.

    Shapes include the batch. Tensors are referred to by the index that the adding method returns.
    """

    def __init__(self, name: str) -> None:
        self._schema = schema()
        self._subgraph = self._schema.SubGraphT(tensors=[], name=name)
        self._operators: list[Any] = []
        self._expansions: list[Any] = []
        self._buffers = [AlignedBuffer()]  # index 0 is the empty buffer of everything that is not constant
        self._constant_bytes = 0
        self._codes: dict[int | str, int] = {}
        self._versions: dict[int, int] = {}

    def add_tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: str,
        quantization: Quantization | None = None,
        data: np.ndarray | None = None,
    ) -> int:
        """Adds an activation, or with ``data`` a constant, and returns its index."""
        buffer = 0
        if data is not None:
            raw = data.tobytes()
            self._constant_bytes += len(raw)
            self._buffers.append(AlignedBuffer(raw))
            buffer = len(self._buffers) - 1
        packed = None
        if quantization is not None:
            packed = self._schema.QuantizationParametersT(
                scale=quantization.scale,
                zeroPoint=np.full(quantization.scale.shape, quantization.zero_point, np.int64),
                quantizedDimension=quantization.dimension,
            )
        self._subgraph.tensors.append(
            self._schema.TensorT(
                shape=np.array(shape, np.int32),
                type=getattr(self._schema.TensorType, _TENSOR_TYPES[dtype]),
                buffer=buffer,
                name=name,
                quantization=packed,
                hasRank=True,
            )
        )
        return len(self._subgraph.tensors) - 1

    def add_operator(
        self,
        kind: str,
        inputs: list[int],
        output: int,
        *,
        version: int = 1,
        options: str | None = None,
        in_place: bool = False,
        **values: Any,
    ) -> None:
        """Adds an operator such as ``CONV_2D``; ``options`` names its options table, ``values`` its fields.

        All operators of one kind share one version, the highest that any of them needs. Expansions of constants
        (``DEQUANTIZE``) run before everything else, as the converter orders them, unless ``in_place``.
        """
        code = getattr(self._schema.BuiltinOperator, kind)
        index = self._codes.setdefault(code, len(self._codes))
        self._versions[code] = max(version, self._versions.get(code, 1))
        operator = self._schema.OperatorT(
            opcodeIndex=index, inputs=np.array(inputs, np.int32), outputs=np.array([output], np.int32)
        )
        if options is not None:
            operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(self._schema, f"{options}T")(**values)
        (self._expansions if kind == "DEQUANTIZE" and not in_place else self._operators).append(operator)

    def add_custom_operator(self, name: str, inputs: list[int], outputs: list[int], options: bytes) -> None:
        """Adds an operator that the schema does not know; ``options`` are in its own form."""
        index = self._codes.setdefault(name, len(self._codes))
        operator = self._schema.OperatorT(
            opcodeIndex=index, inputs=np.array(inputs, np.int32), outputs=np.array(outputs, np.int32)
        )
        operator.customOptions = np.frombuffer(options, np.uint8)
        self._operators.append(operator)

    def build(self, inputs: list[int], outputs: list[int], description: str) -> bytes:
        """The finished file."""
        self._subgraph.operators = [*self._expansions, *self._operators]
        self._subgraph.inputs = np.array(inputs, np.int32)
        self._subgraph.outputs = np.array(outputs, np.int32)
        model = self._schema.ModelT(
            version=SCHEMA_VERSION,
            operatorCodes=[self._code(code) for code in self._codes],
            subgraphs=[self._subgraph],
            description=description,
            buffers=self._buffers,
        )
        # Enough room at once: growing the builder's buffer copies everything written so far.
        room = self._constant_bytes + 1024 * (len(self._subgraph.tensors) + len(self._subgraph.operators) + 2)
        builder = flatbuffers.Builder(room)
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())

    def _code(self, code: int | str) -> Any:
        """Of a builtin operator by its number, of another by its name."""
        kinds = self._schema.BuiltinOperator
        number = kinds.CUSTOM if isinstance(code, str) else code
        return self._schema.OperatorCodeT(
            deprecatedBuiltinCode=min(number, kinds.PLACEHOLDER_FOR_GREATER_OP_CODES),
            version=1 if isinstance(code, str) else self._versions[code],
            builtinCode=number,
            customCode=code if isinstance(code, str) else None,
        )
