"""The blocks of a table, from its signatures: a table does not know its space."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable

from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import InputError
from edgenas.spaces.signature import parse_signature


def blocks_from(signatures: Iterable[str], most: float = math.inf) -> dict[str, SlotEntry]:
    """At most so many blocks that can be rebuilt from their signatures, in order."""
    blocks: dict[str, SlotEntry] = {}
    for signature in signatures:
        if len(blocks) >= most:
            break
        with contextlib.suppress(InputError):
            blocks[signature] = parse_signature(signature)[0]
    return blocks
