"""Networks with random weights in any quantization that needs no training: to measure what they cost."""

from __future__ import annotations

import numpy as np

from edgenas.export.quantization import convert, get_recipe
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network

_WRITTEN = ("float32", "float16", "int8")
_IMAGES = 16


def untrained_model(network: Network, quantization: str, *, seed: int = 0) -> bytes:
    """The ``.tflite`` file of a network that nobody has trained.

    float32, float16 and int8 are written directly, others are converted, on random images where ranges are needed.
    Raises InputError for a recipe that trains the network first, or an unknown one.
    """
    recipe = get_recipe(quantization)
    if recipe.fine_tuning is not None:
        alike = "int8" if recipe.integer_only else "float32"
        raise InputError(
            f"quantization {quantization!r} trains the network on your images, so there is no untrained file of it: "
            f"set export.quantization in a recipe and use `edgenas run` or `edgenas export`; for its cost, build "
            f"{alike!r}, which runs the same operators"
        )
    if quantization in _WRITTEN:
        return write_tflite(network.graph, quantization, seed=seed)
    from edgenas.export.keras.builder import build_keras

    images = np.random.default_rng(seed).normal(size=(_IMAGES, *network.inputs[0][1])).astype(np.float32)
    return convert(build_keras(network, seed=seed), quantization=quantization, calibration=images)
