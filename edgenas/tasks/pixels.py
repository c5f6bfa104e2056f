"""Counting which class pixels are taken for: confusion matrices of masks, intersection over union."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgenas.data.examples import chunks
from edgenas.data.segmentation.legend import VOID

#: Examples whose logits are enlarged at once.
_ROWS = 16


def label_maps(outputs: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N, height, width) int64 classes of logits ``(N, h, w, classes)``, enlarged bilinearly, or of finished labels.

    A pixel whose logits are not finite is of the class after the last.
    """
    if outputs.ndim == 3:
        classes = np.rint(np.nan_to_num(outputs, nan=VOID)).astype(np.int64)
        return (
            classes
            if classes.shape[1:] == size
            else classes[:, _nearest(outputs.shape[1], size[0])][:, :, _nearest(outputs.shape[2], size[1])]
        )
    found = np.empty((len(outputs), *size), np.int64)
    for start in range(0, len(outputs), _ROWS):
        logits = resized(np.asarray(outputs[start : start + _ROWS], np.float32), size)
        found[start : start + _ROWS] = np.where(
            np.isfinite(logits).all(axis=-1), logits.argmax(axis=-1), outputs.shape[-1]
        )
    return found


def resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N, h, w, channels) in another size, bilinear with pixel centres at half, as TensorFlow 2 does it."""
    down, right = (_weights(old, new) for old, new in zip(values.shape[1:3], size, strict=True))
    return (
        np.asarray(np.einsum("Hh,nhwc->nHwc", down, values, optimize=True))
        .transpose(0, 1, 3, 2)
        .dot(right.T)
        .transpose(0, 1, 3, 2)
    )


def _weights(old: int, new: int) -> np.ndarray:
    """(new, old) float32: what each new pixel takes of each old one."""
    if old == new:
        return np.eye(new, dtype=np.float32)
    place = ((np.arange(new) + 0.5) * old / new - 0.5).clip(0, old - 1)
    first = np.floor(place).astype(np.int64)
    second = np.minimum(first + 1, old - 1)
    weights = np.zeros((new, old), np.float32)
    weights[np.arange(new), first] += 1 - (place - first)
    weights[np.arange(new), second] += place - first
    return weights


def _nearest(old: int, new: int) -> np.ndarray:
    return np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.int64), old - 1)


def confusion_matrix(masks: Any, labels: np.ndarray, classes: int) -> np.ndarray:
    """(classes, classes + 1) pixels of each class that were taken for each, the last column for none; void left out."""
    counts = np.zeros((classes, classes + 1), np.int64)
    start = 0
    for rows in chunks(masks, _ROWS):
        taken = labels[start : start + len(rows)]
        start += len(rows)
        valid = rows != VOID
        pairs = rows[valid].astype(np.int64) * (classes + 1) + np.clip(taken[valid], 0, classes)
        counts += np.bincount(pairs, minlength=counts.size).reshape(counts.shape)
    return counts


def class_iou(confusion: np.ndarray) -> np.ndarray:
    """(classes,) intersection over union; NaN for a class of which there is nothing, neither true nor taken for it.

    >>> class_iou(np.array([[3, 1, 0], [0, 2, 0]])).tolist()
    [0.75, 0.6666666666666666]
    """
    right = np.diagonal(confusion).astype(np.float64)
    union = confusion.sum(axis=1) + confusion[:, :-1].sum(axis=0) - right
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(union > 0, right / np.maximum(union, 1), np.nan))


def mean_iou(confusion: np.ndarray) -> float:
    """Mean over the classes of which there is anything; 0 where there is none."""
    found = class_iou(confusion)
    return float(np.nanmean(found)) if np.isfinite(found).any() else 0.0


def pixel_accuracy(confusion: np.ndarray) -> float:
    """Share of the pixels that were taken for their class."""
    total = confusion.sum()
    return float(np.diagonal(confusion).sum() / total) if total else 0.0
