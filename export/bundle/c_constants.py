"""What an application in C needs besides a model's bytes: normalisation, labels, and the operators to register."""

from __future__ import annotations

from collections.abc import Sequence

from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.tflite.reader import TfliteTensor, read_operators

#: Operators that TensorFlow Lite for Microcontrollers has a kernel for, and may be in a file that is exported here: of
#: micro_mutable_op_resolver.h. Their methods are named like them, but for a few.
_MICRO_OPERATORS = """
    ABS ADD ADD_N ARG_MAX ARG_MIN AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_TO CAST CEIL CONCATENATION
    CONV_2D COS CUMSUM DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV ELU EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV
    FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS
    LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD
    MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE REDUCE_MAX RELU RELU6 RESHAPE RESIZE_BILINEAR
    RESIZE_NEAREST_NEIGHBOR ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT
    SPLIT_V SQRT SQUARE
    SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM
    UNPACK ZEROS_LIKE
"""
_OTHER_NAMES = {
    "BATCH_MATMUL": "BatchMatMul",
    "CUMSUM": "CumSum",
    "PADV2": "PadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
}
_RANGES = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767)}


def operator_lines(prefix: str, model: bytes) -> list[str]:
    """The different operators of a model, and a macro that registers them with an operator resolver."""
    names = sorted({operator.name for operator in read_operators(model)})
    upper = prefix.upper()
    lines = [
        f"/* Operators: {', '.join(names)}.",
        f"   In C++: tflite::MicroMutableOpResolver<{upper}_OPERATOR_COUNT> resolver;",
        f"   {upper}_ADD_OPERATORS(resolver); */",
        f"#define {upper}_OPERATOR_COUNT {len(names)}",
    ]
    known = set(_MICRO_OPERATORS.split())
    missing = [name for name in names if name not in known]
    if missing:
        return [
            lines[0],
            f"   TensorFlow Lite for Microcontrollers has no kernel for {', '.join(missing)}. */",
            lines[-1],
        ]
    calls = " ".join(f"(resolver).Add{micro_name(name)}();" for name in names)
    return [*lines, f"#define {upper}_ADD_OPERATORS(resolver) do {{ {calls} }} while (0)"]


def micro_name(operator: str) -> str:
    """An operator's name in the methods of ``MicroMutableOpResolver``.

    >>> micro_name("DEPTHWISE_CONV_2D"), micro_name("RELU6"), micro_name("PADV2")
    ('DepthwiseConv2D', 'Relu6', 'PadV2')
    """
    words = (word if word[0].isdigit() else word.capitalize() for word in operator.split("_"))
    return _OTHER_NAMES.get(operator) or "".join(words)


def normalisation_lines(prefix: str, preprocessing: Preprocessing, tensor: TfliteTensor) -> list[str]:
    """Mean and standard deviation of each channel, and a function from a pixel to what the input tensor holds."""
    upper, channels = prefix.upper(), len(preprocessing.mean)
    channel = "channel" if channels > 1 else "0"
    mean, std = (", ".join(f"{value:.9g}" for value in values) for values in (preprocessing.mean, preprocessing.std))
    order = "" if channels == 1 else " in the order red, green, blue"
    lines = [
        f"/* Normalisation: (pixel / 255 - mean) / std of each channel{order}; pixels are 0 to 255. */",
        f"static const float {prefix}_input_mean[{channels}] = {{{mean}}};",
        f"static const float {prefix}_input_std[{channels}] = {{{std}}};",
        "/* What the input tensor holds for a pixel of a channel (0, 1, ...). */",
        f"static inline {upper}_INPUT_TYPE {prefix}_input_of(unsigned char pixel, int channel) {{",
        f"  float value = ((float)pixel / 255.0f - {prefix}_input_mean[{channel}]) / {prefix}_input_std[{channel}];",
        *(["  (void)channel;"] if channels == 1 else []),
    ]
    if not tensor.scale:
        return [*lines, "  return value;", "}"]
    low, high = _RANGES[tensor.dtype]
    return [
        *lines,
        f"  float stored = value / {upper}_INPUT_SCALE + {upper}_INPUT_ZERO_POINT;",
        "  stored += stored < 0 ? -0.5f : 0.5f;  /* to the nearest whole number */",
        f"  if (stored < {low}) return {low};",
        f"  if (stored > {high}) return {high};",
        f"  return ({upper}_INPUT_TYPE)stored;",
        "}",
    ]


def label_lines(prefix: str, labels: Sequence[str]) -> list[str]:
    """The names of the classes as an array of UTF-8 texts, in the order of the output."""
    rows = [f"  {c_text(label)}," for label in labels]
    upper = prefix.upper()
    return [
        f"#define {upper}_LABEL_COUNT {len(labels)}",
        f"static const char *const {prefix}_labels[{upper}_LABEL_COUNT] = {{",
        *rows,
        "};",
    ]


def c_text(text: str) -> str:
    r"""A text as a C string literal of its UTF-8 bytes, whatever is in it.

    >>> print(c_text('say "hi" to Zoë?'))
    "say \"hi\" to Zo\303\253\?"
    """
    plain = {0x22: '\\"', 0x5C: "\\\\", 0x3F: "\\?"}  # "??" could be a trigraph
    return '"' + "".join(plain.get(b) or (chr(b) if 0x20 <= b < 0x7F else f"\\{b:03o}") for b in text.encode()) + '"'
