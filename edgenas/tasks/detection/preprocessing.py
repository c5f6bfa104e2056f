"""What a detection prepares its inputs with, and where its anchors come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.spaces.errors import InputError
from edgenas.tasks.detection.anchors import AnchorGrid, cluster_sizes, size_overlaps

#: Sizes that stand for all boxes of a data set.
KEPT_SIZES = 64


@dataclass(frozen=True)
class DetectionPreprocessing(Preprocessing):
    """The normalisation of pixels; with fitted anchors, what the boxes of the training examples are like.

    Attributes:
        sizes: (height, width, boxes that it stands for) each, as shares of the sides; empty: anchors are generated.
        anchors: those of one network, where it is for one.
    """

    sizes: tuple[tuple[float, float, int], ...] = ()
    anchors: AnchorGrid | None = None

    def to_dict(self) -> dict[str, Any]:
        """``mean`` and ``std``; ``box_sizes`` and ``anchors`` where there are any."""
        found: dict[str, Any] = dict(super().to_dict())
        if self.sizes:
            found["box_sizes"] = [list(size) for size in self.sizes]
        if self.anchors is not None:
            found["anchors"] = self.anchors.to_dict()
        return found

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DetectionPreprocessing:
        """The inverse of :meth:`to_dict`. Raises InputError when that is not what it wrote."""
        plain = Preprocessing.from_dict(data)
        try:
            sizes = tuple((float(h), float(w), int(count)) for h, w, count in data.get("box_sizes", ()))
        except (TypeError, ValueError) as error:
            raise InputError(f"preprocessing: box_sizes must be [height, width, boxes] each ({error!r})") from None
        anchors = AnchorGrid.from_dict(data["anchors"]) if "anchors" in data else None
        return cls(plain.mean, plain.std, sizes, anchors)


def typical_sizes(boxes: np.ndarray, kept: int = KEPT_SIZES) -> tuple[tuple[float, float, int], ...]:
    """At most ``kept`` sizes that stand for boxes (N, 4), each with how many; smallest area first."""
    sides = np.maximum(np.asarray(boxes[:, 2:] - boxes[:, :2], np.float64), 1e-4)
    different = np.unique(np.round(sides, 4), axis=0)
    centres = np.round(cluster_sizes(sides, min(kept, len(different))), 5)
    counts = np.bincount(size_overlaps(sides, centres).argmax(axis=1), minlength=len(centres))
    return tuple((float(h), float(w), int(n)) for (h, w), n in zip(centres, counts, strict=True) if n)
