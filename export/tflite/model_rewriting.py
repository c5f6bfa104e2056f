"""Changing a finished model file: unpacked into the schema's objects, edited, and packed again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np

from edgenas.export.tflite.assembler import AlignedBuffer
from edgenas.export.tflite.reader import GARBAGE, read_subgraphs
from edgenas.export.tflite.schema import FILE_IDENTIFIER, schema
from edgenas.spaces.errors import InputError


def rewrite(model: bytes, change: Callable[[Any], None]) -> bytes:
    """The model after ``change`` of its object tree (the schema's ``ModelT``), constants on 16-byte boundaries.

    Raises InputError on anything but a whole model.
    """
    read_subgraphs(model)  # checks every offset that is followed below
    try:
        unpacked = schema().ModelT.InitFromPackedBuf(model, 0)
        change(unpacked)
        unpacked.buffers = [AlignedBuffer(_content(buffer)) for buffer in unpacked.buffers]
        builder = flatbuffers.Builder(len(model) + 65536)
        builder.Finish(unpacked.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())
    except GARBAGE as error:
        raise InputError(f"damaged TFLite model: {error}; convert or export it again") from None


def _content(buffer: Any) -> bytes | None:
    if buffer.offset > 1:
        raise InputError("models above 2 GB, with constants behind the flatbuffer, cannot be rewritten")
    return None if buffer.data is None else np.asarray(buffer.data, np.uint8).tobytes()
