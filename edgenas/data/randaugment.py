"""RandAugment (arXiv 1909.13719) on uint8 batches: each image gets operations of its own, drawn anew.

``keras.layers.RandAugment`` draws one operation for a whole batch and computes all ten for it: 0.6 s for 64 images of
32x32 as a graph, 2 s without one, on a shared 2-core CPU. So the operations are written here, in NumPy over the images
that drew them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
#: Takes images as floats in [0, 255], strengths in [0, 1] and signs of their direction.
Operation = Callable[[Floats, Floats, Floats], Floats]

LARGEST_MAGNITUDE = 10.0
_DEGREES, _SHEAR, _SHIFT, _ENHANCE = 30.0, 0.3, 0.3, 0.9
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def randaugment(images: np.ndarray, magnitude: float, operations: int, rng: np.random.Generator) -> np.ndarray:
    """Changed copies of ``(N, height, width, channels)``; the same for the same generator state.

    Args:
        images: uint8.
        magnitude: strength from 0 to 10 and, for photometric changes alone, beyond.
        operations: one after the other for each image.
        rng: of the choices.
    """
    changed = images.astype(np.float32)
    strength = np.float32(magnitude / LARGEST_MAGNITUDE)
    for _ in range(operations):
        chosen = rng.integers(0, len(OPERATIONS), len(images))
        sign = np.where(rng.random(len(images)) < 0.5, -1, 1).astype(np.float32)
        for place, operation in enumerate(OPERATIONS):
            rows = np.flatnonzero(chosen == place)
            if len(rows):
                changed[rows] = operation(changed[rows], np.full(len(rows), strength), sign[rows])
    return np.clip(np.round(changed), 0, 255).astype(np.uint8)


def _warped(images: Floats, matrices: Floats, shifts: Floats) -> Floats:
    """Each image sampled at ``matrix @ (row, column) + shift`` around its centre; outside it repeats the edge."""
    count, height, width, _ = images.shape
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    centre = np.array([(height - 1) / 2, (width - 1) / 2], np.float32)
    places = np.stack([rows.ravel(), columns.ravel()]).astype(np.float32) - centre[:, None]
    sources = matrices @ places + (shifts + centre)[:, :, None]
    row = np.clip(np.round(sources[:, 0]), 0, height - 1).astype(np.intp)
    column = np.clip(np.round(sources[:, 1]), 0, width - 1).astype(np.intp)
    return images[np.arange(count)[:, None], row, column].reshape(images.shape)


def _matrices(count: int, rows: list[list[Floats | float]]) -> Floats:
    return np.stack([np.stack([np.broadcast_to(x, count) for x in row], -1) for row in rows], -2).astype(np.float32)


def _unmoved(count: int) -> Floats:
    return np.zeros((count, 2), np.float32)


def _identity(images: Floats, strength: Floats, sign: Floats) -> Floats:
    return images


def _rotate(images: Floats, strength: Floats, sign: Floats) -> Floats:
    angle = np.deg2rad(_DEGREES * strength * sign)
    turn = _matrices(len(images), [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return _warped(images, turn, _unmoved(len(images)))


def _shear_x(images: Floats, strength: Floats, sign: Floats) -> Floats:
    matrix = _matrices(len(images), [[1.0, 0.0], [_SHEAR * strength * sign, 1.0]])
    return _warped(images, matrix, _unmoved(len(images)))


def _shear_y(images: Floats, strength: Floats, sign: Floats) -> Floats:
    matrix = _matrices(len(images), [[1.0, _SHEAR * strength * sign], [0.0, 1.0]])
    return _warped(images, matrix, _unmoved(len(images)))


def _shift_x(images: Floats, strength: Floats, sign: Floats) -> Floats:
    moves = _SHIFT * strength * sign * images.shape[2]
    return _shifted(images, np.stack([np.zeros_like(moves), moves], -1))


def _shift_y(images: Floats, strength: Floats, sign: Floats) -> Floats:
    moves = _SHIFT * strength * sign * images.shape[1]
    return _shifted(images, np.stack([moves, np.zeros_like(moves)], -1))


def _shifted(images: Floats, moves: Floats) -> Floats:
    return _warped(images, _matrices(len(images), [[1.0, 0.0], [0.0, 1.0]]), moves)


def _blended(images: Floats, others: Floats, strength: Floats, sign: Floats) -> Floats:
    """Away from ``others`` or towards them, by up to nine tenths."""
    factor = (1 + _ENHANCE * strength * sign)[:, None, None, None]
    return np.clip(others + factor * (images - others), 0, 255).astype(np.float32)


def _grey(images: Floats) -> Floats:
    if images.shape[-1] == 3:
        return (images @ _GREY)[..., None]
    return images.mean(-1, keepdims=True)


def _brightness(images: Floats, strength: Floats, sign: Floats) -> Floats:
    return _blended(images, np.zeros_like(images), strength, sign)


def _contrast(images: Floats, strength: Floats, sign: Floats) -> Floats:
    return _blended(images, _grey(images).mean((1, 2, 3), keepdims=True), strength, sign)


def _colour(images: Floats, strength: Floats, sign: Floats) -> Floats:
    return _blended(images, _grey(images), strength, sign)


def _sharpness(images: Floats, strength: Floats, sign: Floats) -> Floats:
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    height, width = images.shape[1:3]
    around = [padded[:, row : row + height, column : column + width] for row in range(3) for column in range(3)]
    smooth = (sum(around) + 4 * images) / 13
    return _blended(images, smooth.astype(np.float32), strength, sign)


def _posterize(images: Floats, strength: Floats, sign: Floats) -> Floats:
    step = 2.0 ** np.minimum(np.round(4 * strength), 7)[:, None, None, None]
    return (np.floor(images / step) * step).astype(np.float32)


def _solarize(images: Floats, strength: Floats, sign: Floats) -> Floats:
    threshold = 256 * (1 - np.minimum(strength, 1))[:, None, None, None]
    return np.where(images >= threshold, 255 - images, images)


def _autocontrast(images: Floats, strength: Floats, sign: Floats) -> Floats:
    low, high = images.min((1, 2), keepdims=True), images.max((1, 2), keepdims=True)
    spread = np.where(high > low, high - low, 255)
    return np.where(high > low, (images - low) * (255 / spread), images).astype(np.float32)


OPERATIONS: tuple[Operation, ...] = (
    *(_identity, _autocontrast, _rotate, _solarize, _colour, _posterize, _contrast, _brightness, _sharpness),
    *(_shear_x, _shear_y, _shift_x, _shift_y),
)
