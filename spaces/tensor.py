"""What is known of a tensor before anything runs: its shape without the batch, and the type of its elements."""

from __future__ import annotations

import math
from typing import Any

from edgenas.spaces.errors import InputError

Shape = tuple[int, ...]

#: Precisions in which a network is deployed. They are what becomes of ``float32`` elements; integers stay integers.
PRECISIONS = ("float32", "float16", "int8")
#: Types of elements. ``float32`` are real numbers, stored as the precision says.
DTYPES = ("float32", "int32", "int64", "bool")
_ELEMENT_BYTES = {"float32": 4, "float16": 2, "int8": 1, "int32": 4, "int64": 8, "bool": 1}


def format_shape(shape: Shape) -> str:
    """``(28, 28, 16)`` as ``28x28x16``."""
    return "x".join(str(side) for side in shape)


def parse_shape(text: str) -> Shape:
    """The inverse of :func:`format_shape`."""
    try:
        return tuple(int(side) for side in text.split("x"))
    except ValueError:
        raise InputError(f"{text!r} is not a shape: expected sides joined by 'x', such as 28x28x16") from None


def check_precision(precision: str) -> None:
    """Raises InputError with the known ones for an unknown precision."""
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision {precision!r}: expected one of {', '.join(PRECISIONS)}")


class TensorSpec(tuple[int, ...]):
    """A shape without batch that knows the type of its elements. It is the tuple of its sides.

    An image is ``(height, width, channels)``, a vector ``(features,)``, a text ``(positions,)`` of ``int32``. A plain
    tuple of sides stands for ``float32``, and equals the spec that it stands for.

    >>> tokens = TensorSpec((384,), "int32")
    >>> str(tokens), len(tokens), tokens == TensorSpec((384,))
    ('384:int32', 1, False)
    >>> TensorSpec((28, 28, 1)) == (28, 28, 1), TensorSpec.parse("384:int32") == tokens
    (True, True)
    """

    dtype: str

    def __new__(cls, shape: Shape, dtype: str = "float32") -> TensorSpec:
        if dtype not in DTYPES:
            raise InputError(f"unknown type of elements {dtype!r}: expected one of {', '.join(DTYPES)}")
        spec = super().__new__(cls, shape)
        spec.dtype = dtype
        return spec

    @classmethod
    def of(cls, shape: Shape) -> TensorSpec:
        """The spec itself, or that of a plain shape."""
        return shape if isinstance(shape, TensorSpec) else cls(shape)

    @classmethod
    def parse(cls, text: str) -> TensorSpec:
        """The inverse of ``str``. Raises InputError for any other text."""
        sides, colon, dtype = text.partition(":")
        return cls(parse_shape(sides), dtype if colon else "float32")

    @classmethod
    def from_data(cls, data: Any) -> TensorSpec:
        """From ``[28, 28, 1]`` or ``{shape: [384], dtype: int32}``, as :meth:`to_data` writes it."""
        if isinstance(data, dict):
            return cls(tuple(int(side) for side in data["shape"]), str(data.get("dtype", "float32")))
        return cls(tuple(int(side) for side in data))

    def to_data(self) -> Any:
        """Plain data for YAML and JSON."""
        return list(self) if self.dtype == "float32" else {"shape": list(self), "dtype": self.dtype}

    @property
    def elements(self) -> int:
        return math.prod(self)

    @property
    def is_real(self) -> bool:
        return self.dtype == "float32"

    def bytes(self, precision: str) -> int:
        """Bytes of one example's tensor in a network deployed in this precision."""
        return self.elements * (element_bytes(precision) if self.is_real else _ELEMENT_BYTES[self.dtype])

    def __eq__(self, other: object) -> bool:
        dtype = other.dtype if isinstance(other, TensorSpec) else "float32"
        return self.dtype == dtype and tuple.__eq__(self, other) is True

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__  # of its sides: specs that differ in dtype are few, and not equal

    def __str__(self) -> str:
        return format_shape(self) if self.is_real else f"{format_shape(self)}:{self.dtype}"

    def __repr__(self) -> str:
        return tuple.__repr__(self) if self.is_real else f"{tuple.__repr__(self)} of {self.dtype}"

    def __reduce__(self) -> tuple[Any, ...]:
        return TensorSpec, (tuple(self), self.dtype)


def element_bytes(precision: str) -> int:
    """Bytes of an activation or a weight."""
    check_precision(precision)
    return _ELEMENT_BYTES[precision]


def bias_bytes(precision: str) -> int:
    """Bytes of an element of a bias: those of int8 models have 32 bits."""
    check_precision(precision)
    return 4 if precision == "int8" else _ELEMENT_BYTES[precision]
