"""Which tensor of one model is the same layer's output as which tensor of another.

Two conversions of one network run the same operators; a quantized one may have QUANTIZE and DEQUANTIZE between them.
Where the operators differ (a group convolution in parts), the converter's tensor names still tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgenas.export.tflite.reader import TfliteOperator, TfliteTensor, model_io, read_operators

#: Operators that change how numbers are stored, not what they are.
_CASTS = frozenset({"QUANTIZE", "DEQUANTIZE", "CAST"})


@dataclass(frozen=True)
class MatchedLayer:
    """The output of one layer in a reference model and in another.

    ``sources`` are positions, in the list of matched layers, of the layers whose outputs the operator reads.
    """

    operator: str
    reference: TfliteTensor
    other: TfliteTensor
    sources: tuple[int, ...]


def match_layers(reference: bytes, other: bytes) -> tuple[MatchedLayer, ...]:
    """The input, then the outputs of the operators that both models have, in the order in which the second runs them.

    By position where both run the same operators on the same shapes, else by name and shape; empty when no operator
    matches. The input is there (as the operator INPUT) when both have one of the same shape. Raises InputError on
    anything but whole models.
    """
    first, second = _layers(reference), _layers(other)
    if [_kind(layer) for layer in first] == [_kind(layer) for layer in second]:
        pairs = list(zip(first, second, strict=True))
    else:
        by_name = {(layer.outputs[0].name, layer.outputs[0].shape): layer for layer in first}
        pairs = [
            (by_name[key], layer)
            for layer in second
            if (key := (layer.outputs[0].name, layer.outputs[0].shape)) in by_name
        ]
    if not pairs:
        return ()
    ends = [model_io(model).inputs for model in (reference, other)]
    if all(len(inputs) == 1 for inputs in ends) and ends[0][0].shape == ends[1][0].shape:
        source = (TfliteOperator(-1, "INPUT", 1, (), (inputs[0],)) for inputs in ends)
        pairs.insert(0, (next(source), next(source)))
    places = {layer.outputs[0].index: place for place, (_, layer) in enumerate(pairs)}
    origin = _origins(other)
    return tuple(
        MatchedLayer(
            layer.name,
            partner.outputs[0],
            layer.outputs[0],
            tuple(
                place
                for tensor in layer.inputs
                if tensor is not None and (place := places.get(origin.get(tensor.index, tensor.index))) is not None
            ),
        )
        for partner, layer in pairs
    )


def _layers(model: bytes) -> list[TfliteOperator]:
    """Operators that compute something from the input, with one output."""
    layers = []
    for operator in read_operators(model):
        reads = [tensor for tensor in operator.inputs if tensor is not None and not tensor.is_constant]
        if operator.name == "DEQUANTIZE" and not reads:
            continue  # float16 weights that are expanded when the model is loaded
        if operator.name not in _CASTS and len(operator.outputs) == 1 and math.prod(operator.outputs[0].shape) > 0:
            layers.append(operator)
    return layers


def _kind(operator: TfliteOperator) -> tuple[str, tuple[int, ...]]:
    return operator.name, operator.outputs[0].shape


def _origins(model: bytes) -> dict[int, int]:
    """The tensor that a cast was made from, by the cast tensor."""
    origins: dict[int, int] = {}
    for operator in read_operators(model):
        if operator.name in _CASTS and operator.inputs and operator.inputs[0] is not None and operator.outputs:
            source = operator.inputs[0].index
            origins[operator.outputs[0].index] = origins.get(source, source)
    return origins
