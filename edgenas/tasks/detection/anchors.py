"""Anchors: the boxes that a detection network's outputs are told against, of every cell of every level.

Generated as for SSD (Liu et al., arXiv 1512.02325), or fitted to the boxes of data by k-means over the intersection
over union (Redmon and Farhadi, arXiv 1612.08242).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.export.bundle.boxes import placed_anchors
from edgenas.spaces.errors import InputError

#: Width by height of the first, second, ... anchor of a cell.
ASPECT_RATIOS = (1.0, 2.0, 1 / 2, 3.0, 1 / 3)
MIN_SCALE, MAX_SCALE = 0.2, 0.95
#: How many cells of its level a box spans, of those that anchors are fitted to: about as many as SSD's own.
BOX_CELLS = 3.0
#: Scale of the square anchor of the finest level, where it has three and coarser levels more.
_SMALLEST_SCALE = 0.1
_ROUNDS = 50

Level = tuple[int, int]
Sizes = tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True)
class AnchorGrid:
    """The anchors of one network. Raises InputError when levels and sizes do not fit each other.

    Attributes:
        levels: (rows, columns) of each level, finest first.
        sizes: of each level the (height, width) of its anchors, as shares of the picture's sides.
    """

    levels: tuple[Level, ...]
    sizes: Sizes

    def __post_init__(self) -> None:
        if not self.levels or len(self.levels) != len(self.sizes) or not all(self.sizes):
            raise InputError(
                f"anchors: {len(self.levels)} levels and sizes for {len(self.sizes)}; expected one or more sizes for "
                "each level"
            )
        if not all(0 < side < math.inf for some in self.sizes for size in some for side in size):
            raise InputError("anchors: sizes must be (height, width) above 0, as shares of the picture's sides")

    @property
    def count(self) -> int:
        """A: anchors of all levels."""
        return sum(rows * columns * len(some) for (rows, columns), some in zip(self.levels, self.sizes, strict=True))

    def boxes(self) -> np.ndarray:
        """float32 (A, 4) of (y, x, h, w): level, then row, column, size."""
        return placed_anchors(self.levels, self.sizes)

    def to_dict(self) -> dict[str, Any]:
        """``{"levels": [[rows, columns], ...], "sizes": [[[h, w], ...], ...]}``."""
        return {
            "levels": [list(level) for level in self.levels],
            "sizes": [[list(size) for size in some] for some in self.sizes],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AnchorGrid:
        """The inverse of :meth:`to_dict`. Raises InputError when that is not what it wrote."""
        try:
            levels = tuple((int(rows), int(columns)) for rows, columns in data["levels"])
            sizes = tuple(tuple((float(h), float(w)) for h, w in some) for some in data["sizes"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"anchors: levels and sizes expected (problem: {error!r})") from None
        return cls(levels, sizes)


def generate_anchors(
    levels: Sequence[Level],
    per_cell: int | Sequence[int],
    image_shape: Sequence[int],
    *,
    min_scale: float = MIN_SCALE,
    max_scale: float = MAX_SCALE,
) -> AnchorGrid:
    """Anchors whose scale grows evenly from the finest level to the coarsest.

    Args:
        levels: (rows, columns), finest first.
        per_cell: K of all levels or of each: the aspect ratios 1, 2, 1/2, 3, 1/3; with 2, 4 or 6 the last is a square
            between this level's scale and the next. A finest level of 3 below levels of more has a small square, 2 and
            1/2.
        image_shape: (height, width, ...) in pixels; scales are shares of its shorter side.

    >>> grid = generate_anchors([(20, 20), (10, 10), (5, 5), (3, 3), (3, 3)], (3, 6, 6, 6, 6), (320, 320, 3))
    >>> grid.count
    2058
    """
    counts = _counts(levels, per_cell)
    steps = max(1, len(levels) - 1)
    scales = [min_scale + (max_scale - min_scale) * index / steps for index in range(len(levels))]
    height, width = int(image_shape[0]), int(image_shape[1])
    shorter = min(height, width)
    base = np.array([shorter / height, shorter / width])
    sizes = []
    for index, count in enumerate(counts):
        reduced = index == 0 and count == 3 and max(counts) > 3
        pairs = _shapes(count, scales[index], [*scales, 1.0][index + 1], reduced)
        found = np.array([(scale / math.sqrt(ratio), scale * math.sqrt(ratio)) for scale, ratio in pairs]) * base
        sizes.append(tuple((float(h), float(w)) for h, w in found))
    return AnchorGrid(tuple((int(rows), int(columns)) for rows, columns in levels), tuple(sizes))


def fit_anchors(
    levels: Sequence[Level],
    per_cell: int | Sequence[int],
    image_shape: Sequence[int],
    sizes: np.ndarray,
    weights: np.ndarray | None = None,
) -> AnchorGrid:
    """Anchors that overlap boxes of these ``sizes`` (N, 2) of (height, width) best.

    A box belongs to the level of whose cells it is :data:`BOX_CELLS` wide, or nearest to that; each level's anchors are
    the centres of its boxes. A level of fewer different boxes than anchors keeps the generated ones: its cells are too
    large, or too small, for what is in the data. ``weights`` (N,) say how many boxes each size stands for.
    """
    generated = generate_anchors(levels, per_cell, image_shape)
    sizes = np.asarray(sizes, np.float64)
    weights = np.ones(len(sizes)) if weights is None else np.asarray(weights, np.float64)
    cells = np.array([1 / math.sqrt(rows * columns) for rows, columns in generated.levels])
    across = np.sqrt(sizes.prod(axis=1))[:, None] / cells[None]
    nearest = np.abs(np.log(across / BOX_CELLS)).argmin(axis=1)
    fitted = []
    for level, before in enumerate(generated.sizes):
        mine = nearest == level
        if len(np.unique(sizes[mine], axis=0)) < len(before):
            fitted.append(before)
            continue
        centres = cluster_sizes(sizes[mine], len(before), weights[mine])
        fitted.append(tuple((float(h), float(w)) for h, w in centres))
    return AnchorGrid(generated.levels, tuple(fitted))


def cluster_sizes(sizes: np.ndarray, count: int, weights: np.ndarray | None = None) -> np.ndarray:
    """(count, 2) centres of sizes (N, 2), smallest area first: k-means by intersection over union at one corner.

    Begins with sizes at even steps of their areas, so that the same sizes give the same centres. Raises InputError
    when there are fewer different sizes than centres.
    """
    weights = np.ones(len(sizes)) if weights is None else np.asarray(weights, np.float64)
    different, place = np.unique(sizes, axis=0, return_inverse=True)
    weight = np.bincount(place.ravel(), weights, minlength=len(different))
    if len(different) < count:
        raise InputError(
            f"anchors: {len(different)} different sizes of boxes are too few to fit {count} anchors to; use "
            "anchors: generated"
        )
    order = np.argsort(different.prod(axis=1), kind="stable")
    different, weight = different[order], weight[order]
    centres = different[((np.arange(count) + 0.5) * len(different) / count).astype(int)]
    nearest = np.full(len(different), -1)
    for _ in range(_ROUNDS):
        found = size_overlaps(different, centres).argmax(axis=1)
        if (found == nearest).all():
            break
        nearest = found
        for index in range(count):
            members = nearest == index
            if members.any():
                centres[index] = np.average(different[members], axis=0, weights=weight[members])
    return np.asarray(centres[np.argsort(centres.prod(axis=1), kind="stable")])


def size_overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(M, N) intersection over union of boxes of sizes (M, 2) and (N, 2) that share a corner."""
    common = np.minimum(first[:, None], second[None]).prod(axis=-1)
    return np.asarray(common / (first.prod(axis=1)[:, None] + second.prod(axis=1)[None] - common))


def _counts(levels: Sequence[Level], per_cell: int | Sequence[int]) -> list[int]:
    counts = [per_cell] * len(levels) if isinstance(per_cell, int) else [int(count) for count in per_cell]
    if len(counts) != len(levels) or not levels or min(counts) < 1:
        raise InputError(f"anchors: {len(levels)} levels need as many numbers of anchors from 1, not {counts}")
    return counts


def _shapes(count: int, scale: float, next_scale: float, reduced: bool) -> list[tuple[float, float]]:
    """(scale, aspect ratio) of each anchor of a cell."""
    if count > len(ASPECT_RATIOS) + 1:
        raise InputError(f"anchors: at most {len(ASPECT_RATIOS) + 1} of a cell are generated, not {count}; fit them")
    if reduced:
        return [(_SMALLEST_SCALE, 1.0), (scale, 2.0), (scale, 0.5)]
    between = count % 2 == 0
    shapes = [(scale, ratio) for ratio in ASPECT_RATIOS[: count - between]]
    return [*shapes, (math.sqrt(scale * next_scale), 1.0)] if between else shapes
