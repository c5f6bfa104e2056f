"""Keras -> TFLite: :func:`convert` with one of the registered quantization recipes."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgenas.export.quantization import fine_tuned as _fine_tuned  # noqa: F401  (registers its recipes)
from edgenas.export.quantization import mixed as _mixed  # noqa: F401  (registers its recipe)
from edgenas.export.quantization import recipes as _recipes  # noqa: F401  (registers its recipes)
from edgenas.export.quantization.recipe import (
    Calibration,
    QuantizationRecipe,
    get_recipe,
    per_input,
    recipe_names,
    register_recipe,
)
from edgenas.spaces.errors import InputError, WorkError

__all__ = ["QuantizationRecipe", "convert", "get_recipe", "recipe_names", "register_recipe"]


def convert(model: Any, *, quantization: str, calibration: Calibration | None = None) -> bytes:
    """The ``.tflite`` bytes of a trained Keras model, at batch 1.

    Args:
        model: Keras model, such as :func:`edgenas.export.keras.builder.build_keras` makes.
        quantization: name of a recipe; see :func:`recipe_names`.
        calibration: real training examples after preprocessing, such as images of shape (N, height, width, channels)
            in float32, or a sequence of arrays, one for each input of the model; a few hundred are enough. Needed by
            integer recipes, ignored by those that need none.

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


def _check_calibration(model: Any, quantization: str, calibration: Calibration | None) -> None:
    if len(model.inputs) == 1:
        images = None if calibration is None else per_input(calibration)[0]
        _check_examples(model.inputs[0], "images", "", quantization, images)
        return
    given = [] if calibration is None else per_input(calibration)
    if len(given) != len(model.inputs) or len({len(each) for each in given}) > 1:
        raise InputError(
            f"quantization {quantization!r} needs calibration examples for each of the {len(model.inputs)} inputs of "
            f"model {model.name!r}, found {[len(each) for each in given]}: give a sequence of equally long arrays"
        )
    for source, examples in zip(model.inputs, given, strict=True):
        _check_examples(source, "examples", f" of input {source.name!r}", quantization, examples)


def _check_examples(source: Any, what: str, whose: str, quantization: str, examples: np.ndarray | None) -> None:
    expected, dtype = tuple(source.shape[1:]), np.dtype(getattr(source.dtype, "name", source.dtype))
    wanted = f"expected {dtype} {what} of shape (N, {', '.join(map(str, expected))}), preprocessed as for training"
    if examples is None or len(examples) == 0:
        raise InputError(f"quantization {quantization!r} needs calibration {what}{whose}: {wanted}")
    if examples.dtype != dtype or examples.shape[1:] != expected:
        raise InputError(f"calibration {what}{whose} are {examples.dtype} of shape {examples.shape}: {wanted}")
    if not np.isfinite(examples).all():
        raise InputError(f"calibration {what}{whose} hold values that are not finite numbers: {wanted}")


def _check_integer(model: Any, quantization: str, converted: bytes) -> None:
    from edgenas.export.tflite.reader import check_integer

    problems = check_integer(converted)
    if problems:
        raise WorkError(
            f"model {model.name!r} converted with {quantization!r} still computes in floating point, which integer "
            f"accelerators refuse: {'; '.join(problems)}"
        )
