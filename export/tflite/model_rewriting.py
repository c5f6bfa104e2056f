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

#: Offsets within a flatbuffer have 32 bits and a sign.
_MOST_BYTES = 2**31


def rewrite(model: bytes, change: Callable[[Any], None]) -> bytes:
    """The model after ``change`` of its object tree (the schema's ``ModelT``), constants on 16-byte boundaries.

    Raises InputError on anything but a whole model.
    """
    read_subgraphs(model)  # checks every offset that is followed below
    try:
        unpacked = schema().ModelT.InitFromPackedBuf(model, 0)
        change(unpacked)
        unpacked.buffers = [AlignedBuffer(_content(buffer, model)) for buffer in unpacked.buffers]
        builder = flatbuffers.Builder(len(model) + 65536)
        builder.Finish(unpacked.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())
    except GARBAGE as error:
        raise InputError(f"damaged TFLite model: {error}; convert or export it again") from None


def _content(buffer: Any, model: bytes) -> bytes | None:
    """A buffer's bytes; some writers put them behind the flatbuffer, where it names their place."""
    if buffer.offset > 1:
        if len(model) >= _MOST_BYTES:
            raise InputError("models above 2 GB, with constants behind the flatbuffer, cannot be rewritten")
        if buffer.offset + buffer.size > len(model):
            raise InputError("it ends before its constants")
        return model[buffer.offset : buffer.offset + buffer.size]
    return None if buffer.data is None else np.asarray(buffer.data, np.uint8).tobytes()
