"""An analytical model of a Coral Edge TPU: what a model asks of the chip, and what that costs.

The chip has 4 x 4 tiles with 64 cells each. A map is cut into the tiles' rows and columns and its channels into
groups of 64, so a convolution takes ``ceil(H / 4) * ceil(W / 4) * ceil(filters / 64) * channels * kernel area`` steps,
each of up to 1,024 useful multiply-accumulates: sides and filters that do not fill a tile cost as if they did. A 1x1
map cannot be cut, so its filters are spread over the tiles. Parameters beyond the cache, the input, and the outputs
cross the host's bus at every inference, and so do the instructions of every operator. What the compiler leaves to the
CPU costs the host's time.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.export.compilers.edgetpu.check import EdgeTpuReport, check_operators
from edgenas.export.tflite.reader import TfliteOperator, TfliteTensor

_TILES = 4
_LANES = 64
_BYTES = {"FLOAT32": 4, "INT32": 4, "INT64": 8, "FLOAT16": 2, "INT16": 2}
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
#: Nothing moves: the data stay where they are.
_FREE = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


@dataclass(frozen=True)
class Work:
    """What a model asks for. Steps are described above; element-wise work counts one step per output element group."""

    convolution_steps: int = 0
    depthwise_steps: int = 0
    vector_steps: int = 0
    operators: int = 0
    input_bytes: int = 0
    output_bytes: int = 0
    streamed_bytes: int = 0
    cpu_macs: int = 0
    cpu_elements: int = 0
    cpu_operators: int = 0

    @property
    def bus_bytes(self) -> int:
        """Bytes that cross the bus between the host's memory and the chip at every inference."""
        return self.input_bytes + self.output_bytes + self.streamed_bytes

    def __add__(self, other: Work) -> Work:
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Work(*(first + second for first, second in pairs))


def work_of(
    operators: Sequence[TfliteOperator],
    report: EdgeTpuReport | None = None,
    constants: Mapping[int, np.ndarray] | None = None,
) -> Work:
    """The work of a model; ``report`` says which operators the Edge TPU takes (checked here when it is None)."""
    report = report or check_operators(operators, constants)
    mapped = [operator.mapped for operator in report.operators]
    total = Work(streamed_bytes=report.streamed_bytes)
    for operator, on_device in zip(operators, mapped, strict=True):
        total += _device_work(operator) if on_device else _cpu_work(operator)
    entering, leaving = _border(operators, mapped)
    return dataclasses.replace(
        total, input_bytes=sum(map(tensor_bytes, entering)), output_bytes=sum(map(tensor_bytes, leaving))
    )


def macs_of(operator: TfliteOperator) -> int:
    """Multiply-accumulates of one operator, 0 for those without weights."""
    if operator.name not in _WEIGHTED or not operator.outputs or len(operator.inputs) < 2:
        return 0
    kernel = operator.inputs[1]
    if kernel is None:
        return 0
    area = 1
    if operator.name == "TRANSPOSE_CONV":
        source = operator.inputs[2] if len(operator.inputs) > 2 else None
        area = math.prod(_image(source)[:2]) if source is not None else 0
    elif operator.name != "FULLY_CONNECTED":
        area = math.prod(_image(operator.outputs[0])[:2])
    return area * math.prod(kernel.shape)


def tensor_bytes(tensor: TfliteTensor) -> int:
    """Bytes of a tensor."""
    return math.prod(tensor.shape) * _BYTES.get(tensor.dtype, 1)


def _image(tensor: TfliteTensor) -> tuple[int, int, int]:
    height, width, channels = ((1, 1, 1, *tensor.shape))[-3:]
    return height, width, channels


def _places(height: int, width: int) -> int:
    return math.ceil(height / _TILES) * math.ceil(width / _TILES)


def _device_work(operator: TfliteOperator) -> Work:
    height, width, channels = _image(operator.outputs[0])
    kernel = operator.inputs[1] if len(operator.inputs) > 1 else None
    if operator.name not in _WEIGHTED or kernel is None:
        steps = 0 if operator.name in _FREE else _places(height, width) * math.ceil(channels / _LANES)
        if operator.name.endswith("POOL_2D"):
            steps *= operator.options.get("filterWidth", 1) * operator.options.get("filterHeight", 1)
        elif operator.name == "MEAN" and operator.inputs[0] is not None:
            height, width, channels = _image(operator.inputs[0])
            steps = _places(height, width) * math.ceil(channels / _LANES)
        return Work(vector_steps=steps, operators=1)
    if operator.name == "DEPTHWISE_CONV_2D":
        area = math.prod(kernel.shape[1:3])
        return Work(depthwise_steps=_places(height, width) * math.ceil(channels / _LANES) * area, operators=1)
    per_filter = math.prod(kernel.shape[1:])
    if operator.name == "TRANSPOSE_CONV" and len(operator.inputs) > 2 and operator.inputs[2] is not None:
        height, width, _ = _image(operator.inputs[2])
    lanes = _LANES * (_TILES**2 if height * width == 1 else 1)
    return Work(convolution_steps=_places(height, width) * math.ceil(channels / lanes) * per_filter, operators=1)


def _cpu_work(operator: TfliteOperator) -> Work:
    tensors = [tensor for tensor in (*operator.inputs, *operator.outputs) if tensor is not None]
    elements = sum(math.prod(tensor.shape) for tensor in tensors if not tensor.is_constant)
    return Work(cpu_macs=macs_of(operator), cpu_elements=elements, cpu_operators=1)


def _border(
    operators: Sequence[TfliteOperator], mapped: Sequence[bool]
) -> tuple[list[TfliteTensor], list[TfliteTensor]]:
    """Tensors that enter the Edge TPU, and those that leave it."""
    made, read_outside = {}, set()
    entering: dict[int, TfliteTensor] = {}
    read: set[int] = set()
    for operator, on_device in zip(operators, mapped, strict=True):
        for tensor in operator.inputs:
            if tensor is None or tensor.is_constant:
                continue
            read.add(tensor.index)
            if on_device and tensor.index not in made:
                entering[tensor.index] = tensor
            if not on_device:
                read_outside.add(tensor.index)
        if on_device:
            made.update({tensor.index: tensor for tensor in operator.outputs})
    leaving = [tensor for index, tensor in made.items() if index in read_outside or index not in read]
    return list(entering.values()), leaving


@dataclass(frozen=True)
class EdgeTpuConstants:
    """The constants of the model; ``devices/catalog/edgetpu-sim.yaml`` tells where each comes from.

    ``cycles_*`` are the compiler's own currency; ``compute_scale`` is how much of these cycles is seen in the latency
    (1: all of it, nothing is hidden behind transfers).
    """

    clock_mhz: float
    cycles_per_convolution_step: float
    cycles_per_depthwise_step: float
    cycles_per_vector_step: float
    compute_scale: float
    fixed_ms: float
    operator_ms: float
    stream_ms_per_mib: float
    input_ms_per_mb: float
    output_ms_per_mb: float
    cpu_ms_per_mmac: float
    cpu_ms_per_melement: float

    def cycles(self, work: Work) -> float:
        """Compute cycles, as the compiler estimates them."""
        return (
            self.cycles_per_convolution_step * work.convolution_steps
            + self.cycles_per_depthwise_step * work.depthwise_steps
            + self.cycles_per_vector_step * work.vector_steps
        )

    def parts_ms(self, work: Work) -> dict[str, float]:
        """What each part of the work costs, in ms; the latency is their sum."""
        return {
            "fixed": self.fixed_ms,
            "compute": self.compute_scale * self.cycles(work) / (self.clock_mhz * 1e3),
            "operators": self.operator_ms * work.operators,
            "stream": self.stream_ms_per_mib * work.streamed_bytes / 2**20,
            "input": self.input_ms_per_mb * work.input_bytes / 1e6,
            "output": self.output_ms_per_mb * work.output_bytes / 1e6,
            "cpu": self.cpu_ms_per_mmac * work.cpu_macs / 1e6 + self.cpu_ms_per_melement * work.cpu_elements / 1e6,
        }

    def latency_ms(self, work: Work) -> float:
        """Latency of one inference of a whole model, parameters already cached."""
        return sum(self.parts_ms(work).values())

    def block_ms(self, work: Work) -> float:
        """What a block adds to a network that stays on the chip: its computation and its operators."""
        parts = self.parts_ms(work)
        return parts["compute"] + parts["operators"] + parts["cpu"]
