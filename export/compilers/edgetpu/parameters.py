"""How much parameter memory an operator takes on the Edge TPU.

The chip does not store a kernel as the file does. The layout is not published; the sizes of the parameter streams in
four compiled classifiers and detectors (0.5 to 1.5 MB) are met within 1.5 % by: input channels padded to 1 and filters
to 8, 16 bytes per filter (bias, multiplier, shift), and four times the bytes for depthwise kernels.
"""

from __future__ import annotations

import math

from edgenas.export.tflite.reader import TfliteOperator

#: What the compiler says is there for parameters of a small model ("On-chip memory available for caching model
#: parameters: 7.69MiB"); the chip has 8 MiB, 512 KiB in each of 16 tiles.
CACHE_BYTES = int(7.69 * 2**20)
_FILTERS = 8
_BYTES_PER_FILTER = 16
_DEPTHWISE_COPIES = 4
_BYTES = {"INT8": 1, "UINT8": 1, "INT16": 2, "INT32": 4, "FLOAT32": 4, "INT64": 8, "FLOAT16": 2}


def parameter_bytes(operator: TfliteOperator) -> int:
    """Bytes of parameter memory of a mapped operator; 0 for one without weights."""
    if operator.name in ("CONV_2D", "FULLY_CONNECTED", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"):
        kernel = operator.inputs[1] if len(operator.inputs) > 1 else None
        if kernel is None or not kernel.shape:
            return 0
        depthwise = operator.name == "DEPTHWISE_CONV_2D"
        filters = kernel.shape[-1] if depthwise else kernel.shape[0]
        padded = _FILTERS * math.ceil(filters / _FILTERS)
        per_filter = math.prod(kernel.shape) // max(filters, 1)
        return padded * (per_filter * (_DEPTHWISE_COPIES if depthwise else 1) + _BYTES_PER_FILTER)
    constants = [tensor for tensor in operator.inputs if tensor is not None and tensor.is_constant]
    # Axes, sizes and paddings become instructions; only what is added, multiplied or learnt is stored.
    return sum(math.prod(t.shape) * _BYTES.get(t.dtype, 1) for t in constants if t.scale)
