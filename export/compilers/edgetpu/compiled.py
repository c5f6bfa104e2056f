"""Models that `edgetpu_compiler` has already compiled: one custom operator that holds a package for the chip.

The package is a flatbuffer inside the operator's options (google-coral/libedgetpu, ``executable/executable.fbs``):
one executable loads the parameters into the cache, another runs an inference with what is not cached as its stream.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from edgenas.export.tflite.reader import read_operators
from edgenas.export.tflite.schema import schema
from edgenas.spaces.errors import InputError

CUSTOM_OPERATOR = "edgetpu-custom-op"
_IDENTIFIER = b"DWN1"
_GARBAGE = (struct.error, IndexError, ValueError, TypeError, OverflowError)
_PARAMETER_CACHING = 1
# Fields of the tables, by their place in the schema.
_PACKAGE_EXECUTABLES, _EXECUTABLES = 1, 0
_INSTRUCTIONS, _PARAMETERS, _CYCLES, _TYPE, _CYCLES_64 = 5, 6, 11, 13, 16
_BITSTREAM = 0


@dataclass(frozen=True)
class CompiledPart:
    """One custom operator: bytes cached on the chip, streamed at each inference, of instructions, and the compiler's
    estimate of compute cycles (None when the file does not carry it).
    """

    cached_bytes: int
    streamed_bytes: int
    instruction_bytes: int
    estimated_cycles: int | None


def is_compiled(model: bytes) -> bool:
    """Whether a model was compiled for the Edge TPU. Raises InputError on anything but a whole model."""
    return any(operator.name == CUSTOM_OPERATOR for operator in read_operators(model))


def compiled_parts(model: bytes) -> tuple[CompiledPart, ...]:
    """What each custom operator of a compiled model holds. Raises InputError when a package is damaged."""
    operators = read_operators(model)
    generated = schema().Model.GetRootAs(model, 0).Subgraphs(0)
    parts = []
    for operator in operators:
        if operator.name == CUSTOM_OPERATOR:
            try:
                parts.append(_read_package(_custom_options(generated.Operators(operator.index), len(model))))
            except _GARBAGE as error:
                raise InputError(
                    f"damaged compiled model: operator {operator.index} holds no package for the Edge TPU ({error}); "
                    f"compile the original model again"
                ) from None
    return tuple(parts)


def _custom_options(operator: object, limit: int) -> bytes:
    length = operator.CustomOptionsLength()  # type: ignore[attr-defined]
    if not 0 < length <= limit:
        raise ValueError("no options")
    return bytes(operator.CustomOptionsAsNumpy().tobytes())  # type: ignore[attr-defined]


def _read_package(options: bytes) -> CompiledPart:
    place = options.find(_IDENTIFIER)
    if place < 4:
        raise ValueError("no identifier DWN1")
    package = _Table.root(options, place - 4)
    bundle = _Table.root(package.bytes_of(_PACKAGE_EXECUTABLES), 0)
    executables = [_Table.root(raw, 0) for raw in bundle.strings(_EXECUTABLES)]
    cached = streamed = instructions = 0
    cycles: int | None = None
    for executable in executables:
        parameters = executable.vector(_PARAMETERS)[1]
        if executable.integer(_TYPE, "<h") == _PARAMETER_CACHING:
            cached += parameters
            continue
        streamed += parameters
        instructions += sum(stream.vector(_BITSTREAM)[1] for stream in executable.tables(_INSTRUCTIONS))
        estimate = executable.integer(_CYCLES_64, "<q") or executable.integer(_CYCLES, "<i")
        cycles = estimate if estimate > 0 else cycles
    return CompiledPart(cached, streamed, instructions, cycles)


@dataclass(frozen=True)
class _Table:
    """A flatbuffer table at ``place``; every offset is checked against the bytes."""

    raw: bytes
    place: int

    @classmethod
    def root(cls, raw: bytes, start: int) -> _Table:
        return cls(raw, start + cls._read(raw, "<I", start))

    @staticmethod
    def _read(raw: bytes, kind: str, place: int) -> int:
        if not 0 <= place <= len(raw) - struct.calcsize(kind):
            raise ValueError("an offset leads out of the package")
        return int(struct.unpack_from(kind, raw, place)[0])

    def _field(self, number: int) -> int:
        """Where a field's value is, or 0 when it has its default."""
        layout = self.place - self._read(self.raw, "<i", self.place)
        if 4 + 2 * number >= self._read(self.raw, "<H", layout):
            return 0
        offset = self._read(self.raw, "<H", layout + 4 + 2 * number)
        return self.place + offset if offset else 0

    def integer(self, number: int, kind: str) -> int:
        place = self._field(number)
        return self._read(self.raw, kind, place) if place else 0

    def vector(self, number: int) -> tuple[int, int]:
        """Start and length of a vector; (0, 0) when there is none."""
        place = self._field(number)
        if not place:
            return 0, 0
        start = place + self._read(self.raw, "<I", place)
        length = self._read(self.raw, "<I", start)
        if start + 4 + length > len(self.raw):
            raise ValueError("a length exceeds the package")
        return start + 4, length

    def bytes_of(self, number: int) -> bytes:
        start, length = self.vector(number)
        return self.raw[start : start + length]

    def _targets(self, number: int) -> Iterator[int]:
        start, length = self.vector(number)
        for index in range(length):
            place = start + 4 * index
            yield place + self._read(self.raw, "<I", place)

    def tables(self, number: int) -> Iterator[_Table]:
        for place in self._targets(number):
            yield _Table(self.raw, place)

    def strings(self, number: int) -> Iterator[bytes]:
        for place in self._targets(number):
            length = self._read(self.raw, "<I", place)
            if place + 4 + length > len(self.raw):
                raise ValueError("an executable exceeds the package")
            yield self.raw[place + 4 : place + 4 + length]
