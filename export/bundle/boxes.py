"""From what a detection network puts out to boxes: anchors, the box coder, and non-maximum suppression.

Training judges by this file, and ``run.py`` of every detector's bundle holds a copy of it (all below the line), so that
both find the same boxes. It needs NumPy only, and Python 3.7. The arithmetic is that of TensorFlow Lite's operator
``TFLite_Detection_PostProcess`` with its regular (class by class) suppression.

Boxes are (top, left, bottom, right), anchors (centre y, centre x, height, width), as shares of the picture's sides.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# ---- run.py holds what follows ----

#: What encodings of (y, x, height, width) are divided by (Huang et al., arXiv 1611.10012).
BOX_SCALES = (10.0, 10.0, 5.0, 5.0)


def placed_anchors(levels: Any, sizes: Any) -> np.ndarray:
    """float32 (A, 4) anchors (y, x, h, w): ``sizes`` (K, 2) of each level (rows, columns) at the middle of its cells.

    The finest level comes first; in it rows, then columns, then sizes.
    """
    found = []
    for (rows, columns), some in zip(levels, sizes):  # noqa: B905  (Python 3.7)
        some = np.asarray(some, np.float64).reshape(-1, 2)
        y, x = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
        places = np.repeat(np.stack([y, x], axis=-1).reshape(-1, 2), len(some), axis=0)
        found.append(np.concatenate([places, np.tile(some, (rows * columns, 1))], axis=1))
    return np.concatenate(found).astype(np.float32)


def decode_boxes(encodings: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """float32 (..., A, 4) boxes of encodings (ty, tx, th, tw) of the anchors (A, 4)."""
    moved = np.asarray(encodings, np.float64) / np.array(BOX_SCALES)
    around = np.asarray(anchors, np.float64)
    centre = (moved[..., :2] * around[:, 2:] + around[:, :2]).astype(np.float32)
    half = (0.5 * np.exp(moved[..., 2:]) * around[:, 2:]).astype(np.float32)
    return np.concatenate([centre - half, centre + half], axis=-1)


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """(...) areas of boxes (..., 4), not below 0."""
    return np.maximum(boxes[..., 2] - boxes[..., 0], 0) * np.maximum(boxes[..., 3] - boxes[..., 1], 0)


def box_overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(M, N) intersection over union of boxes (M, 4) and (N, 4); 0 where one has no area."""
    top_left = np.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.maximum(bottom_right - top_left, 0)
    common = sides[..., 0] * sides[..., 1]
    areas = box_areas(first)[:, None], box_areas(second)[None, :]
    union = areas[0] + areas[1] - common
    usable = (areas[0] > 0) & (areas[1] > 0)
    return np.where(usable, common / np.where(usable, union, 1), 0).astype(common.dtype)


def suppressed(boxes: np.ndarray, scores: np.ndarray, overlap: float, threshold: float, most: int) -> np.ndarray:
    """Rows, best first, of the boxes (A, 4) of one class that stay: at most ``most``, of score ``threshold`` or more.

    Each takes away those of lower score that it overlaps by more than ``overlap``.
    """
    kept = np.flatnonzero(scores >= threshold)
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    chosen: list = []
    while len(kept) and len(chosen) < most:
        chosen.append(kept[0])
        found = box_overlaps(boxes[kept[:1]], boxes[kept[1:]])[0]
        kept = kept[1:][~(found > overlap)]
    return np.array(chosen, np.int64)


def select_boxes(boxes: np.ndarray, scores: np.ndarray, overlap: float, threshold: float, most: int) -> tuple:
    """(boxes (n, 4), classes (n,), scores (n,)) after suppression in each class, best first, at most ``most``.

    ``boxes`` (A, 4) are decoded, ``scores`` (A, classes) between 0 and 1.
    """
    rows, classes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for index in range(scores.shape[1]):
        rows.append(suppressed(boxes, scores[:, index], overlap, threshold, most))
        classes.append(np.full(len(rows[-1]), index))
    every, label = np.concatenate(rows), np.concatenate(classes)
    order = np.argsort(-scores[every, label], kind="stable")[:most]
    every, label = every[order], label[order]
    return boxes[every], label, scores[every, label]


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1 / (1 + small), small / (1 + small)).astype(logits.dtype)
