"""What the Edge TPU compiler takes: one entry per operator, each a list of limits.

Sources: the maker's table of supported operations (coral.ai, models-intro), the status words of `edgetpu_compiler`
2.0 to 16.0 as users posted its logs (google-coral/edgetpu issues, numbers beside the entries), and what the compiled
test models of google-coral/test_data show. The compiler's source is not public: where only a size that maps and one
that does not are known, the limit lies between them, and the entry says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgenas.export.tflite.reader import TfliteOperator, TfliteTensor

# The compiler's own words.
MAPPED = "Mapped to Edge TPU"
MORE_THAN_ONE_SUBGRAPH = "More than one subgraph is not supported"
UNSPECIFIED = "Operation is otherwise supported, but not mapped due to some unspecified limitation"
VERSION = "Operation version not supported"
DATA_TYPE = "Operation is working on an unsupported data type"
NOT_SUPPORTED = "Operation not supported"
RANK = "Tensor has unsupported rank (up to 3 innermost dimensions mapped)"
NOT_CONSTANT = "Filter, bias, or other param is not constant at compile-time"
IMPRECISE = "Image-interpolation layer won't run precisely enough on Edge TPU"

#: What a group convolution is taken apart into (:mod:`edgenas.export.tflite.group_split`).
GROUPS_APART = "SPLIT, one CONV_2D per group, and CONCATENATION"
#: Bytes of activation memory: 192 KiB in each of 16 tiles.
ACTIVATION_BYTES = 16 * 192 * 1024
#: The newest version of an operator that compiler 16.0, the last public one, reads; anything above and it refuses the
#: whole file ("Didn't find op for builtin opcode"): google-coral/edgetpu #631, #845, #879, tensorflow/tflite-micro
#: #2633; FULLY_CONNECTED as TensorFlow Lite of the compiler's time (2.5) had it.
NEWEST_VERSIONS = {"CONV_2D": 5, "FULLY_CONNECTED": 9, "QUANTIZE": 2, "TRANSPOSE_CONV": 3, "EXP": 1}
#: Values averaged at once: 64 x 128 maps, 256 x 128 does not (#461).
_MOST_AVERAGED = 16_384
#: Bytes of a RESHAPE that moves channels: 261 kB maps, 587 kB does not (#512).
_LARGEST_RESHAPE = 400_000
#: Outputs of a transposed convolution: 64 x 64 x 512 does not map (#684).
_LARGEST_TRANSPOSED = 1 << 20

Values = Mapping[int, np.ndarray]


@dataclass(frozen=True)
class Limit:
    """A demand on an operator: ``holds``, and when it does not, the compiler's status, what is wrong, the remedy."""

    holds: Callable[[TfliteOperator, Values], bool]
    status: str
    found: str
    change: str


def _sides(tensor: TfliteTensor) -> tuple[int, ...]:
    """The three innermost sides (height, width, channels), 1 where there are fewer."""
    return ((1, 1, 1, *tensor.shape))[-3:]


def _input(operator: TfliteOperator, place: int = 0) -> TfliteTensor | None:
    return operator.inputs[place] if place < len(operator.inputs) else None


def _elements(shape: tuple[int, ...]) -> int:
    return math.prod(shape)


def _is_vector(shape: tuple[int, ...]) -> bool:
    return _elements(shape[:-1]) == 1


def _constant(place: int) -> Callable[[TfliteOperator, Values], bool]:
    def holds(operator: TfliteOperator, values: Values) -> bool:
        tensor = _input(operator, place)
        return tensor is None or tensor.is_constant

    return holds


def _value(operator: TfliteOperator, values: Values, place: int) -> np.ndarray | None:
    tensor = _input(operator, place)
    return None if tensor is None else values.get(tensor.index)


def _axes(operator: TfliteOperator, values: Values, place: int = 1) -> set[int] | None:
    """Axes of a reduction, counted from the front; None when they are not known."""
    found, source = _value(operator, values, place), _input(operator)
    if found is None or source is None or not source.shape:
        return None
    return {int(axis) % len(source.shape) for axis in found}


def _keeps_batch(operator: TfliteOperator, values: Values) -> bool:
    source, axes = _input(operator), _axes(operator, values)
    # A vector (features,) has no batch to lose.
    return axes is None or source is None or len(source.shape) < 3 or 0 not in axes


def _channels_in_fours(operator: TfliteOperator, values: Values) -> bool:
    source, axes = _input(operator), _axes(operator, values)
    return axes is None or source is None or len(source.shape) - 1 not in axes or source.shape[-1] % 4 == 0


def _averages_few(operator: TfliteOperator, values: Values) -> bool:
    source, axes = _input(operator), _axes(operator, values)
    if axes is None or source is None:
        return True
    return _elements(tuple(source.shape[axis] for axis in axes)) <= _MOST_AVERAGED


def _same_dilation(operator: TfliteOperator, values: Values) -> bool:
    return operator.options.get("dilationWFactor", 1) == operator.options.get("dilationHFactor", 1)


def _one_group(operator: TfliteOperator, values: Values) -> bool:
    source, kernel = _input(operator), _input(operator, 1)
    return source is None or kernel is None or source.shape[-1:] == kernel.shape[-1:]


def _no_fused_activation(operator: TfliteOperator, values: Values) -> bool:
    return operator.fused_activation == "NONE"


def _concatenates_activations(operator: TfliteOperator, values: Values) -> bool:
    constants = [tensor for tensor in operator.inputs if tensor is not None and tensor.is_constant]
    if not constants:
        return True
    content = values.get(constants[0].index)
    zero = constants[0].zero_point[0] if constants[0].zero_point else 0
    return len(operator.inputs) == 2 and len(constants) == 1 and content is not None and bool((content == zero).all())


def _pads_no_batch(operator: TfliteOperator, values: Values) -> bool:
    paddings, source = _value(operator, values, 1), _input(operator)
    return paddings is None or source is None or len(source.shape) < 4 or not paddings[:2].any()


def _axis_option_is_not_batch(operator: TfliteOperator, values: Values) -> bool:
    rank = len(operator.output_shapes[0]) if operator.output_shapes else 0
    axis = operator.options.get("axis", 0)
    return rank < 4 or axis % rank != 0


def _splits_no_batch(operator: TfliteOperator, values: Values) -> bool:
    axis, source = _value(operator, values, 0), _input(operator, 1)
    return axis is None or source is None or len(source.shape) < 3 or int(axis[0]) % len(source.shape) != 0


def _interpolates_precisely(operator: TfliteOperator, values: Values) -> bool:
    # Weights of an interpolation by f in both directions are multiples of 1 / f^2: 8 bits hold them up to f = 16.
    source = _input(operator)
    if source is None or not operator.outputs:
        return True
    pairs = zip(_sides(source)[:2], _sides(operator.outputs[0])[:2], strict=True)
    return all(after <= 16 * before for before, after in pairs)


def _fits_activation_memory(operator: TfliteOperator, values: Values) -> bool:
    tensors = [tensor for tensor in (*operator.inputs[:1], *operator.outputs[:1]) if tensor is not None]
    return sum(_elements(tensor.shape) for tensor in tensors) <= ACTIVATION_BYTES


def _reshapes_little(operator: TfliteOperator, values: Values) -> bool:
    source = _input(operator)
    if source is None or not operator.outputs or source.shape[-1:] == operator.outputs[0].shape[-1:]:
        return True
    return _elements(source.shape) <= _LARGEST_RESHAPE


def _squeezes_leading_sides(operator: TfliteOperator, values: Values) -> bool:
    source = _input(operator)
    if source is None or not operator.outputs:
        return True
    kept = operator.outputs[0].shape
    return source.shape[len(source.shape) - len(kept) :] == kept


def _alpha_is_vector(operator: TfliteOperator, values: Values) -> bool:
    alpha = _input(operator, 1)
    return alpha is None or _is_vector(alpha.shape)


def _unit_strides(operator: TfliteOperator, values: Values) -> bool:
    strides = _value(operator, values, 3)
    return strides is None or bool((strides == 1).all())


def _plain_masks(operator: TfliteOperator, values: Values) -> bool:
    return not operator.options.get("ellipsisMask") and not operator.options.get("newAxisMask")


_FUSED = Limit(
    _no_fused_activation, UNSPECIFIED, "it has a fused activation", "make the activation an operator of its own"
)
_WEIGHTS = Limit(_constant(1), NOT_CONSTANT, "its weights are computed", "use constant weights")
_DILATION = Limit(_same_dilation, UNSPECIFIED, "it dilates x and y differently", "use one dilation for both sides")
_BATCH_AXIS = Limit(_keeps_batch, UNSPECIFIED, "it reduces over the batch", "reduce over other sides")
_AXES = Limit(_constant(1), NOT_CONSTANT, "its axes are computed", "use constant axes")
_RESIZE = (
    Limit(_constant(1), NOT_CONSTANT, "its size is computed", "use a constant size"),
    Limit(
        _interpolates_precisely,
        IMPRECISE,
        "it enlarges a side more than 16 times",
        "enlarge in several steps of at most 16, or broadcast a 1x1 map by an addition or multiplication",
    ),
    Limit(
        _fits_activation_memory,
        UNSPECIFIED,
        "its input and output exceed the 3 MiB of activation memory",
        "resize smaller maps, or leave the last resize to the application",
    ),
)
_NONE: tuple[Limit, ...] = ()


def _tiles_one_place(operator: TfliteOperator, values: Values) -> bool:
    # What image-level pooling does: a 1 x 1 map is spread over height and width.
    source = _input(operator)
    if source is None or not operator.outputs:
        return True
    target = operator.outputs[0].shape
    if len(source.shape) != len(target) or len(target) < 3:
        return False
    kept = source.shape[:-3] == target[:-3] and source.shape[-1] == target[-1]
    return kept and source.shape[-3:-1] == (1, 1)


#: Every operator that can be mapped, and what it must keep to. What is missing here is never mapped.
RULES: Mapping[str, tuple[Limit, ...]] = {
    **dict.fromkeys(("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"), _NONE),
    **dict.fromkeys(("LOGISTIC", "TANH", "RELU", "RELU6", "RELU_N1_TO_1", "RSQRT"), _NONE),
    **dict.fromkeys(("L2_NORMALIZATION", "SPACE_TO_DEPTH", "QUANTIZE", "EXPAND_DIMS"), _NONE),
    "AVERAGE_POOL_2D": (_FUSED,),
    "MAX_POOL_2D": (_FUSED,),
    "CONCATENATION": (
        _FUSED,
        Limit(
            _concatenates_activations,
            UNSPECIFIED,
            "a constant input, which may only be one of two and all zeros",
            "pad with PAD instead of joining a constant",
        ),
    ),
    "CONV_2D": (
        _WEIGHTS,
        _DILATION,
        Limit(
            _one_group,
            UNSPECIFIED,
            "it is a group convolution",
            f"build it as {GROUPS_APART}",
        ),
    ),
    "DEPTHWISE_CONV_2D": (_WEIGHTS, _DILATION),
    "TRANSPOSE_CONV": (
        _WEIGHTS,
        Limit(
            lambda operator, values: _elements(operator.output_shapes[0]) <= _LARGEST_TRANSPOSED,
            UNSPECIFIED,
            "its output is large",
            "use fewer channels or a smaller map, or a resize followed by a convolution",
        ),
    ),
    "FULLY_CONNECTED": (
        _WEIGHTS,
        Limit(
            lambda operator, values: operator.options.get("weightsFormat", 0) == 0,
            UNSPECIFIED,
            "its weights are shuffled",
            "convert with the default weight format",
        ),
        Limit(
            lambda operator, values: _is_vector(operator.output_shapes[0]),
            UNSPECIFIED,
            "a fully-connected layer with 2D output",
            "use a 1x1 convolution for more than one position",
        ),
    ),
    "SOFTMAX": (
        Limit(
            lambda operator, values: _is_vector(operator.output_shapes[0]),
            UNSPECIFIED,
            "a softmax layer with 2D output",
            "leave the softmax to the application: it does not change which value is largest",
        ),
        Limit(
            lambda operator, values: _elements(operator.output_shapes[0]) <= 16_000,
            UNSPECIFIED,
            "more than 16,000 elements",
            "leave the softmax to the application",
        ),
    ),
    "MEAN": (
        _AXES,
        _BATCH_AXIS,
        Limit(
            _channels_in_fours, UNSPECIFIED, "channels are not a multiple of 4", "pad the channels to a multiple of 4"
        ),
        Limit(
            _averages_few, UNSPECIFIED, "it averages too many values at once", "average in two steps, or pool before"
        ),
    ),
    "SUM": (_AXES, _BATCH_AXIS),
    "REDUCE_MAX": (_AXES, _BATCH_AXIS),
    "REDUCE_MIN": (_AXES, _BATCH_AXIS),
    "PAD": (
        Limit(_constant(1), NOT_CONSTANT, "its paddings are computed", "use constant paddings"),
        Limit(_pads_no_batch, UNSPECIFIED, "it pads the batch", "pad other sides"),
    ),
    "SPLIT": (Limit(_splits_no_batch, UNSPECIFIED, "it splits the batch", "split another side"),),
    "PACK": (Limit(_axis_option_is_not_batch, UNSPECIFIED, "it packs the batch", "pack another side"),),
    "RESHAPE": (
        Limit(_constant(1), NOT_CONSTANT, "its shape is computed", "convert with a fixed input shape and batch 1"),
        Limit(_reshapes_little, UNSPECIFIED, "the tensor is large", "reshape in the application, or smaller tensors"),
    ),
    "SQUEEZE": (
        Limit(_squeezes_leading_sides, UNSPECIFIED, "it removes a side between others", "squeeze leading sides only"),
    ),
    "RESIZE_BILINEAR": _RESIZE,
    "RESIZE_NEAREST_NEIGHBOR": (
        Limit(
            lambda operator, values: not operator.options.get("halfPixelCenters"),
            VERSION,
            "it uses half-pixel centres",
            "resize with half_pixel_centers=False, or with a transposed convolution",
        ),
        *_RESIZE,
    ),
    "SLICE": (
        Limit(_constant(1), NOT_CONSTANT, "its begin is computed", "use constant bounds"),
        Limit(_constant(2), NOT_CONSTANT, "its size is computed", "use constant bounds"),
    ),
    "STRIDED_SLICE": (
        Limit(_constant(1), NOT_CONSTANT, "its begin is computed", "use constant bounds"),
        Limit(_unit_strides, UNSPECIFIED, "a stride other than 1", "use stride 1, or a pooling of kernel 1"),
        Limit(_plain_masks, UNSPECIFIED, "an ellipsis or new-axis mask", "slice all sides, reshape afterwards"),
    ),
    "PRELU": (
        Limit(_alpha_is_vector, UNSPECIFIED, "alpha has more than one side", "share alpha over height and width"),
    ),
    "TILE": (
        Limit(_constant(1), NOT_CONSTANT, "its multiples are computed", "use constant multiples"),
        Limit(
            _tiles_one_place,
            UNSPECIFIED,
            "it repeats more than a 1x1 map over height and width",
            "repeat a 1x1 map only, or use a resize",
        ),
    ),
    "TRANSPOSE": (Limit(_constant(1), NOT_CONSTANT, "its order is computed", "use a constant order"),),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _NONE,
}

#: What to use instead of common operators that are never mapped.
REPLACEMENTS: Mapping[str, str] = {
    "HARD_SWISH": "use relu or relu6 (the 'minimalistic' variants of MobileNetV3 do)",
    "GELU": "use relu or relu6",
    "LEAKY_RELU": "use relu, or PRELU with alpha shared over height and width",
    "ELU": "use relu or relu6",
    "BATCH_MATMUL": "use convolutions: attention is not mapped",
    "ARG_MAX": "leave it to the application, as the last operator",
    "DEQUANTIZE": "convert with integer outputs (inference_output_type int8 or uint8)",
    "TFLite_Detection_PostProcess": "keep it as the last operator: it is small and made for the CPU",
    "DEPTH_TO_SPACE": "use a resize or a transposed convolution",
    "BIDIRECTIONAL_SEQUENCE_LSTM": "use a unidirectional LSTM",
}
