"""Boxes as arrays (..., 4) of (top, left, bottom, right) as shares of the picture's sides: coder, overlap, suppression.

Decoding and suppression are those of ``run.py`` of a bundle (:mod:`edgenas.export.bundle.boxes`).
"""

from __future__ import annotations

import numpy as np

from edgenas.export.bundle.boxes import (
    BOX_SCALES,
    box_areas,
    box_overlaps,
    decode_boxes,
    select_boxes,
    sigmoid,
    suppressed,
)

__all__ = [
    "BOX_SCALES",
    "box_areas",
    "box_overlaps",
    "corners",
    "decode_boxes",
    "encode_boxes",
    "select_boxes",
    "sigmoid",
    "suppressed",
]

_SMALLEST_SIDE = 1e-6


def corners(anchors: np.ndarray) -> np.ndarray:
    """(..., 4) boxes of anchors (y, x, h, w).

    >>> corners(np.array([0.5, 0.5, 0.2, 0.4]))
    array([0.4, 0.3, 0.6, 0.7])
    """
    centre, half = anchors[..., :2], anchors[..., 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=-1)


def encode_boxes(boxes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """float32 (..., A, 4) of ``(ty, tx, th, tw)``: what :func:`decode_boxes` makes these boxes of (A, 4) anchors from.

    ``t = 10 (centre - anchor's) / anchor's side`` and ``5 log(side / anchor's side)`` (Ren et al., arXiv 1506.01497).
    """
    boxes, around = np.asarray(boxes, np.float64), np.asarray(anchors, np.float64)
    centre, sides = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    moved = (centre - around[..., :2]) / around[..., 2:]
    grown = np.log(np.maximum(sides, _SMALLEST_SIDE) / around[..., 2:])
    return (np.concatenate([moved, grown], axis=-1) * np.array(BOX_SCALES)).astype(np.float32)
