"""From the bytes of an image to what a network eats: ``(pixel / 255 - mean) / std``, per channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.spaces.errors import InputError

#: Images that are counted at once.
_ROWS = 4096


@dataclass(frozen=True)
class Preprocessing:
    """Mean and standard deviation per channel, of pixels scaled to [0, 1]. One value serves all channels.

    The same constants are used in training, calibration and verification, and travel with the shipped model.
    Raises InputError unless there are as many standard deviations, all above 0, as means.

    >>> Preprocessing(mean=(0.5,), std=(0.25,)).apply(np.array([[[[0], [255]]]], np.uint8)).ravel()
    array([-2.,  2.], dtype=float32)
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(float(value) for value in self.mean))
        object.__setattr__(self, "std", tuple(float(value) for value in self.std))
        if not self.mean or len(self.mean) != len(self.std):
            raise InputError(
                f"preprocessing: {len(self.mean)} means and {len(self.std)} standard deviations; need one each"
            )
        if not np.isfinite(self.mean).all() or not all(0 < value < np.inf for value in self.std):
            raise InputError(
                f"preprocessing: means must be finite and standard deviations above 0, not {self.mean} and {self.std}"
            )

    @classmethod
    def fit(cls, images: Any) -> Preprocessing:
        """The constants that give these uint8 NHWC images mean 0 and standard deviation 1 in every channel.

        ``images``: an array, or what gives arrays of images by slices.
        """
        channels = images.shape[-1]
        counts = np.zeros((channels, 256), np.int64)
        for start in range(0, len(images), _ROWS):
            some = np.asarray(images[start : start + _ROWS])
            counts += [np.bincount(some[..., channel].ravel(), minlength=256) for channel in range(channels)]
        levels = np.arange(256) / 255
        share = counts / counts.sum(axis=1, keepdims=True)
        mean = share @ levels
        std = np.sqrt((share * (levels - mean[:, None]) ** 2).sum(axis=1))
        # A constant channel has nothing to scale; six digits are more than 8-bit pixels can resolve.
        return cls(tuple(np.round(mean, 6)), tuple(np.round(np.where(std > 1e-6, std, 1.0), 6)))

    def apply(self, images: np.ndarray) -> np.ndarray:
        """float32 input of the network for uint8 images of any number of leading axes, channels last.

        Raises InputError when the images are not uint8 or have another number of channels.
        """
        if images.dtype != np.uint8:
            raise InputError(f"preprocessing takes uint8 images, not {images.dtype}")
        if len(self.mean) not in (1, images.shape[-1]):
            raise InputError(f"preprocessing is for {len(self.mean)} channels, the images have {images.shape[-1]}")
        scale = (1 / (255 * np.array(self.std))).astype(np.float32)
        offset = (np.array(self.mean) / np.array(self.std)).astype(np.float32)
        return images.astype(np.float32) * scale - offset

    def to_dict(self) -> dict[str, list[float]]:
        """``{"mean": [...], "std": [...]}``."""
        return {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Preprocessing:
        """The inverse of :meth:`to_dict`. Raises InputError when a key is missing or not a list of numbers."""
        try:
            return cls(tuple(data["mean"]), tuple(data["std"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"preprocessing needs the keys mean and std, lists of one number per channel (problem: {error!r})"
            ) from None
