"""Ops to a TFLite model, written directly: no TensorFlow, a few milliseconds a block.

For measuring cost before anybody trains: weights are random (He-scaled, batch norms folded), activation scales are
estimated rather than calibrated, and the operators are exactly those that the TensorFlow converter would emit for the
same ops after training. Models of one seed compute the same function in every precision, up to rounding.
"""

from __future__ import annotations

import numpy as np

from edgenas.export.deployed import deploy
from edgenas.export.quantization.activation_ranges import Quantization
from edgenas.export.tflite import box_writers as _box_writers  # noqa: F401  (registers writers)
from edgenas.export.tflite import label_writers as _label_writers  # noqa: F401  (registers writers)
from edgenas.export.tflite import layout_writers as _layout_writers  # noqa: F401  (registers writers)
from edgenas.export.tflite import op_writers as _op_writers  # noqa: F401  (registers writers)
from edgenas.export.tflite import sequence_writers as _sequence_writers  # noqa: F401  (registers writers)
from edgenas.export.tflite import sound_writers as _sound_writers  # noqa: F401  (registers writers)
from edgenas.export.tflite import table_writers as _table_writers  # noqa: F401  (registers writers)
from edgenas.export.tflite.model_writer import Constants, ModelWriter, op_writer
from edgenas.spaces.block import PRECISIONS
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import OpGraph

__all__ = ["op_writer", "write_tflite"]


#: A .tflite file ends at 2 GB, and writing one takes several times its size in memory.
MOST_PARAMS = 2**28


def write_tflite(
    graph: OpGraph,
    precision: str,
    *,
    seed: int = 0,
    given: Quantization | None = None,
    begins_with: Quantization | None = None,
    constants: Constants | None = None,
    equal_kernels: bool = False,
) -> bytes:
    """A TFLite model of a graph of ops with random weights, batch 1.

    ``precision`` is ``float32``, ``float16`` (float16 weights, expanded to float32 when loaded) or ``int8`` (integer
    everywhere, inputs and outputs included, but for ops that take or give real numbers). The same graph, precision and
    seed give the same bytes. ``given`` is the scale of int8 inputs, instead of the one of normalised values, and
    ``begins_with`` that of what an op that takes real numbers makes of them; ``constants`` are those of such ops, by
    the name of the node. ``equal_kernels`` gives kernels of one shape the same values: a compiler that knows equal ones
    encodes them once.

    Raises InputError for an unknown precision, for an op class that has no writer, and for more than
    :data:`MOST_PARAMS` parameters.

    >>> from edgenas.spaces.blocks import InvertedBottleneck
    >>> from edgenas.export.tflite.reader import read_operators
    >>> graph = InvertedBottleneck(filters=16).lower((14, 14, 16))
    >>> [operator.name for operator in read_operators(write_tflite(graph, "int8"))]
    ['CONV_2D', 'DEPTHWISE_CONV_2D', 'CONV_2D', 'ADD']
    """
    if precision not in PRECISIONS:
        raise InputError(f"cannot write a model in precision {precision!r}: expected one of {', '.join(PRECISIONS)}")
    if (params := graph.params) > MOST_PARAMS:
        raise InputError(
            f"a model of {params:,} parameters is not written: expected at most {MOST_PARAMS:,}, a file of 1 GB in "
            "float32. Use fewer filters, a smaller expansion or fewer classes"
        )
    rng = np.random.default_rng(seed)
    writer = ModelWriter(
        deploy(graph), precision, rng, given, begins_with, constants or {}, kernel_seed=seed if equal_kernels else None
    )
    return writer.write()
