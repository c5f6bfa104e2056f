"""The op at the beginning of networks of sounds that compute their features themselves.

No part of what is trained. It computes on real numbers in every precision: energies of sounds span more than 8 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.ops.op import Op, Traits, register_op
from edgenas.spaces.tensor import Shape


@register_op
@dataclass(frozen=True)
class SoundFeatures(Op):
    """Samples in [-1, 1] as log-mel energies, or as MFCC where ``coefficients`` is not 0, of short frames.

    ``frame``, ``hop`` and ``transform`` are numbers of samples. Written as a convolution with the Fourier transform's
    sines and cosines, magnitudes, and products with the mel and cosine matrices.
    """

    rate: int
    frame: int
    hop: int
    transform: int
    bands: int
    coefficients: int
    low_hz: float
    high_hz: float

    traits: ClassVar[Traits] = Traits(only_deployed=True, takes_real=True)

    def __post_init__(self) -> None:
        for name in ("rate", "frame", "hop", "transform", "bands"):
            if not getattr(self, name) >= 1:
                raise InputError(f"SoundFeatures: {name} must be at least 1, not {getattr(self, name)!r}")
        if self.transform < self.frame or not 0 <= self.coefficients <= self.bands:
            raise InputError(
                f"SoundFeatures: a frame of {self.frame} in a transform of {self.transform}, and {self.coefficients} "
                f"coefficients of {self.bands} bands do not fit"
            )

    @property
    def width(self) -> int:
        """Values for each frame."""
        return self.coefficients or self.bands

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(inputs[0]) != 1 or inputs[0][0] < self.frame:
            raise InputError(f"SoundFeatures takes at least {self.frame} samples, not {tuple(inputs[0])}")
        return ((inputs[0][0] - self.frame) // self.hop + 1, self.width, 1)

    def _products(self) -> int:
        """Weights: sines and cosines, mel and cosine matrices."""
        frequencies = self.transform // 2 + 1
        return 2 * frequencies * self.frame + frequencies * self.bands + self.bands * self.coefficients

    def macs(self, *inputs: Shape) -> int:
        return self.output_shape(*inputs)[0] * self._products()

    def weight_bytes(self, precision: str, *inputs: Shape) -> int:
        """32 bits for each weight, and for a scale and a shift of each coefficient."""
        return 4 * (self._products() + 2 * self.width)
