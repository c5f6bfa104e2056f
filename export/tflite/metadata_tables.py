"""Tables of the TFLite metadata schema (tflite-support, ``metadata_schema.fbs``, version 1.1), by field.

Only what classifiers and detectors need. Field numbers and enumeration values are the schema's; the file
identifier is ``M001``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
from flatbuffers import number_types as N  # noqa: N812  (as flatbuffers' own generated code calls it)
from flatbuffers.table import Table

#: Bytes 4 to 8 of the metadata.
IDENTIFIER = b"M001"
#: AssociatedFileType
TENSOR_AXIS_LABELS, TENSOR_VALUE_LABELS = 2, 3
#: ContentProperties
FEATURE_PROPERTIES, IMAGE_PROPERTIES, BOX_PROPERTIES = 1, 2, 3
#: BoundingBoxType, CoordinateType
BOUNDARIES, RATIO = 1, 0
#: ColorSpaceType
RGB, GRAYSCALE = 1, 2
#: ProcessUnitOptions
NORMALIZATION = 1

# Fields by table, in the order of the schema. A union takes two: its type, then its value.
ASSOCIATED_FILE = ("name", "description", "type", "locale")
IMAGE_SIZE = ("width", "height")
IMAGE = ("color_space", "default_size")
BOX = ("index", "type", "coordinate_type")
CONTENT = ("content_properties_type", "content_properties", "range")
NORMALIZATION_OPTIONS = ("mean", "std")
PROCESS_UNIT = ("options_type", "options")
STATS = ("max", "min")
TENSOR = ("name", "description", "dimension_names", "content", "process_units", "stats", "associated_files")
SUBGRAPH = ("name", "description", "input_tensor_metadata", "output_tensor_metadata", "associated_files")
MODEL = (
    *("name", "description", "version", "subgraph_metadata", "author", "license", "associated_files"),
    "min_parser_version",
)

#: What a field holds: an offset to something written before, or (writer, value) of a number.
Field = int | tuple[Callable[..., None], int]


def byte(value: int) -> Field:
    """A field of an enumeration or a union's type."""
    return flatbuffers.Builder.PrependInt8Slot, value


def unsigned(value: int) -> Field:
    """A field of type uint."""
    return flatbuffers.Builder.PrependUint32Slot, value


def add_table(builder: flatbuffers.Builder, names: Sequence[str], **fields: Field) -> int:
    """Writes a table; returns its offset."""
    builder.StartObject(len(names))
    for name, value in fields.items():
        slot = names.index(name)
        if isinstance(value, tuple):
            value[0](builder, slot, value[1], 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
    return int(builder.EndObject())


def add_offsets(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    """Writes a vector of tables or strings."""
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def add_floats(builder: flatbuffers.Builder, values: Sequence[float]) -> int:
    """Writes a vector of float32."""
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return int(builder.EndVector())


def add_numbers(builder: flatbuffers.Builder, values: Sequence[int]) -> int:
    """Writes a vector of uint."""
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependUint32(value)
    return int(builder.EndVector())


class Reader:
    """A table of a metadata buffer. Raises struct.error, IndexError or ValueError where the buffer is damaged."""

    def __init__(self, buffer: bytes, position: int, names: Sequence[str]) -> None:
        if not 0 < position < len(buffer):
            raise ValueError("a table lies outside the metadata")
        self._table, self._names = Table(bytearray(buffer), position), names

    @classmethod
    def root(cls, buffer: bytes) -> Reader:
        """The ModelMetadata. Raises ValueError when the identifier is another."""
        if len(buffer) < 8 or buffer[4:8] != IDENTIFIER:
            raise ValueError(f"not TFLite metadata: expected the identifier {IDENTIFIER.decode()}")
        return cls(buffer, struct.unpack_from("<I", buffer)[0], MODEL)

    def _offset(self, name: str) -> int:
        return int(self._table.Offset(4 + 2 * self._names.index(name)))

    def text(self, name: str) -> str | None:
        """A string field; None when it is not set."""
        offset = self._offset(name)
        return None if not offset else self._table.String(offset + self._table.Pos).decode("utf-8", "replace")

    def byte(self, name: str) -> int:
        """An enumeration's number; 0 when it is not set."""
        offset = self._offset(name)
        return int(self._table.Get(N.Int8Flags, offset + self._table.Pos)) if offset else 0

    def unsigned(self, name: str) -> int:
        """An uint; 0 when it is not set."""
        offset = self._offset(name)
        return int(self._table.Get(N.Uint32Flags, offset + self._table.Pos)) if offset else 0

    def floats(self, name: str) -> tuple[float, ...]:
        """A vector of float32."""
        offset = self._offset(name)
        if not offset:
            return ()
        start, count = self._table.Vector(offset), self._length(offset)
        return struct.unpack_from(f"<{count}f", self._table.Bytes, start)

    def table(self, name: str, names: Sequence[str]) -> Reader | None:
        """A table field; None when it is not set."""
        offset = self._offset(name)
        if not offset:
            return None
        return self._reader(self._table.Indirect(offset + self._table.Pos), names)

    def tables(self, name: str, names: Sequence[str]) -> list[Reader]:
        """A vector of tables."""
        offset = self._offset(name)
        if not offset:
            return []
        start, count = self._table.Vector(offset), self._length(offset)
        return [self._reader(self._table.Indirect(start + 4 * index), names) for index in range(count)]

    def _length(self, offset: int) -> int:
        count = int(self._table.VectorLen(offset))
        if 4 * count > len(self._table.Bytes):
            raise ValueError("a list exceeds the metadata")
        return count

    def _reader(self, position: Any, names: Sequence[str]) -> Reader:
        return Reader(self._table.Bytes, int(position), names)
