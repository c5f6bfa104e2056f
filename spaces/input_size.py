"""The size of a network's input, as a user writes it: ``96x96x3``, ``96x96`` or ``96``."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

from edgenas.spaces.errors import InputError
from edgenas.spaces.tensor import Shape, format_shape
from edgenas.spaces.yaml_files import MOST_WHOLE


def complete_shape(given: Sequence[int], own: Shape, what: str) -> Shape:
    """All sides of an input whose own shape is ``own``, from those that are given.

    An image may be given by height and width, or by one side where both are equal; its channels stay. Any other input
    is given by all its sides. Raises InputError, for which ``what`` names the space or the network.

    >>> complete_shape((96,), (28, 28, 1), "space 'tiny_edge'"), complete_shape((96, 64), (28, 28, 1), "it")
    ((96, 96, 1), (96, 64, 1))
    """
    sides = tuple(given)
    if len(own) == 3 and 1 <= len(sides) < 3:
        sides = (sides * 2)[:2] + tuple(own[2:])
    whole = all(isinstance(side, Integral) and 1 <= side <= MOST_WHOLE for side in sides)
    if len(sides) != len(own) or not whole:
        wanted = "(height, width, channels)" if len(own) == 3 else f"{len(own)} side{'s'[: len(own) != 1]}"
        raise InputError(
            f"{what}: input_shape must be {wanted} of whole numbers from 1 to {MOST_WHOLE:,}, as in its own "
            f"{format_shape(own)}; found {'x'.join(map(str, given)) or 'none'}"
        )
    return tuple(int(side) for side in sides)
