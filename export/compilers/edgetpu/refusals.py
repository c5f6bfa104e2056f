"""Why the Edge TPU compiler refuses a file whole: what its own interpreter cannot load, or cannot give fixed sizes.

The compiler loads a file into the TensorFlow Lite of its time (2.5) before it maps anything. Operators, or versions of
them, that came later are unknown there ("Didn't find op for builtin opcode": google-coral/edgetpu #631, #818, #845),
custom operators are unresolved, and tensors whose size is known only at run time rule out every delegate ("only
supports static-sized tensors": #586, #829, tensorflow/tensorflow #57905, #51467, #56273).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgenas.export.compilers.edgetpu.rules import GROUPS_APART, NEWEST_VERSIONS, REPLACEMENTS
from edgenas.export.tflite.entries import is_graph_number
from edgenas.export.tflite.group_split import groups_of
from edgenas.export.tflite.reader import TfliteOperator, TfliteTensor
from edgenas.export.tflite.schema import enum_names

#: The last builtin operator of TensorFlow Lite 2.5, COMPLEX_ABS.
_NEWEST_OPERATOR = 135
#: Custom operators that the compiler knows (compiled models of the maker hold them): it leaves them to the CPU.
_KNOWN_CUSTOM = frozenset({"TFLite_Detection_PostProcess", "PosenetDecoderOp", "edgetpu-custom-op"})
_DYNAMIC = (
    "Attempting to use a delegate that only supports static-sized tensors with a graph that has dynamic-sized tensors"
)
#: Inputs that decide an output's size: computed ones make it dynamic.
_SIZES = {
    **dict.fromkeys(("RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "PAD", "PADV2", "MIRROR_PAD"), (1,)),
    **dict.fromkeys(("TILE", "BROADCAST_TO", "TOPK_V2", "ONE_HOT", "TRANSPOSE", "ARG_MAX", "ARG_MIN"), (1,)),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "EXPAND_DIMS"), (1,)),
    **dict.fromkeys(("FILL", "TRANSPOSE_CONV", "SPLIT", "SPARSE_TO_DENSE"), (0,)),
    **dict.fromkeys(("SLICE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "SPLIT_V"), (1, 2)),
    "STRIDED_SLICE": (1, 2, 3),
    "RANGE": (0, 1, 2),
}
#: Operators whose output size depends on values.
_BY_VALUE = frozenset({"WHERE", "UNIQUE"})


@dataclass(frozen=True)
class Refusal:
    """Why a file is refused, in the compiler's words where it has any, and what helps."""

    words: str
    change: str


def find_refusal(operators: Sequence[TfliteOperator]) -> Refusal | None:
    """Why the compiler would refuse these operators whole; None when it would not."""
    return _open_sides(operators) or next(filter(None, map(_refusal, operators)), None)


def _open_sides(operators: Iterable[TfliteOperator]) -> Refusal | None:
    for operator in operators:
        for tensor in (*operator.inputs, *operator.outputs):
            if tensor is not None and tensor.is_open:
                return Refusal(
                    f"{_DYNAMIC}: {_described(tensor)}", "convert the model with batch 1 and a fixed input shape"
                )
    return None


def _refusal(operator: TfliteOperator) -> Refusal | None:
    name, where = operator.name, f"operator {operator.index}"
    if operator.is_custom:
        if name in _KNOWN_CUSTOM:
            return None
        return Refusal(
            f"Encountered unresolved custom op: {name} ({where})",
            f"replace {name} by builtin operators, or end the model before it",
        )
    if any(is_graph_number(key) for key in operator.options):
        return Refusal(
            f"{where} {name} is control flow, which runs other graphs: a model may have one graph only",
            "convert without loops and conditions (unrolled, with fixed sizes)",
        )
    number = _numbers().get(name, _number_of_unknown(name))
    if number > _NEWEST_OPERATOR:
        kept = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"}
        change = REPLACEMENTS.get(name) or (
            "export the model with its variables frozen to constants"
            if name in kept
            else "replace it by operators that TensorFlow Lite 2.5 has"
        )
        return Refusal(
            f"Didn't find op for builtin opcode '{name}' version '{operator.version}' ({where}): it is newer than the "
            f"compiler",
            change,
        )
    if operator.version > NEWEST_VERSIONS.get(name, operator.version):
        return Refusal(f"Didn't find op for builtin opcode '{name}' version '{operator.version}'", _older(operator))
    computed = [
        operator.inputs[place]
        for place in _SIZES.get(name, ())
        if place < len(operator.inputs) and not _is_known(operator.inputs[place])
    ]
    if computed or name in _BY_VALUE:
        what = "its size depends on values" if not computed else f"{_name(computed[0])} is computed at run time"
        return Refusal(
            f"{_DYNAMIC}: {where} {name}, {what}",
            "convert the model with batch 1 and a fixed input shape, so that sizes are constants",
        )
    return None


def _older(operator: TfliteOperator) -> str:
    if groups_of(operator) > 1:
        return f"build group convolutions as {GROUPS_APART} (edgenas build --split-groups)"
    if operator.name == "FULLY_CONNECTED":
        return "quantize dense layers per tensor, not per channel"
    return f"convert so that {operator.name} has version {NEWEST_VERSIONS[operator.name]} at most"


def _numbers() -> dict[str, int]:
    return {name: number for number, name in enum_names("BuiltinOperator").items()}


def _number_of_unknown(name: str) -> int:
    """The number in ``BUILTIN_250``, the name of an operator that the schema does not know."""
    digits = name.rpartition("_")[2]
    return int(digits) if digits.isdecimal() else 0


def _is_known(tensor: TfliteTensor | None) -> bool:
    return tensor is None or tensor.is_constant


def _name(tensor: TfliteTensor | None) -> str:
    return "an input" if tensor is None else f"tensor {tensor.name!r}"


def _described(tensor: TfliteTensor) -> str:
    return f"tensor {tensor.name!r} has the shape {tensor.open_shape}, -1 for open sides"
