"""Pictures made by a program, with boxes: shapes on a ground of waves, and faces of few strokes in several shades.

For examples and tests: they need no download, and a small network learns them in minutes. Nothing that is measured on
them says anything about photographs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgenas.data.detection.annotations import AnnotatedImage, Annotations, DrawnBox
from edgenas.data.detection.example_set import Part, example_set
from edgenas.data.segmentation.shapes import shape_depth
from edgenas.data.task_data import ExampleSet

SHAPES, FACES = "generated_boxes", "generated_faces"
GENERATED = (SHAPES, FACES)
CLASSES = ("disc", "square", "triangle")
#: Red, green, blue of the skin, by the group that it is told as.
SHADES = {"light": (235, 200, 175), "medium": (190, 140, 105), "dark": (100, 65, 48)}
_TRAIN, _TEST, SIDE = 240, 60, 96
_SEED = 20231


def generated(
    name: str,
    size: tuple[int, int] | None = None,
    channels: int = 3,
    classes: Sequence[str] = (),
    *,
    train: int = _TRAIN,
    test: int = _TEST,
) -> ExampleSet:
    """The same pictures every time. Shapes have a class each; faces are of one, in three groups by their shade.

    About one picture of ten has nothing in it.
    """
    height, width = size or (SIDE, SIDE)
    parts = {}
    for place, (part, count) in enumerate((("train", train), ("test", test))):
        rng = np.random.default_rng([_SEED, GENERATED.index(name), place])
        drawn = [_picture(rng, name, height, width) for _ in range(count)]
        images = np.stack([image for image, _ in drawn])
        if channels == 1:
            images = images.mean(axis=-1, keepdims=True)
        told = tuple(
            AnnotatedImage(None, f"{part} {index}", Path(name), tuple(boxes)) for index, (_, boxes) in enumerate(drawn)
        )
        names = CLASSES if name == SHAPES else ("face",)
        parts[part] = Part(images.astype(np.uint8), [(height, width)] * count, Annotations(told, names))
    source = "made by edgenas.data.detection.drawn"
    return example_set(parts, name=name, licence="CC0", source=source, seed=0, classes=classes)


def _picture(rng: np.random.Generator, name: str, height: int, width: int) -> tuple[np.ndarray, list[DrawnBox]]:
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    angle, length = rng.uniform(0, np.pi), rng.uniform(6, 20)
    waves = np.sin((rows * np.cos(angle) + columns * np.sin(angle)) * 2 * np.pi / length)
    image = 110 + 40 * waves[..., None] + rng.uniform(-25, 25, 3)
    boxes: list[DrawnBox] = []
    for _ in range(int(rng.integers(1, 4)) if rng.random() > 0.1 else 0):
        radius = rng.uniform(0.1, 0.22) * min(height, width)
        centre = rng.uniform(radius, np.array([height, width]) - radius)
        if any(_near(box, centre, radius) for box in boxes):
            continue
        around = rows - centre[0], columns - centre[1]
        make = _shape if name == SHAPES else _face
        label, group, inside = make(rng, image, *around, radius)
        down, right = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        edges = (float(right[0]), float(down[0]), float(right[-1] + 1), float(down[-1] + 1))
        boxes.append(DrawnBox(f"box {len(boxes)}", label, edges, group))
    return np.clip(np.round(image + rng.normal(0, 8, image.shape)), 0, 255), boxes


def _near(box: DrawnBox, centre: np.ndarray, radius: float) -> bool:
    """Whether a new one would cover most of one that is there."""
    left, top, right, bottom = box.edges
    return bool(np.hypot(centre[0] - (top + bottom) / 2, centre[1] - (left + right) / 2) < 1.2 * radius)


def _shape(
    rng: np.random.Generator, image: np.ndarray, down: np.ndarray, right: np.ndarray, radius: float
) -> tuple[str, str, np.ndarray]:
    kind = int(rng.integers(len(CLASSES)))
    inside = shape_depth(kind + 1, down, right, radius) > 0
    image[inside] = rng.uniform(0, 255, 3)
    return CLASSES[kind], "", inside


def _face(
    rng: np.random.Generator, image: np.ndarray, down: np.ndarray, right: np.ndarray, radius: float
) -> tuple[str, str, np.ndarray]:
    """An oval with hair, eyes and a mouth."""
    shade = str(rng.choice(list(SHADES)))
    narrow = rng.uniform(0.7, 0.85)
    inside = np.hypot(down, right / narrow) < radius
    image[inside] = np.array(SHADES[shade]) + rng.uniform(-12, 12, 3)
    image[inside & (down < rng.uniform(-0.7, -0.45) * radius)] = rng.uniform(10, 90, 3)
    for side in (-1, 1):
        image[np.hypot(down + 0.15 * radius, right - side * 0.32 * radius) < max(0.8, 0.11 * radius)] = 20
    mouth = (np.abs(down - 0.45 * radius) < max(0.6, 0.06 * radius)) & (np.abs(right) < 0.3 * radius)
    image[mouth] = (150, 40, 50)
    return "face", shade, inside
