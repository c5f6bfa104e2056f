"""Files that Vela has compiled already: their NPU part is one custom operator, which tells its accelerator."""

from __future__ import annotations

import struct

from edgenas.export.tflite.reader import read_operators

CUSTOM_OPERATOR = "ethos-u"
#: Begins the commands of the NPU; a word with the number of a command, then the NPU's configuration, follow.
_MAGIC = b"COP1"
_CONFIG = 1
#: The highest bits of the configuration tell the product, the lowest four how many MACs a cycle it has.
_PRODUCTS = {0: "u55", 1: "u65", 2: "u85"}


def is_compiled(model: bytes) -> bool:
    """Whether a model was compiled for an Ethos-U. Raises InputError on anything but a whole model."""
    return any(operator.name == CUSTOM_OPERATOR for operator in read_operators(model))


def compiled_accelerator(model: bytes) -> str | None:
    """The accelerator that a file is compiled for, such as ``ethos-u55-128``; None where it does not tell.

    The driver on the board compares the same words with its NPU, and refuses what is for another. Raises InputError on
    anything but a whole model.
    """
    if not is_compiled(model):
        return None
    place = model.find(_MAGIC)
    if place < 0 or place + 12 > len(model):
        return None
    command, configuration = struct.unpack_from("<II", model, place + len(_MAGIC))
    product = _PRODUCTS.get(configuration >> 28)
    if command & 0xFF != _CONFIG or product is None:
        return None
    return f"ethos-{product}-{1 << (configuration & 0xF)}"
