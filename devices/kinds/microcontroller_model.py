"""What a model asks of a microcontroller's core, and what that costs: a handful of physical constants.

A core does so many multiply-accumulates a cycle in convolutions, fewer in depthwise ones (little is reused), and others
in dense layers (weights are read once from flash). Every output element is requantized and stored, and every operator
is set up. A chip with an NPU also waits for weights from its memory.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgenas.devices.kinds.edgetpu_model import macs_of, tensor_bytes
from edgenas.export.tflite.reader import TfliteOperator

_FREE = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


@dataclass(frozen=True)
class MicroWork:
    """What a model asks for: multiply-accumulates by kind, output elements, operators, bytes of weights."""

    convolution_macs: int = 0
    depthwise_macs: int = 0
    dense_macs: int = 0
    elements: int = 0
    operators: int = 0
    weight_bytes: int = 0

    def __add__(self, other: MicroWork) -> MicroWork:
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return MicroWork(*(first + second for first, second in pairs))


def micro_work(operators: Sequence[TfliteOperator]) -> MicroWork:
    """The work of a model."""
    return sum(map(_operator_work, operators), MicroWork())


def operator_works(operators: Sequence[TfliteOperator]) -> list[MicroWork]:
    """The work of each operator."""
    return [_operator_work(operator) for operator in operators]


def _operator_work(operator: TfliteOperator) -> MicroWork:
    if operator.name in _FREE:
        return MicroWork()
    macs = macs_of(operator)
    return MicroWork(
        convolution_macs=macs if operator.name in ("CONV_2D", "TRANSPOSE_CONV") else 0,
        depthwise_macs=macs if operator.name == "DEPTHWISE_CONV_2D" else 0,
        dense_macs=macs if operator.name == "FULLY_CONNECTED" else 0,
        elements=sum(math.prod(tensor.shape) for tensor in operator.outputs),
        operators=1,
        weight_bytes=sum(
            tensor_bytes(tensor) for tensor in operator.inputs if tensor is not None and tensor.is_constant
        ),
    )


@dataclass(frozen=True)
class MicroConstants:
    """Constants of one core with one engine; its file says where each comes from."""

    clock_mhz: float
    cycles_per_convolution_mac: float
    cycles_per_depthwise_mac: float
    cycles_per_dense_mac: float
    cycles_per_element: float
    cycles_per_operator: float
    weight_ms_per_mib: float
    fixed_ms: float

    def latency_ms(self, work: MicroWork) -> float:
        """Latency of one inference, in ms."""
        return self.fixed_ms + self.block_ms(work)

    def block_ms(self, work: MicroWork) -> float:
        """What a part of a network adds to it, in ms."""
        cycles = (
            self.cycles_per_convolution_mac * work.convolution_macs
            + self.cycles_per_depthwise_mac * work.depthwise_macs
            + self.cycles_per_dense_mac * work.dense_macs
            + self.cycles_per_element * work.elements
            + self.cycles_per_operator * work.operators
        )
        return cycles / (1e3 * self.clock_mhz) + self.weight_ms_per_mib * work.weight_bytes / 2**20
