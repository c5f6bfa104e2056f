"""Which tensor of one model is the same layer's output as which tensor of another.

Two conversions of one network run the same operators; a quantized one may have QUANTIZE and DEQUANTIZE between them.
Where the operators differ (a group convolution in parts), the converter's tensor names still tell.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from edgenas.export.tflite.reader import TfliteOperator, TfliteTensor, model_io, read_operators

#: Operators that change how numbers are stored, not what they are.
_CASTS = frozenset({"QUANTIZE", "DEQUANTIZE", "CAST"})
_WITH_KERNEL = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "CONV_3D"})
#: So many of the filters have the same form in two conversions of one network.
_SAME_NETWORK = 0.8


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


def why_unrelated(reference: bytes, other: bytes) -> str | None:
    """Why two models are not the same network, so that their layers say nothing about each other; None when they are.

    One network has outputs of the same shapes, and kernels of the same forms, however it was converted. Raises
    InputError on anything but whole models.
    """
    ends = [[_without_ones(end) for end in model_io(model).outputs] for model in (reference, other)]
    if sorted(ends[0]) != sorted(ends[1]):
        told = [", ".join(str(end.shape) for end in model_io(model).outputs) for model in (reference, other)]
        return f"the outputs differ: {told[0]} and {told[1]}"
    forms = [_kernel_forms(model) for model in (reference, other)]
    alike, all_of_it = (forms[0] & forms[1]).total(), (forms[0] | forms[1]).total()
    if alike < _SAME_NETWORK * all_of_it:
        return f"the architectures differ: {alike / all_of_it:.0%} of the filters have the same form in both"
    return None


def _without_ones(tensor: TfliteTensor) -> tuple[int, ...]:
    return tuple(side for side in tensor.shape if side != 1)


def _kernel_forms(model: bytes) -> Counter[tuple[object, ...]]:
    """How many filters a model has of each form; how operators are named where none has filters.

    A group convolution in parts has the same filters as the whole one, and a 1x1 convolution those of a dense layer.
    """
    forms: Counter[tuple[object, ...]] = Counter()
    operators = read_operators(model)
    for operator in operators:
        kernel = operator.inputs[1] if operator.name in _WITH_KERNEL and len(operator.inputs) > 1 else None
        if kernel is None or not kernel.shape:
            continue
        if operator.name == "DEPTHWISE_CONV_2D":
            forms[("depthwise", *kernel.shape[1:-1])] += kernel.shape[-1]
        elif len(kernel.shape) == 2:
            forms[("full", 1, 1, kernel.shape[1])] += kernel.shape[0]
        else:
            forms[("full", *kernel.shape[1:])] += kernel.shape[0]
    return forms or Counter((operator.name,) for operator in operators if operator.name not in _CASTS)


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
