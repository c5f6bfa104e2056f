"""What a model of pictures is given, and how its answers are read.

``run.py`` of every bundle for pictures holds a copy of this (all below the line). It needs NumPy only, and Python 3.7.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgenas.export.bundle.running import answers_of

# ---- run.py holds what follows ----

#: What a picture that is none, or too large, may raise.
PICTURE_ERRORS = (ImportError, OSError, ValueError, EOFError, MemoryError, TypeError, OverflowError)


def answers_to_picture(model: Any, pixels: np.ndarray, preprocessing: dict) -> list:
    """The outputs for one picture of the model's own size, as real numbers."""
    scaled = (pixels / 255.0 - np.array(preprocessing["mean"])) / np.array(preprocessing["std"])
    return answers_of(model, [scaled])


def sides_of(model: Any) -> list:
    """Height, width and channels of the pictures that it takes."""
    return [int(side) for side in model.get_input_details()[0]["shape"][1:]]


def test_pixels(height: int, width: int, channels: int) -> np.ndarray:
    """The picture whose answer metrics.json holds: smooth waves, the same everywhere."""
    y, x, channel = np.mgrid[:height, :width, :channels]
    waves = (x * 97 // max(width, 1) + y * 61 // max(height, 1) + channel * 40) % 256
    return (waves * 2 % 256).astype(np.uint8)
