"""Smaller images for the first stages of a training: separable, with a triangle filter as wide as the reduction."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def resized(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 ``(N, height, width, channels)`` at another size; as ``tf.image.resize`` with antialiasing, but rounded."""
    if images.shape[1:3] == size:
        return images
    rows, columns = (_filters(old, new) for old, new in zip(images.shape[1:3], size, strict=True))
    lower = np.einsum("yh,nhwc->nywc", rows, images.astype(np.float32), optimize=True)
    return np.clip(np.round(np.einsum("xw,nywc->nyxc", columns, lower, optimize=True)), 0, 255).astype(np.uint8)


@lru_cache(maxsize=32)
def _filters(old: int, new: int) -> np.ndarray:
    """(new, old) weights of the old places in every new one, which add up to 1."""
    scale = old / new
    reach = max(scale, 1.0)
    centres = (np.arange(new) + 0.5) * scale - 0.5
    weights = np.maximum(1 - np.abs(np.arange(old)[None] - centres[:, None]) / reach, 0)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)
