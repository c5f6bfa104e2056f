"""Shared layer of what attention has beside convolutions and layer norms: relative biases.

Heads are prefixes of the most there are. A head is a run of neighbouring channels, so that a narrower
attention has the first heads of a wider one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgenas.export._tensorflow import tensorflow
from edgenas.export.keras.computed_layers import RELATIVE_BIAS_DEVIATION, offset_numbers
from edgenas.spaces.ops import RelativeBias
from edgenas.supernet.shared_layer import Mode, SharedLayer, SharedWeight, Variant, shared_layer_for

Tensors = Sequence[Any]


@shared_layer_for(RelativeBias, fixed=lambda op: (op.height, op.width))
def _relative_bias(variants: Sequence[Variant]) -> SharedLayer:
    heads = max(variant.inputs[0][0] for variant in variants)
    offsets = max(variant.op.offsets for variant in variants)  # type: ignore[attr-defined]

    def numbers(variant: Variant) -> tuple[int, ...]:
        return (variant.inputs[0][0],)

    def view(op: Any, weights: Tensors, numbers: Tensors) -> list[Any]:
        return [tensorflow().slice(weights[0], [0, 0], [numbers[0], op.offsets])]

    def compute(op: Any, inputs: Tensors, weights: Tensors, numbers: Tensors, mode: Mode) -> tuple[Any, None]:
        (table,) = view(op, weights, numbers)
        return inputs[0] + tensorflow().gather(table, offset_numbers(op.height, op.width), axis=1), None

    return SharedLayer((SharedWeight((heads, offsets), RELATIVE_BIAS_DEVIATION),), numbers, view, compute)
