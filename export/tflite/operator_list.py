"""The operators that a graph of ops becomes, without the file: for telling models apart and counting their work.

The op writers run as they do for a file, but nothing is packed and kernels have a shape and no values, so a block takes
a fraction of a millisecond however large it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgenas.export.deployed import DeployedNode, deploy
from edgenas.export.quantization.activation_ranges import Quantization
from edgenas.export.tflite import layout_writers as _layout_writers  # noqa: F401  (registers writers)
from edgenas.export.tflite import op_writers as _op_writers  # noqa: F401  (registers writers)
from edgenas.export.tflite import sequence_writers as _sequence_writers  # noqa: F401  (registers writers)
from edgenas.export.tflite.model_writer import ModelWriter
from edgenas.export.tflite.reader import TfliteOperator, TfliteTensor
from edgenas.spaces.block import PRECISIONS
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import OpGraph


def list_operators(graph: OpGraph, precision: str) -> tuple[TfliteOperator, ...]:
    """What :func:`edgenas.export.tflite.reader.read_operators` would find in the model that ``write_tflite`` writes.

    Names, shapes, types, constants and the options that the writers set; versions and scales are left out. Raises
    InputError for an unknown precision and for an op class that has no writer.

    >>> from edgenas.spaces.blocks import InvertedBottleneck
    >>> [o.name for o in list_operators(InvertedBottleneck(filters=16).lower((14, 14, 16)), "int8")]
    ['CONV_2D', 'DEPTHWISE_CONV_2D', 'CONV_2D', 'ADD']
    """
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision {precision!r}: expected one of {', '.join(PRECISIONS)}")
    writer = _ShapeWriter(deploy(graph), precision, np.random.default_rng(0))
    writer.write()
    return writer.recorder.operators


class _Recorder:
    """Takes the place of the assembler of a file."""

    def __init__(self) -> None:
        self._tensors: list[TfliteTensor] = []
        self._expansions: list[TfliteOperator] = []
        self._operators: list[TfliteOperator] = []

    @property
    def operators(self) -> tuple[TfliteOperator, ...]:
        return (*self._expansions, *self._operators)

    def add_tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: str,
        quantization: Quantization | None = None,
        data: np.ndarray | None = None,
    ) -> int:
        self._tensors.append(
            TfliteTensor(len(self._tensors), name, tuple(shape), dtype.upper(), is_constant=data is not None)
        )
        return len(self._tensors) - 1

    def add_operator(
        self,
        kind: str,
        inputs: list[int],
        output: int,
        *,
        version: int = 1,
        options: str | None = None,
        **values: Any,
    ) -> None:
        operators = self._expansions if kind == "DEQUANTIZE" else self._operators
        sources = tuple(None if index < 0 else self._tensors[index] for index in inputs)
        operators.append(TfliteOperator(len(operators), kind, version, sources, (self._tensors[output],), values))

    def build(self, inputs: list[int], outputs: list[int], description: str) -> bytes:
        return b""


class _ShapeWriter(ModelWriter):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.recorder = _Recorder()
        self._assembler = self.recorder  # type: ignore[assignment]

    def add_kernel(self, node: DeployedNode, shape: tuple[int, ...], channel_axis: int, fan_in: int) -> list[int]:
        dtype, bias_dtype = (np.int8, np.int32) if self.is_int8 else (np.float32, np.float32)
        kernel = self._shared.get((node.weights or node.name, "kernel"))
        if kernel is None:
            kernel = self._new_constant(f"{node.name}/kernel", np.broadcast_to(dtype(0), shape), None)
            self._shared[node.name, "kernel"] = kernel
        parts = [kernel]
        if node.has_bias:
            parts.append(self._new_constant(f"{node.name}/bias", np.zeros(shape[channel_axis], bias_dtype), None))
        return [self.tensor(node.inputs[0]), *parts]
