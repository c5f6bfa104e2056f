"""What the two heads of a detector agree on: the levels whose pixels have anchors."""

from __future__ import annotations

from typing import NamedTuple

from edgenas.spaces.blocks.detection import BoxHead, ClassHead, DetectionHead
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network


class AnchorLevel(NamedTuple):
    """Sides of an image of features, and the anchors of each of its pixels."""

    height: int
    width: int
    anchors: int


def anchor_levels(network: Network) -> tuple[AnchorLevel, ...]:
    """The levels of a detector, finest first as its heads read them.

    Anchors are counted over them in order, and in each by row, column, and anchor of the pixel. Raises InputError for
    networks without a head for boxes and one for classes that read levels of the same sides with as many anchors.

    >>> from edgenas.spaces.references import reference_network
    >>> levels = anchor_levels(reference_network("spaghetti_s"))
    >>> levels[0], sum(height * width * anchors for height, width, anchors in levels)
    (AnchorLevel(height=20, width=20, anchors=3), 2058)
    """
    found = {kind: _levels(network, kind) for kind in (BoxHead, ClassHead)}
    if found[BoxHead] != found[ClassHead]:
        raise InputError(
            f"network {network.name!r}: its heads disagree about the levels: {_listed(found[BoxHead])} for boxes and "
            f"{_listed(found[ClassHead])} for classes; let both read the same with as many anchors"
        )
    return found[BoxHead]


def _levels(network: Network, kind: type[DetectionHead]) -> tuple[AnchorLevel, ...]:
    """The levels that the heads of a kind read, in the order in which they are joined."""
    heads = {node.name: node for node in network.nodes if isinstance(node.block, kind)}
    if len(heads) > 1:
        joins = [node for node in network.nodes if set(heads) <= set(node.inputs)]
        if len(joins) != 1:
            raise InputError(
                f"network {network.name!r}: nothing joins its {len(heads)} blocks {kind.kind!r}; add a 'concat' of them"
            )
        heads = {name: heads[name] for name in joins[0].inputs if name in heads}
    if not heads:
        raise InputError(f"network {network.name!r} is no detector: it has no block {kind.kind!r}")
    levels = []
    for node in heads.values():
        head = node.block
        assert isinstance(head, DetectionHead)
        for level, shape in enumerate(network.input_shapes(node)):
            levels.append(AnchorLevel(shape[0], shape[1], head.anchors_of(level)))
    return tuple(levels)


def _listed(levels: tuple[AnchorLevel, ...]) -> str:
    return ", ".join(f"{height}x{width}x{anchors}" for height, width, anchors in levels)
