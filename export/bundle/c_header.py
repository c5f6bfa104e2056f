"""The model as a C header, for microcontrollers: its bytes, its quantization, normalisation, labels and operators, and
how much memory to set aside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgenas.export.bundle.c_constants import label_lines, normalisation_lines, operator_lines
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.micro.interpreter import Arena
from edgenas.export.tflite.arena import ArenaEstimate, estimate_arena
from edgenas.export.tflite.reader import TfliteTensor, model_io
from edgenas.spaces.errors import InputError

#: Larger models do not fit into a microcontroller's flash; their headers would only be large files.
LARGEST_BYTES = 4 * 2**20
_TYPES = {"INT8": "int8_t", "UINT8": "uint8_t", "INT16": "int16_t", "FLOAT32": "float"}


def c_header(
    model: bytes,
    *,
    name: str,
    prefix: str = "model",
    labels: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
    arena: Arena | None = None,
) -> str:
    """The text of a header that C11 and C++11 compilers take.

    Args:
        model: the ``.tflite`` file; the array holds exactly its bytes.
        name: what the model is, for the comment.
        prefix: of all names in the header; a C identifier.
        labels: names of the classes, in the order of the output.
        preprocessing: of a model of images, what their pixels are normalised with.
        arena: what the microcontrollers' interpreter allocated for the model; without it, the size is an estimate.

    Several outputs are ``MODEL_OUTPUT0_...``, ``MODEL_OUTPUT1_...`` in the file's order. Raises InputError when the
    model has several inputs or is larger than :data:`LARGEST_BYTES`.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", prefix):
        raise InputError(f"the prefix of a C header must be an identifier, not {prefix!r}")
    if len(model) > LARGEST_BYTES:
        raise InputError(f"a C header is for models of up to {LARGEST_BYTES:,} bytes, this one has {len(model):,}")
    ends = model_io(model)
    if len(ends.inputs) != 1:
        raise InputError(f"a C header is for one input, not {len(ends.inputs)}")
    several = len(ends.outputs) > 1
    estimate = estimate_arena(model)
    arena_bytes = estimate.total_bytes if arena is None else _aligned(arena.total_bytes)
    guard = f"{prefix.upper()}_H_"
    title = re.sub(r"[^\x20-\x7e]|\*/", " ", name)
    tensor = ends.inputs[0]
    takes_pixels = preprocessing is not None and len(tensor.shape) == 4 and tensor.dtype in _TYPES
    lines = [
        f"/* {title}: a TFLite model for TensorFlow Lite for Microcontrollers. Include it in one source file.",
        "   real value = scale * (stored value - zero point);",
        *_arena_words(estimate, arena),
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        "#include <stdint.h>",
        "",
        "#ifdef __cplusplus",
        f"#define {prefix.upper()}_ALIGN alignas(16)",
        "#else",
        f"#define {prefix.upper()}_ALIGN _Alignas(16)",
        "#endif",
        "",
        *_end(prefix, "INPUT", ends.inputs[0]),
        *(
            line
            for number, end in enumerate(ends.outputs)
            for line in _end(prefix, f"OUTPUT{number}" if several else "OUTPUT", end)
        ),
        f"#define {prefix.upper()}_ARENA_BYTES {arena_bytes}",
        f"#define {prefix.upper()}_LENGTH {len(model)}",
        "",
        *operator_lines(prefix, model),
        *(["", *normalisation_lines(prefix, preprocessing, tensor)] if preprocessing and takes_pixels else []),
        *(["", *label_lines(prefix, labels)] if labels else []),
        "",
        f"static const unsigned int {prefix}_length = {len(model)};",
        f"{prefix.upper()}_ALIGN static const unsigned char {prefix}_data[{len(model)}] = {{",
        *_rows(model),
        "};",
        "",
        f"#endif  /* {guard} */",
    ]
    return "\n".join(lines) + "\n"


def _aligned(size: int) -> int:
    """Rounded up to the 16 bytes that an arena is aligned to, and 16 more where it is not."""
    return 16 * -(-size // 16) + 16


def _arena_words(estimate: ArenaEstimate, arena: Arena | None) -> tuple[str, str]:
    if arena is None:
        return (
            f"   the arena is an estimate (activations {estimate.activation_bytes:,} bytes, the rest bookkeeping),",
            "   without what kernels ask for besides. */",
        )
    return (
        f"   the arena is what the interpreter allocated on a 64-bit machine ({arena.head_bytes:,} bytes for tensors,",
        f"   {arena.tail_bytes:,} for what stays), with its reference kernels; others may ask for more. */",
    )


def header_bytes(header: str) -> bytes:
    """The bytes of the array in a header that :func:`c_header` wrote. Raises InputError when there is none."""
    found = re.search(r"_data\[\d+\] = \{\n([0-9,\n]*)\};", header)
    try:
        if found is None:
            raise ValueError("no array")
        return bytes(int(number) for number in found.group(1).split(",") if number.strip())
    except ValueError as error:
        raise InputError(f"not the header of a model ({error})") from None


def _end(prefix: str, kind: str, tensor: TfliteTensor) -> list[str]:
    """Shape, type and quantization of the input or output."""
    name = f"{prefix.upper()}_{kind}"
    dtype = _TYPES.get(tensor.dtype, tensor.dtype.lower())
    sides = " x ".join(map(str, tensor.shape))
    count = 1
    for side in tensor.shape:
        count *= max(side, 1)
    lines = [f"#define {name}_TYPE {dtype}  /* {sides} */", f"#define {name}_SIZE {count}"]
    if len(tensor.shape) == 4:
        lines += [
            f"#define {name}_{axis} {side}"
            for axis, side in zip(("HEIGHT", "WIDTH", "CHANNELS"), tensor.shape[1:], strict=True)
        ]
    if tensor.scale:
        zero_point = tensor.zero_point[0] if tensor.zero_point else 0
        lines += [f"#define {name}_SCALE {tensor.scale[0]:.9e}f", f"#define {name}_ZERO_POINT ({zero_point})"]
    return lines


def _rows(model: bytes) -> list[str]:
    return [",".join(map(str, model[start : start + 24])) + "," for start in range(0, len(model), 24)]
