"""Keras -> TFLite: :func:`convert` with one of the registered quantization recipes."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgenas.export.quantization import fine_tuned as _fine_tuned  # noqa: F401  (registers its recipes)
from edgenas.export.quantization import recipes as _recipes  # noqa: F401  (registers its recipes)
from edgenas.export.quantization.recipe import QuantizationRecipe, get_recipe, recipe_names, register_recipe
from edgenas.spaces.errors import InputError, WorkError

__all__ = ["QuantizationRecipe", "convert", "get_recipe", "recipe_names", "register_recipe"]


def convert(model: Any, *, quantization: str, calibration: np.ndarray | None = None) -> bytes:
    """The ``.tflite`` bytes of a trained Keras model, at batch 1.

    Args:
        model: Keras model of one float32 NHWC input, such as :func:`edgenas.export.keras.builder.build_keras` makes.
        quantization: name of a recipe; see :func:`recipe_names`.
        calibration: real training images after preprocessing, shape (N, height, width, channels), float32; a few
            hundred are enough. Needed by integer recipes, ignored by those that need none.

    Raises:
        InputError: unknown recipe, or calibration images that are missing or do not fit the model.
        WorkError: the conversion failed, with the converter's reason; or an integer recipe left operators that are
            not integer, with their names.
    """
    recipe = get_recipe(quantization)
    if recipe.needs_calibration:
        _check_calibration(model, quantization, calibration)
    converted = recipe.convert(model, calibration if recipe.needs_calibration else None)
    if recipe.integer_only:
        _check_integer(model, quantization, converted)
    return converted


def _check_calibration(model: Any, quantization: str, calibration: np.ndarray | None) -> None:
    expected = tuple(model.inputs[0].shape[1:])
    wanted = f"expected float32 images of shape (N, {', '.join(map(str, expected))}), preprocessed as for training"
    if calibration is None or len(calibration) == 0:
        raise InputError(f"quantization {quantization!r} needs calibration images: {wanted}")
    if calibration.dtype != np.float32 or calibration.shape[1:] != expected:
        raise InputError(f"calibration images are {calibration.dtype} of shape {calibration.shape}: {wanted}")
    if not np.isfinite(calibration).all():
        raise InputError(f"calibration images hold values that are not finite numbers: {wanted}")


def _check_integer(model: Any, quantization: str, converted: bytes) -> None:
    from edgenas.export.tflite.reader import check_integer

    problems = check_integer(converted)
    if problems:
        raise WorkError(
            f"model {model.name!r} converted with {quantization!r} still computes in floating point, which integer "
            f"accelerators refuse: {'; '.join(problems)}"
        )
