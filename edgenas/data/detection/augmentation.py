"""Random changes of images and their boxes alike: colours, another part of the picture, mirrored."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgenas.data.augmentation import Augmentation, cut_out
from edgenas.data.detection.example_set import NOTHING
from edgenas.export.bundle.boxes import box_areas

#: Share of the pictures of which no part is cut out (tf-models' ssd_random_crop).
UNCUT = 0.15
#: How much of some box a part must hold; each picture draws one.
COVERED = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
_ASPECTS = (0.5, 2.0)
_TRIES = 50

Targets = dict[str, np.ndarray]


def augment_boxes(
    images: np.ndarray,
    targets: Mapping[str, np.ndarray],
    augmentation: Augmentation,
    *,
    crop: tuple[float, float],
    colour: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, Targets]:
    """Changed copies of uint8 images ``(N, height, width, channels)`` and of the targets of a detection.

    Of every picture a part is enlarged to the whole (Liu et al., arXiv 1512.02325): its area a share between the two of
    ``crop``, its aspect between 1/2 and 2, holding at least a random share of some box; boxes whose centre is outside
    are left out. An area above 1 puts the picture on a larger ground of the mean colour. ``shift: 0`` turns that off,
    ``flip: false`` the mirroring. ``colour`` is how far brightness, contrast and saturation change, 0 for not at all.
    ``cutout`` blanks a square, whose boxes stay. The same for the same generator state.
    """
    images = images.copy()
    changed = {name: np.array(values) for name, values in targets.items()}
    if colour:
        images = recoloured(images, colour, rng)
    if augmentation.shift:
        fill = np.round(images.reshape(-1, images.shape[-1]).mean(axis=0)).astype(np.uint8)
        for index in range(len(images)):
            window = _window(changed["boxes"][index], changed["labels"][index], crop, rng)
            if window is not None:
                images[index] = _part(images[index], window, fill)
                moved = {name: values[index] for name, values in changed.items()}
                for name, values in cropped(moved, window).items():
                    changed[name][index] = values
    if augmentation.flip:
        mirrored = rng.random(len(images)) < 0.5
        images[mirrored] = images[mirrored, :, ::-1]
        boxes = changed["boxes"]
        there = (changed["labels"] != NOTHING)[..., None] & mirrored[:, None, None]
        changed["boxes"] = np.where(
            there, np.stack([boxes[..., 0], 1 - boxes[..., 3], boxes[..., 2], 1 - boxes[..., 1]], -1), boxes
        )
    if augmentation.cutout:
        images = cut_out(images, augmentation, rng)
    return images, changed


def cropped(targets: Mapping[str, np.ndarray], window: np.ndarray) -> Targets:
    """The targets of one image in a window (top, left, bottom, right): boxes by its sides, if their centre is in it."""
    boxes, labels = targets["boxes"], targets["labels"]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    kept = (labels != NOTHING) & (centres > window[:2]).all(axis=1) & (centres < window[2:]).all(axis=1)
    count = int(kept.sum())
    found = {
        name: np.full_like(values, NOTHING if name in ("labels", "groups") else 0) for name, values in targets.items()
    }
    for name, values in targets.items():
        found[name][:count] = values[kept]
    sides = np.tile(window[2:] - window[:2], 2)
    found["boxes"][:count] = ((boxes[kept] - np.tile(window[:2], 2)) / sides).clip(0, 1)
    return found


def recoloured(images: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """uint8 images with brightness, contrast and saturation each changed by up to a share ``strength``."""
    count = len(images)
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, (3, count, 1, 1, 1)).astype(np.float32)
    values = images.astype(np.float32) * brightness
    mean = values.mean(axis=(1, 2, 3), keepdims=True)
    values = mean + (values - mean) * contrast
    if images.shape[-1] == 3:
        grey = values.mean(axis=-1, keepdims=True)
        values = grey + (values - grey) * saturation
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _window(
    boxes: np.ndarray, labels: np.ndarray, crop: tuple[float, float], rng: np.random.Generator
) -> np.ndarray | None:
    """(top, left, bottom, right) of the part that is cut out; None for the whole."""
    if rng.random() < UNCUT:
        return None
    covered = COVERED[int(rng.integers(len(COVERED)))]
    there = boxes[labels != NOTHING]
    for _ in range(_TRIES):
        area = rng.uniform(*crop)
        aspect = np.exp(rng.uniform(*np.log(_ASPECTS)))
        sides = np.sqrt(area / aspect), np.sqrt(area * aspect)
        if area <= 1 and max(sides) > 1:
            continue
        places = rng.random(2)
        top, left = (place * (1 - side) for place, side in zip(places, sides, strict=True))
        window = np.array([top, left, top + sides[0], left + sides[1]])
        if not len(there) or _holds(there, window, covered):
            return window
    return None


def _holds(boxes: np.ndarray, window: np.ndarray, covered: float) -> bool:
    """Whether a box has its centre in the window, and at least a share of its area."""
    common = np.concatenate([np.maximum(boxes[:, :2], window[:2]), np.minimum(boxes[:, 2:], window[2:])], axis=1)
    shares = box_areas(common) / np.maximum(box_areas(boxes), 1e-9)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = (centres > window[:2]).all(axis=1) & (centres < window[2:]).all(axis=1)
    return bool((inside & (shares >= covered - 1e-6)).any())


def _part(image: np.ndarray, window: np.ndarray, fill: np.ndarray) -> np.ndarray:
    from PIL import Image

    height, width, channels = image.shape
    top, left, bottom, right = window * np.array([height, width, height, width])
    grey = channels == 1
    picture = Image.fromarray(image[..., 0] if grey else image).transform(
        (width, height),
        Image.Transform.EXTENT,
        (left, top, right, bottom),
        Image.Resampling.BILINEAR,
        fillcolor=int(fill[0]) if grey else tuple(int(value) for value in fill),
    )
    return np.asarray(picture, np.uint8).reshape(image.shape)
