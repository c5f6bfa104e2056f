"""How much working memory a model needs on a microcontroller: an estimate of the interpreter's arena.

The planner of TensorFlow Lite for Microcontrollers puts tensors that live at the same time beside each other, largest
first; the same is done here. What kernels ask for besides (scratch buffers, which depend on the library) is not known
from the file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgenas.export.tflite.reader import TfliteOperator, TfliteTensor, model_io, read_operators

_ALIGNMENT = 16
_BYTES = {"FLOAT64": 8, "INT64": 8, "FLOAT32": 4, "INT32": 4, "UINT32": 4, "FLOAT16": 2, "INT16": 2, "UINT16": 2}
#: What the interpreter keeps of a tensor and of an operator on a 32-bit chip, rounded up.
_TENSOR_BYTES, _OPERATOR_BYTES = 32, 128
#: Multiplier and shift of each output channel.
_CHANNEL_BYTES = 8


@dataclass(frozen=True)
class ArenaEstimate:
    """``activation_bytes`` is the plan of all tensors, ``bookkeeping_bytes`` what the interpreter adds to it."""

    activation_bytes: int
    bookkeeping_bytes: int

    @property
    def total_bytes(self) -> int:
        """Both, rounded up to 1 KiB."""
        return 1024 * math.ceil((self.activation_bytes + self.bookkeeping_bytes) / 1024)


@dataclass(frozen=True)
class _Life:
    first: int
    last: int
    size: int


def estimate_arena(model: bytes) -> ArenaEstimate:
    """The arena that a model of known shapes needs, in bytes. Raises InputError on anything but a whole model."""
    operators, ends = read_operators(model), model_io(model)
    lives = _lives(operators, ends.inputs, ends.outputs)
    tensors = {tensor.index for operator in operators for tensor in (*operator.inputs, *operator.outputs) if tensor}
    channels = sum(len(tensor.scale) for operator in operators for tensor in operator.inputs[1:2] if tensor)
    bookkeeping = _TENSOR_BYTES * len(tensors) + _OPERATOR_BYTES * len(operators) + _CHANNEL_BYTES * channels
    return ArenaEstimate(_plan(lives), bookkeeping)


def _lives(
    operators: tuple[TfliteOperator, ...], inputs: tuple[TfliteTensor, ...], outputs: tuple[TfliteTensor, ...]
) -> list[_Life]:
    lives: dict[int, _Life] = {}

    def use(tensor: TfliteTensor | None, step: int) -> None:
        if tensor is None or tensor.is_constant:
            return
        known = lives.get(tensor.index)
        lives[tensor.index] = _Life(step if known is None else known.first, step, _size(tensor))

    for tensor in inputs:
        use(tensor, 0)
    for step, operator in enumerate(operators):
        for touched in (*operator.inputs, *operator.outputs):
            use(touched, step)
    for tensor in outputs:
        use(tensor, len(operators))
    return list(lives.values())


def _size(tensor: TfliteTensor) -> int:
    raw = math.prod(max(side, 1) for side in tensor.shape) * _BYTES.get(tensor.dtype, 1)
    return _ALIGNMENT * math.ceil(raw / _ALIGNMENT)


def _plan(lives: list[_Life]) -> int:
    """Greedy by size: each tensor at the lowest place where no tensor that lives meanwhile is."""
    placed: list[tuple[int, _Life]] = []
    for life in sorted(lives, key=lambda life: -life.size):
        place = 0
        for start, other in sorted(placed, key=lambda pair: pair[0]):
            if other.first <= life.last and life.first <= other.last:
                if start - place >= life.size:
                    break
                place = max(place, start + other.size)
        placed.append((place, life))
    return max((start + life.size for start, life in placed), default=0)
