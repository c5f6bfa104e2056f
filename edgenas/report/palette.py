"""Colours and names of block families, the same in every picture.

The hues follow Okabe and Ito's set for colour-blind readers, at a lightness that stands on white and on near-black.
Families are never told apart by colour alone: each picture also names them.
"""

from __future__ import annotations

from dataclasses import dataclass

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, OLIVE, GREY = (
    "#3485c6",
    "#e0901a",
    "#17936d",
    "#d5602b",
    "#b965a0",
    "#4aa8de",
    "#a2951a",
    "#7d8794",
)


@dataclass(frozen=True)
class Family:
    """How a kind of block is called and coloured."""

    label: str
    colour: str


FAMILIES = {
    "conv": Family("Conv", SKY),
    "ibn": Family("IBN", BLUE),
    "fused_ibn": Family("Fused", ORANGE),
    "gc_ibn": Family("GC-IBN", PURPLE),
    "uib": Family("UIB", OLIVE),
    "pre_norm_ibn": Family("Pre-IBN", BLUE),
    "relative_attention": Family("Attn", VERMILION),
    "pool": Family("Pool", GREY),
    "classifier": Family("Head", GREEN),
    "bifpn_node": Family("BiFPN", PURPLE),
    "aspp": Family("ASPP", ORANGE),
    "skip_decoder": Family("Skip", PURPLE),
    "pixel_classifier": Family("Pixels", GREEN),
    "label_map": Family("Labels", GREY),
    "separable": Family("Sep", OLIVE),
    "tucker": Family("Tucker", ORANGE),
    "edge": Family("Edge", PURPLE),
    "cropped_sum": Family("Merge", PURPLE),
    "box_head": Family("Boxes", GREEN),
    "class_head": Family("Classes", GREEN),
}


def family(kind: str) -> Family:
    """The family of a block kind; a kind this page has never heard of keeps its own name, in grey."""
    return FAMILIES.get(kind) or Family(kind, GREY)
