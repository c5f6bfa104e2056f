"""Files that Vela has compiled already: their NPU part is one custom operator."""

from __future__ import annotations

from edgenas.export.tflite.reader import read_operators

CUSTOM_OPERATOR = "ethos-u"


def is_compiled(model: bytes) -> bool:
    """Whether a model was compiled for an Ethos-U. Raises InputError on anything but a whole model."""
    return any(operator.name == CUSTOM_OPERATOR for operator in read_operators(model))
