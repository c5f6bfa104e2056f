"""Which operators of a model an Edge TPU would take, which stay on the CPU, and why.

The compiler works as a TensorFlow Lite delegate: it takes the first group of operators that it can map and that depend
on nothing but each other, the model's inputs and what the CPU did before them (a float input's QUANTIZE); all that
depends on an operator that stays on the CPU stays there too. So there is one partition, and the first unmapped
operator ends it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgenas.export.compilers.edgetpu.compiled import CUSTOM_OPERATOR, CompiledPart, compiled_parts
from edgenas.export.compilers.edgetpu.parameters import CACHE_BYTES, parameter_bytes
from edgenas.export.compilers.edgetpu.refusals import find_refusal
from edgenas.export.compilers.edgetpu.rules import (
    DATA_TYPE,
    GROUPS_APART,
    MAPPED,
    MORE_THAN_ONE_SUBGRAPH,
    NEWEST_VERSIONS,
    NOT_SUPPORTED,
    RANK,
    REPLACEMENTS,
    RULES,
    UNSPECIFIED,
    VERSION,
)
from edgenas.export.tflite.constants import integer_constants
from edgenas.export.tflite.group_split import groups_of
from edgenas.export.tflite.reader import TfliteOperator, TfliteTensor, read_operators

_EIGHT_BITS = ("INT8", "UINT8")
_CONSTANT_TYPES = (*_EIGHT_BITS, "INT32", "INT64", "BOOL")
#: States of an LSTM cell are kept in 16 bits.
_SIXTEEN_BITS = {"UNIDIRECTIONAL_SEQUENCE_LSTM": ("INT16",)}


@dataclass(frozen=True)
class OperatorReport:
    """One operator: ``reason`` starts with the compiler's words; ``change`` is what would help, empty if nothing."""

    index: int
    op: str
    mapped: bool
    reason: str
    change: str = ""


@dataclass(frozen=True)
class EdgeTpuReport:
    """What `edgetpu_compiler` would do with a model.

    ``parameter_bytes`` are those of the mapped operators as the chip stores them; they are kept in its cache
    (``cached_bytes``) or sent again at every inference (``streamed_bytes``). ``failure``: why the compiler would not
    compile the file at all, and ``failure_change`` what helps. ``compiled``: it is already compiled, and the numbers
    are the compiler's own.
    """

    operators: tuple[OperatorReport, ...]
    parameter_bytes: int = 0
    cached_bytes: int = 0
    streamed_bytes: int = 0
    failure: str | None = None
    failure_change: str = ""
    compiled: bool = False
    parts: tuple[CompiledPart, ...] = field(default=(), repr=False)

    @property
    def mapped(self) -> int:
        """How many operators run on the Edge TPU."""
        return sum(operator.mapped for operator in self.operators)

    @property
    def cpu(self) -> int:
        """How many operators run on the CPU."""
        return len(self.operators) - self.mapped

    @property
    def changes(self) -> tuple[str, ...]:
        """What to change, one line each, the most effective first."""
        places: dict[tuple[str, str], list[int]] = {}
        for operator in self.operators:
            if operator.change:
                places.setdefault((operator.op, operator.change), []).append(operator.index)
        lines = [
            f"operator{'s' if len(indices) > 1 else ''} {', '.join(map(str, indices))} {op}: {change}"
            for (op, change), indices in places.items()
        ]
        if self.failure is not None:
            told = f": {self.failure_change}" if self.failure_change else ""
            lines.insert(0, f"nothing is compiled before this is solved: {self.failure}{told}")
        if self.streamed_bytes and not self.compiled:
            lines.append(
                f"{self.streamed_bytes:,} bytes of parameters do not fit the cache of {CACHE_BYTES:,} bytes and are "
                f"sent again at every inference: use fewer parameters"
            )
        return tuple(lines)

    def to_json(self) -> dict[str, Any]:
        """Plain data; the keys of ``edgenas check --json``."""
        return {
            "operators": [
                {"index": operator.index, "op": operator.op, "mapped": operator.mapped, "reason": operator.reason}
                for operator in self.operators
            ],
            "mapped": self.mapped,
            "cpu": self.cpu,
            "parameter_bytes": self.parameter_bytes,
            "cached_bytes": self.cached_bytes,
            "streamed_bytes": self.streamed_bytes,
            "cache_bytes": CACHE_BYTES,
            "compiled": self.compiled,
            "failure": self.failure,
            "failure_change": self.failure_change,
            "changes": list(self.changes),
        }


def check_edgetpu(model: bytes) -> EdgeTpuReport:
    """Checks the bytes of any ``.tflite`` file. Raises InputError on anything but a whole model.

    >>> from edgenas.export.tflite.flatbuffer import write_tflite
    >>> from edgenas.spaces.blocks import ConvBnAct
    >>> report = check_edgetpu(write_tflite(ConvBnAct(filters=8, activation="hard_swish").lower((8, 8, 3)), "int8"))
    >>> [(operator.op, operator.mapped) for operator in report.operators]
    [('CONV_2D', True), ('HARD_SWISH', False)]
    """
    operators = read_operators(model)
    if any(operator.name == CUSTOM_OPERATOR for operator in operators):
        return _compiled_report(operators, compiled_parts(model))
    return check_operators(operators, integer_constants(model))


def check_operators(
    operators: Sequence[TfliteOperator], constants: Mapping[int, np.ndarray] | None = None
) -> EdgeTpuReport:
    """Checks operators in execution order; ``constants`` are the values of small constants by tensor index."""
    constants = constants or {}
    refusal = find_refusal(operators)
    is_quantized = any(tensor.dtype in _EIGHT_BITS for operator in operators for tensor in _activations(operator))
    problems = [_problem(operator, constants, is_quantized) for operator in operators]
    if refusal is not None:
        refused = (f"the compiler refuses the whole file: {refusal.words}", "")
        return EdgeTpuReport(
            tuple(
                OperatorReport(operator.index, operator.name, False, *(problem or refused))
                for operator, problem in zip(operators, problems, strict=True)
            ),
            failure=refusal.words,
            failure_change=refusal.change,
        )
    mapped = partition(operators, [problem is None for problem in problems])
    reports = []
    for operator, problem, taken in zip(operators, problems, mapped, strict=True):
        if taken:
            reports.append(OperatorReport(operator.index, operator.name, True, MAPPED))
        else:
            reason, change = problem or (MORE_THAN_ONE_SUBGRAPH, "")
            reports.append(OperatorReport(operator.index, operator.name, False, reason, change))
    total = sum(parameter_bytes(operator) for operator, taken in zip(operators, mapped, strict=True) if taken)
    cached = min(total, CACHE_BYTES)
    return EdgeTpuReport(tuple(reports), total, cached, total - cached)


def partition(operators: Sequence[TfliteOperator], can_map: Sequence[bool]) -> list[bool]:
    """Which operators form the one partition on the Edge TPU, given which could be mapped by themselves.

    The CPU may run operators before it, if the very first operator is one of them; the partition is everything
    mappable that can run then without waiting for the CPU again.
    """
    produced_by = {tensor.index: place for place, operator in enumerate(operators) for tensor in operator.outputs}
    sources = [
        {produced_by[t.index] for t in operator.inputs if t is not None and produced_by.get(t.index, place) != place}
        for place, operator in enumerate(operators)
    ]
    done: set[int] = set()

    def run(on_device: bool) -> set[int]:
        """Everything of one kind that depends only on what is done."""
        ran: set[int] = set()
        for place in range(len(operators)):
            ready = all(source in done or source in ran for source in sources[place])
            if ready and can_map[place] is on_device:
                ran.add(place)
        return ran

    if can_map and not can_map[0]:
        done = run(on_device=False)
    taken = run(on_device=True)
    return [place in taken for place in range(len(operators))]


def _problem(
    operator: TfliteOperator, constants: Mapping[int, np.ndarray], is_quantized: bool
) -> tuple[str, str] | None:
    """Reason and remedy of an operator that cannot be mapped whatever surrounds it."""
    name = operator.name
    if operator.version > NEWEST_VERSIONS.get(name, operator.version):
        newest = NEWEST_VERSIONS[name]
        change = f"build it as {GROUPS_APART} (edgenas build --split-groups)" if groups_of(operator) > 1 else ""
        if name == "FULLY_CONNECTED":
            change = "quantize dense layers per tensor, not per channel"
        return f"{VERSION}: version {operator.version}, the last public compiler reads up to {newest}", change
    if name not in RULES and name != "DEQUANTIZE":
        return NOT_SUPPORTED, REPLACEMENTS.get(name, "replace it, or move it to the end of the model")
    if not operator.outputs or not any(tensor is not None for tensor in operator.inputs):
        return f"{UNSPECIFIED}: it has no inputs or no outputs", "export the model again"
    activations = _activations(operator)
    wrong = _wrong_type(operator, activations, is_quantized)
    if wrong is not None:
        return wrong
    if name not in RULES:
        return NOT_SUPPORTED, REPLACEMENTS.get(name, "")
    for limit in RULES[name]:
        if not limit.holds(operator, constants):
            return f"{limit.status}: {limit.found}", limit.change
    for tensor in activations:
        if math.prod(tensor.shape[:-3]) != 1:
            return f"{RANK}: {tensor.shape}", "use batch 1 and at most three sides above 1"
        if any(not (0 < scale < math.inf) for scale in tensor.scale):
            return (
                f"{UNSPECIFIED}: tensor {tensor.name!r} has a quantization scale that is not a positive number",
                "calibrate with data on which the tensor is not constant or infinite",
            )
    return None


def _activations(operator: TfliteOperator) -> list[TfliteTensor]:
    tensors = (*operator.inputs, *operator.outputs)
    return [tensor for tensor in tensors if tensor is not None and not tensor.is_constant]


def _wrong_type(
    operator: TfliteOperator, activations: Sequence[TfliteTensor], is_quantized: bool
) -> tuple[str, str] | None:
    allowed = (*_EIGHT_BITS, *_SIXTEEN_BITS.get(operator.name, ()))
    constants = [tensor for tensor in operator.inputs if tensor is not None and tensor.is_constant]
    for tensors, types in ((activations, allowed), (constants, (*_CONSTANT_TYPES, *allowed))):
        for tensor in tensors:
            if tensor.dtype not in types:
                if operator.name == "QUANTIZE":
                    return f"{UNSPECIFIED}: {tensor.dtype}", "convert with integer inputs (inference_input_type int8)"
                change = REPLACEMENTS.get(operator.name) or _type_change(tensor, operator, is_quantized)
                return f"{DATA_TYPE}: {tensor.name} is {tensor.dtype}", change
    return None


def _type_change(tensor: TfliteTensor, operator: TfliteOperator, is_quantized: bool) -> str:
    """What helps against a type, given whether the file works with 8 bits elsewhere."""
    if tensor.dtype == "INT16":
        return "convert with 8-bit activations, not int16x8"
    if tensor.is_integer:
        return (
            f"its {tensor.dtype.lower()} numbers are not quantized values (sizes, indices or flags): convert with a "
            f"fixed input shape so that they are constants, or leave the operator to the application"
        )
    if not is_quantized:
        weights = [other for other in operator.inputs if other is not None and other.is_constant]
        if any(other.dtype in _EIGHT_BITS for other in weights):
            return "quantize the activations too (full integer, with a representative dataset), not the weights alone"
        return "quantize the whole model to int8 (full integer)"
    return (
        "the converter left this operator in floating point: replace it by one that it can quantize, or move it behind "
        "all others"
    )


def _compiled_report(operators: Sequence[TfliteOperator], parts: tuple[CompiledPart, ...]) -> EdgeTpuReport:
    reports = tuple(
        OperatorReport(operator.index, operator.name, True, f"{MAPPED} (already compiled)")
        if operator.name == CUSTOM_OPERATOR
        else OperatorReport(operator.index, operator.name, False, "left to the CPU by the compiler")
        for operator in operators
    )
    cached = sum(part.cached_bytes for part in parts)
    streamed = sum(part.streamed_bytes for part in parts)
    return EdgeTpuReport(reports, cached + streamed, cached, streamed, compiled=True, parts=parts)
