"""Pieces that several blocks are made of, and the checks they share."""

from __future__ import annotations

import math
from functools import cache

from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder
from edgenas.spaces.ops import ACTIVATIONS, GATES, Activation, BatchNorm, Convolution, GlobalAveragePool, Multiply, Op
from edgenas.spaces.rounding import round_filters
from edgenas.spaces.tensor import Shape

KERNELS = (1, 3, 5, 7)
#: Nothing in a network (filters, classes, strides) is larger: what is, is a slip of the pen, and would take gigabytes.
MOST_WHOLE = 1_000_000
_BATCH_NORM = BatchNorm()
_activation = cache(Activation)


def check_positive(owner: str, **values: int | float) -> None:
    """Raises InputError unless every value is a finite number above 0."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise InputError(f"{owner}: {name} must be a number above 0, not {value!r}")


def check_whole(owner: str, least: int = 1, **values: int) -> None:
    """Raises InputError unless every value is a whole number of at least ``least`` and at most a million."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(f"{owner}: {name} must be a whole number of at least {least}, not {value!r}")
        if value > MOST_WHOLE:
            raise InputError(f"{owner}: {name} must be at most {MOST_WHOLE:,}, not {value!r}")


def check_share(owner: str, **values: float) -> None:
    """Raises InputError unless every value is a number from 0 up to but not including 1."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
            raise InputError(f"{owner}: {name} must be a number in [0, 1), not {value!r}")


def check_flag(owner: str, **values: bool) -> None:
    """Raises InputError unless every value is true or false."""
    for name, value in values.items():
        if not isinstance(value, bool):
            raise InputError(f"{owner}: {name} must be true or false, not {value!r}")


def check_choice(owner: str, name: str, value: object, choices: tuple[object, ...]) -> None:
    """Raises InputError unless the value is one of the choices, and of its type."""
    for choice in choices:
        if type(value) is type(choice) and value == choice:
            return
    raise InputError(f"{owner}: {name} must be one of {', '.join(map(str, choices))}, not {value!r}")


def check_activation(owner: str, activation: str) -> None:
    check_choice(owner, "activation", activation, ACTIVATIONS)


def image_shape(owner: str, shape: Shape) -> tuple[int, int, int]:
    """Height, width and channels. Raises InputError for anything but an image."""
    if len(shape) != 3:
        raise InputError(f"{owner}: takes an image (height, width, channels), not {shape!r}")
    return shape[0], shape[1], shape[2]


def conv_bn_act(
    builder: GraphBuilder, name: str, source: str, conv: Op, activation: str, weights: str | None = None
) -> str:
    """A convolution, its batch normalisation, and an activation unless it is ``linear``.

    ``weights`` names earlier ones of the same block, whose trained numbers these use.
    """
    out = builder.add(f"{name}_conv", conv, source, weights=weights and f"{weights}_conv")
    out = builder.add(f"{name}_bn", _BATCH_NORM, out, weights=weights and f"{weights}_bn")
    return out if activation == "linear" else builder.add(f"{name}_act", _activation(activation), out)


def squeeze_excite(builder: GraphBuilder, source: str, squeezed: int, gate: str, activation: str = "relu") -> str:
    """Gates channels by their means through ``squeezed`` of them (Hu et al., arXiv 1709.01507)."""
    channels = builder.shape(source)[-1]
    out = builder.add("se_pool", GlobalAveragePool(keep_sides=True), source)
    out = builder.add("se_reduce_conv", Convolution(squeezed, use_bias=True), out)
    out = builder.add("se_reduce_act", Activation(activation), out)
    out = builder.add("se_expand_conv", Convolution(channels, use_bias=True), out)
    out = builder.add("se_gate", Activation(gate), out)
    return builder.add("se_multiply", Multiply(), source, out)


def squeezed_width(ratio: float, of: str, expanded: int, channels: int) -> int:
    """The width that squeeze-excite squeezes to.

    ``of`` the ``expanded`` channels, rounded to 8, as in MobileNetV3 (arXiv 1905.02244); ``of`` the ``input`` of the
    block, rounded down, as in EfficientNetV2 (arXiv 2104.00298).

    >>> squeezed_width(0.25, "expanded", 72, 24), squeezed_width(0.25, "input", 672, 112)
    (24, 28)
    """
    return round_filters(expanded * ratio) if of == "expanded" else max(1, int(channels * ratio))


def check_squeeze_excite(owner: str, ratio: float, gate: str) -> None:
    if isinstance(ratio, bool) or not isinstance(ratio, (int, float)) or not 0 <= ratio <= 1:
        raise InputError(f"{owner}: se_ratio must be between 0 (none) and 1, not {ratio!r}")
    check_choice(owner, "se_gate", gate, GATES)
