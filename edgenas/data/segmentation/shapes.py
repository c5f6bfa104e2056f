"""Pictures made by a program, with their masks: discs, squares and triangles on a ground of waves.

For examples and tests: they need no download, and a small network learns them in a minute. Nothing that is measured on
them says anything about photographs.
"""

from __future__ import annotations

import numpy as np

from edgenas.data.segmentation.example_set import Part, example_set
from edgenas.data.segmentation.legend import VOID
from edgenas.data.task_data import ExampleSet

GENERATED = "generated_shapes"
CLASSES = ("ground", "disc", "square", "triangle")
_TRAIN, _TEST, SIDE = 240, 60, 64
_SEED = 20230


def generated_shapes(
    size: tuple[int, int] = (SIDE, SIDE), channels: int = 3, train: int = _TRAIN, test: int = _TEST
) -> ExampleSet:
    """The same pictures every time. A one-pixel rim of every shape is void, as hand-drawn masks have it."""
    parts = {
        part: _pictures(np.random.default_rng([_SEED, place]), count, size, channels)
        for place, (part, count) in enumerate((("train", train), ("test", test)))
    }
    return example_set(
        parts, names=CLASSES, name=GENERATED, licence="CC0", source="made by edgenas.data.segmentation.shapes", seed=0
    )


def _pictures(rng: np.random.Generator, count: int, size: tuple[int, int], channels: int) -> Part:
    images = np.empty((count, *size, channels), np.uint8)
    masks = np.zeros((count, *size), np.uint8)
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float64)
    for index in range(count):
        angle, length = rng.uniform(0, np.pi), rng.uniform(6, 20)
        waves = np.sin((rows * np.cos(angle) + columns * np.sin(angle)) * 2 * np.pi / length)
        image = 110 + 40 * waves[..., None] + rng.uniform(-25, 25, channels)
        for _ in range(int(rng.integers(1, 4))):
            label = int(rng.integers(1, len(CLASSES)))
            radius = rng.uniform(0.12, 0.28) * min(size)
            centre = rng.uniform(radius, np.array(size) - radius)
            depth = shape_depth(label, rows - centre[0], columns - centre[1], radius)
            image[depth > 0] = rng.uniform(0, 255, channels)
            masks[index][depth > 0] = label
            masks[index][np.abs(depth) < 0.5] = VOID
        images[index] = np.clip(image + rng.normal(0, 8, image.shape), 0, 255)
    return images, masks


def shape_depth(label: int, down: np.ndarray, right: np.ndarray, radius: float) -> np.ndarray:
    """How many pixels inside the shape each place is; below 0 outside of it."""
    if label == 1:
        return np.asarray(radius - np.hypot(down, right))
    if label == 2:
        return np.asarray(0.8 * radius - np.maximum(np.abs(down), np.abs(right)))
    return np.asarray(np.minimum(0.6 * radius - down, (down + radius) * 0.5 - np.abs(right)))
