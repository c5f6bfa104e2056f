"""Changing finished files: constants stay what they are, wherever the writer put them."""

from __future__ import annotations

import flatbuffers
import numpy as np
import pytest

from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.model_rewriting import rewrite
from edgenas.export.tflite.schema import FILE_IDENTIFIER, schema
from edgenas.export.verify_worker import run_model
from edgenas.spaces.blocks import InvertedBottleneck
from edgenas.spaces.errors import InputError

MODEL = write_tflite(InvertedBottleneck(filters=8, expansion=2).lower((4, 4, 8)), "int8")


def with_constants_behind(model: bytes) -> bytes:
    """The same file with every constant behind the flatbuffer, as some converters write it."""
    tree = schema().ModelT.InitFromPackedBuf(model, 0)
    contents = [None if buffer.data is None else np.asarray(buffer.data, np.uint8).tobytes() for buffer in tree.buffers]

    def packed(offsets: list[int]) -> bytes:
        for buffer, content, offset in zip(tree.buffers, contents, offsets, strict=True):
            if content is not None:
                buffer.data, buffer.offset, buffer.size = None, offset, len(content)
        builder = flatbuffers.Builder(0)
        builder.Finish(tree.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())

    front = packed([2] * len(contents))
    offsets, place = [], len(front)
    for content in contents:
        offsets.append(place)
        place += len(content or b"")
    return packed(offsets) + b"".join(content or b"" for content in contents)


def test_constants_behind_the_flatbuffer_are_taken_along() -> None:
    behind = with_constants_behind(MODEL)
    inputs = [np.random.default_rng(0).normal(size=(3, 4, 4, 8)).astype(np.float32)]
    again = rewrite(behind, lambda tree: None)
    np.testing.assert_array_equal(run_model(again, inputs)[0], run_model(MODEL, inputs)[0])
    with pytest.raises(InputError, match="ends before its constants"):
        rewrite(behind[:-10], lambda tree: None)
