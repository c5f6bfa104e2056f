"""Random changes of images and their masks alike: another scale, another part of the picture, mirrored."""

from __future__ import annotations

import numpy as np

from edgenas.data.augmentation import Augmentation, cut_out
from edgenas.data.segmentation.legend import VOID


def augment_pairs(
    images: np.ndarray,
    masks: np.ndarray,
    augmentation: Augmentation,
    scale: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Changed copies of uint8 images ``(N, height, width, channels)`` and labels ``(N, height, width)``.

    Every picture is enlarged by its own factor between the two of ``scale`` (their logarithms uniform), and a part of
    the old size is cut out anywhere; where a smaller picture does not fill it, the mean colour and void come in.
    ``shift: 0`` turns that off, ``flip: false`` the mirroring. ``cutout`` blanks a square of the image, whose labels
    stay. The same for the same generator state.
    """
    images, masks = images.copy(), masks.copy()
    if augmentation.shift and len(images):
        fill = tuple(int(value) for value in np.round(images.reshape(-1, images.shape[-1]).mean(axis=0)))
        factors = np.exp(rng.uniform(np.log(scale[0]), np.log(scale[1]), len(images)))
        places = rng.random((len(images), 2))
        for index, (factor, place) in enumerate(zip(factors, places, strict=True)):
            images[index], masks[index] = _part(images[index], masks[index], float(factor), place, fill)
    if augmentation.flip:
        mirrored = rng.random(len(images)) < 0.5
        images[mirrored], masks[mirrored] = images[mirrored, :, ::-1], masks[mirrored, :, ::-1]
    if augmentation.cutout:
        images = cut_out(images, augmentation, rng)
    return images, masks


def _part(
    image: np.ndarray, mask: np.ndarray, factor: float, place: np.ndarray, fill: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    from PIL import Image

    height, width = mask.shape
    window = np.array([height, width]) / factor
    top, left = place * (np.array([height, width]) - window)
    box = (left, top, left + window[1], top + window[0])
    grey = image.shape[-1] == 1
    kind = Image.Transform.EXTENT
    picture = Image.fromarray(image[..., 0] if grey else image).transform(
        (width, height), kind, box, Image.Resampling.BILINEAR, fillcolor=fill[0] if grey else fill
    )
    labels = Image.fromarray(mask).transform((width, height), kind, box, Image.Resampling.NEAREST, fillcolor=VOID)
    return np.asarray(picture, np.uint8).reshape(image.shape), np.asarray(labels, np.uint8)
