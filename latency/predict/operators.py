"""What runs when a model runs: its operators as the cost of a model sees them, whoever wrote the file.

Each operator that does work at every inference becomes an :class:`OperatorWork`: its kind, a fingerprint (equal
fingerprints cost the same) and the amounts that its cost follows from. What happens once, when a model is loaded (the
expansion of halved weights), is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from edgenas.export.tflite.operator_list import list_operators
from edgenas.export.tflite.reader import TfliteOperator, TfliteTensor
from edgenas.latency.predict.wide_depthwise import MOST_TAPS
from edgenas.spaces.errors import InputError
from edgenas.spaces.signature import parse_signature

#: Source of a tensor that no operator of the model makes.
OUTSIDE = -1

_BYTES = {"FLOAT64": 8, "INT64": 8, "FLOAT32": 4, "INT32": 4, "FLOAT16": 2, "INT16": 2, "BFLOAT16": 2}
#: Options that change what an operator does, with what the schema assumes where a file is silent.
_COSTLY_OPTIONS = {
    "strideW": 1,
    "strideH": 1,
    "dilationWFactor": 1,
    "dilationHFactor": 1,
    "padding": 0,
    "filterWidth": 0,
    "filterHeight": 0,
    "fusedActivationFunction": 0,
    "alignCorners": False,
    "halfPixelCenters": False,
}
_COMMUTATIVE = ("ADD", "MUL", "MAXIMUM", "MINIMUM")
_DEPTHWISE = re.compile(r"DEPTHWISE_CONV_2D/(\d+)x(\d+)")
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
_STRIDED = (*_CONVOLUTIONS, "AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")
#: Clamps, which every kernel does while it writes its output.
_FREE_ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
#: Nobody measures a model with more elements in a tensor; a damaged size is caught here.
_MOST_ELEMENTS = 2**40


@dataclass(frozen=True)
class OperatorWork:
    """One operator at work. Bytes are those of activations and of constants (``parameter_bytes``).

    ``kind`` is the operator's name with what makes its kernel another one: ``CONV_2D/1x1``, ``DEPTHWISE_CONV_2D/5x5``.
    ``sources`` are the positions, in the list of work, of the operators that made its inputs, or :data:`OUTSIDE`.
    ``fingerprint`` holds everything that its cost depends on but the neighbours.
    """

    index: int
    name: str
    kind: str
    fingerprint: tuple[object, ...]
    sources: tuple[int, ...]
    macs: int
    input_bytes: int
    output_bytes: int
    parameter_bytes: int
    groups: int = 1
    output_channels: int = 1
    output_positions: int = 1
    #: What makes its kernel another one, by name: types, kernel, stride, dilation. Operators of equal kind and form
    #: differ in their sizes only.
    form: tuple[tuple[str, str], ...] = ()
    is_custom: bool = False

    @property
    def is_wide(self) -> bool:
        """Whether it is a depthwise convolution of more than 25 taps
        (:mod:`edgenas.latency.predict.wide_depthwise`).
        """
        found = _DEPTHWISE.match(self.kind)
        return found is not None and int(found[1]) * int(found[2]) > MOST_TAPS

    @property
    def moved_bytes(self) -> int:
        """Activations and constants that it reads, and what it writes."""
        return self.input_bytes + self.output_bytes + self.parameter_bytes


def operator_work(operators: Sequence[TfliteOperator]) -> tuple[OperatorWork, ...]:
    """The work of a model's operators, in the order in which they run.

    Raises InputError when a tensor has no fixed size, or one beyond any machine.
    """
    folded: set[int] = set()
    made: dict[int, int] = {}
    found: list[OperatorWork] = []
    for operator in operators:
        live = [
            tensor for tensor in operator.inputs if tensor and not tensor.is_constant and tensor.index not in folded
        ]
        if operator.inputs and not live:
            folded.update(tensor.index for tensor in operator.outputs)
            continue
        constants = [tensor for tensor in operator.inputs if tensor and (tensor.is_constant or tensor.index in folded)]
        made.update({tensor.index: len(found) for tensor in operator.outputs})
        found.append(_work(operator, live, constants, [made.get(tensor.index, OUTSIDE) for tensor in live]))
    return tuple(found)


@lru_cache(maxsize=20_000)
def signature_work(signature: str) -> tuple[OperatorWork, ...]:
    """The work of the block that a signature stands for. Raises InputError when it cannot be read."""
    entry, precision = parse_signature(signature)
    return operator_work(list_operators(entry.deployed, precision))


def _work(
    operator: TfliteOperator, live: Sequence[TfliteTensor], constants: Sequence[TfliteTensor], sources: list[int]
) -> OperatorWork:
    elements = {tensor.index: _elements(operator, tensor) for tensor in (*live, *constants, *operator.outputs)}
    if operator.name in _COMMUTATIVE:
        sources.sort()
    kernel = constants[0] if operator.name in (*_CONVOLUTIONS, "FULLY_CONNECTED") and constants else None
    output = operator.outputs[0] if operator.outputs else None
    channels = output.shape[-1] if output is not None and output.shape else 1
    positions = elements[output.index] // max(channels, 1) if output is not None else 1
    return OperatorWork(
        index=operator.index,
        name=operator.name,
        kind=_kind(operator, live, kernel),
        fingerprint=_fingerprint(operator, live, constants),
        sources=tuple(sources),
        macs=_macs(operator, live, kernel, positions),
        input_bytes=sum(elements[tensor.index] * _width(tensor) for tensor in live),
        output_bytes=sum(elements[tensor.index] * _width(tensor) for tensor in operator.outputs),
        parameter_bytes=sum(elements[tensor.index] * _width(tensor) for tensor in constants),
        groups=_groups(operator, live, kernel),
        output_channels=max(channels, 1),
        output_positions=positions,
        form=_form(operator, live, kernel),
        is_custom=operator.is_custom,
    )


def _elements(operator: TfliteOperator, tensor: TfliteTensor) -> int:
    if any(side < 0 for side in tensor.shape):
        raise InputError(
            f"operator {operator.index} {operator.name}: tensor {tensor.name!r} has the open shape {tensor.shape}; "
            "convert the model again with a fixed input shape"
        )
    count = math.prod(tensor.shape)
    if count > _MOST_ELEMENTS:
        raise InputError(f"operator {operator.index} {operator.name}: tensor {tensor.name!r} has {count:.3g} elements")
    return count


def _width(tensor: TfliteTensor) -> int:
    return _BYTES.get(tensor.dtype, 1)


def _type(tensor: TfliteTensor) -> str:
    """8-bit integers with and without sign run the same kernels."""
    return "INT8" if tensor.dtype == "UINT8" else tensor.dtype


def _fingerprint(
    operator: TfliteOperator, live: Sequence[TfliteTensor], constants: Sequence[TfliteTensor]
) -> tuple[object, ...]:
    options = tuple(
        (name, operator.options.get(name, default))
        for name, default in _COSTLY_OPTIONS.items()
        if operator.options.get(name, default) != default
    )
    shapes = [(_type(tensor), _squeezed(tensor.shape)) for tensor in live]
    if operator.name in _COMMUTATIVE:
        shapes.sort()
    # A bias, and constants as small, cost nothing that could be told apart.
    kernels = tuple((_type(tensor), tensor.shape, tensor.is_sparse) for tensor in constants if len(tensor.shape) > 1)
    outputs = tuple((_type(tensor), _squeezed(tensor.shape)) for tensor in operator.outputs)
    return (operator.name, tuple(shapes), kernels, outputs, options)


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without leading sides of 1, such as the batch."""
    first = next((place for place, side in enumerate(shape) if side != 1), len(shape))
    return shape[first:]


def _kind(operator: TfliteOperator, live: Sequence[TfliteTensor], kernel: TfliteTensor | None) -> str:
    precision = _type(live[0]) if live else "NONE"
    suffix = "" if precision in ("INT8", "FLOAT32") else f"/{precision.lower()}"
    if kernel is not None and _type(kernel) != precision and {_type(kernel), precision} != {"FLOAT32", "FLOAT16"}:
        suffix += "/hybrid"
    if operator.name == "CONV_2D" and kernel is not None and len(kernel.shape) == 4:
        if _groups(operator, live, kernel) > 1:
            return f"CONV_2D/grouped{suffix}"
        return f"CONV_2D/{'1x1' if kernel.shape[1:3] == (1, 1) else 'dense'}{suffix}"
    if operator.name == "DEPTHWISE_CONV_2D" and kernel is not None and len(kernel.shape) == 4:
        return f"DEPTHWISE_CONV_2D/{kernel.shape[1]}x{kernel.shape[2]}{suffix}"
    if operator.name in _COMMUTATIVE and len({tensor.shape for tensor in live}) > 1:
        return f"{operator.name}/broadcast{suffix}"
    return f"{operator.name}{suffix}"


def _form(
    operator: TfliteOperator, live: Sequence[TfliteTensor], kernel: TfliteTensor | None
) -> tuple[tuple[str, str], ...]:
    """Types as the file has them: unsigned integers have kernels of their own."""
    options = {name: operator.options.get(name, default) for name, default in _COSTLY_OPTIONS.items()}
    form: dict[str, str] = {}
    if live:
        form["activations"] = "+".join(sorted({tensor.dtype for tensor in live}))
    if operator.outputs:
        form["output"] = operator.outputs[0].dtype
    if kernel is not None:
        form["weights"] = kernel.dtype
        if kernel.is_sparse:
            form["sparse weights"] = "yes"
    if kernel is not None and len(kernel.shape) == 4:
        form["kernel"] = f"{kernel.shape[1]}x{kernel.shape[2]}"
    elif options["filterWidth"] or options["filterHeight"]:
        window = (options["filterHeight"], options["filterWidth"])
        whole = bool(live) and live[0].shape[1:3] == window
        form["kernel"] = "whole map" if whole else f"{window[0]}x{window[1]}"
    if operator.name in _STRIDED and form.get("kernel") != "whole map":
        form["stride"] = f"{options['strideH']}x{options['strideW']}"
        form["dilation"] = f"{options['dilationHFactor']}x{options['dilationWFactor']}"
    if operator.fused_activation not in _FREE_ACTIVATIONS:
        form["fused activation"] = operator.fused_activation
    return tuple(form.items())


def _groups(operator: TfliteOperator, live: Sequence[TfliteTensor], kernel: TfliteTensor | None) -> int:
    if operator.name != "CONV_2D" or kernel is None or len(kernel.shape) != 4 or not live or not live[0].shape:
        return 1
    return max(live[0].shape[-1] // max(kernel.shape[3], 1), 1)


def _macs(operator: TfliteOperator, live: Sequence[TfliteTensor], kernel: TfliteTensor | None, positions: int) -> int:
    if operator.name == "BATCH_MATMUL" and live and live[0].shape and operator.outputs:
        return math.prod(operator.outputs[0].shape) * live[0].shape[-1]
    if kernel is None:
        return 0
    weights = math.prod(kernel.shape)
    if operator.name == "TRANSPOSE_CONV" and live and live[-1].shape:
        return weights * (math.prod(live[-1].shape) // max(live[-1].shape[-1], 1))
    # A kernel holds what one position of the output takes, be it dense, grouped or depthwise.
    return weights * positions
