"""Reference networks made narrower, and the widest of them that a device runs in a given time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.network import Network
from edgenas.spaces.resolve import resolve_architecture

#: Networks whose widths are scaled.
REFERENCES = ("mobilenet_v2_1.0", "mobilenet_edgetpu_v2_xs")
#: Widths that are tried.
WIDTHS = tuple(round(0.05 * number, 2) for number in range(1, 31))
#: Filters are multiples of this, so that groups of 64 of the expanded ones divide them.
_MULTIPLE = 16
_MEASUREMENTS = 3


def scaled(name: str, width: float, *, input_shape: tuple[int, ...], classes: int, first_strides: int) -> Network:
    """A reference network with all its filters times ``width``.

    Args:
        name: of the reference network.
        width: factor of the filters, which are rounded to multiples of 16.
        input_shape: of the images.
        classes: that are told apart.
        first_strides: the first so many strides of 2 become 1. References are made for 224 pixels: at 32, five of them
            leave one pixel.
    """
    network = resolve_architecture(name, input_shape=input_shape, classes=classes).network
    nodes = []
    for node in network.nodes:
        changes: dict[str, int] = {}
        if getattr(node.block, "filters", None):
            changes["filters"] = max(_MULTIPLE, round(node.block.filters * width / _MULTIPLE) * _MULTIPLE)
        if getattr(node.block, "stride", 1) == 2 and first_strides:
            changes["stride"], first_strides = 1, first_strides - 1
        nodes.append(dataclasses.replace(node, block=dataclasses.replace(node.block, **changes)))
    return dataclasses.replace(network, name=f"{name}_x{width:g}", nodes=tuple(nodes))


def widest(make: Callable[[float], Network], measure: Callable[[bytes], float], limit_ms: float) -> Network | None:
    """The widest network that keeps the limit when measured untrained in int8; None when even the narrowest does not.

    ``measure`` gives the median in ms; the least of a few counts, since other processes can only slow a model down.
    """
    low, high = -1, len(WIDTHS)
    while high - low > 1:
        middle = (low + high) // 2
        model = write_tflite(make(WIDTHS[middle]).graph, "int8")
        if min(measure(model) for _ in range(_MEASUREMENTS)) <= limit_ms:
            low = middle
        else:
            high = middle
    return None if low < 0 else make(WIDTHS[low])
