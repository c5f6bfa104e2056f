"""Signatures read back: from the key of a latency table to the block and the input shapes that it stands for."""

from __future__ import annotations

import re

from edgenas.spaces.block import PRECISIONS, block_from_dict
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import InputError
from edgenas.spaces.tensor import TensorSpec

_FORM = re.compile(
    r"(?P<kind>[^()@/]+)\((?P<options>[^()]*)\)@(?P<shapes>[0-9a-z:+]+)/(?P<precision>\w+)"
    r"(?: without (?P<given>[\w+]+))?"
)
_WORDS: dict[str, bool | None] = {"yes": True, "no": False, "none": None}


def parse_signature(text: str) -> tuple[SlotEntry, str]:
    """The block on its input shapes, and the precision: the inverse of :func:`edgenas.spaces.block.signature`.

    The block is the canonical one, without what costs nothing when deployed. Raises InputError for a text that is no
    signature, and for one of a block that is not registered (import its module first) or does not fit its shapes.

    >>> entry, precision = parse_signature("conv(filters=16 stride=2)@28x28x1/int8")
    >>> entry.block.filters, entry.input_shapes, precision
    (16, ((28, 28, 1),), 'int8')
    """
    match = _FORM.fullmatch(text)
    if match is None or match["precision"] not in PRECISIONS:
        raise InputError(
            f"{text!r} is not a signature: expected KIND(OPTION=VALUE ...)@SHAPE/PRECISION, such as "
            "conv(filters=16 stride=2)@28x28x1/int8"
        )
    options: dict[str, object] = {}
    for option in match["options"].split():
        name, equals, value = option.partition("=")
        if not equals or name in options:
            raise InputError(f"signature {text!r}: {option!r} is not one OPTION=VALUE of its own")
        options[name] = parse_value(value)
    try:
        shapes = tuple(TensorSpec.parse(shape) for shape in match["shapes"].split("+"))
        block = block_from_dict({"block": match["kind"], **options})
        if min(map(min, shapes)) < 1:
            raise InputError(f"{match['shapes']} has a side below 1")
        block.check_count(len(shapes))
        block.lower(*shapes)
    except (InputError, TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError) as error:
        raise InputError(f"signature {text!r}: {error}") from None
    entry = SlotEntry(block, shapes, tuple(match["given"].split("+")) if match["given"] else ())
    unknown = [name for name in entry.given if name not in {node.name for node in entry.graph.nodes}]
    if unknown:
        raise InputError(f"signature {text!r}: the block has no op {unknown[0]!r}")
    return entry, match["precision"]


def parse_value(text: str) -> object:
    """The inverse of :func:`edgenas.spaces.block.format_value`; what is neither a word nor a number is a text."""
    if text in _WORDS:
        return _WORDS[text]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
