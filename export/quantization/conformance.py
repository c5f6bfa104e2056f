"""Conformance of quantization recipes: what every registered recipe must hold to, ours and a user's.

    class TestMyRecipe(QuantizationRecipeConformance):
        recipe = "my_recipe"

Plain asserts in methods that pytest collects; nothing of pytest is needed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from edgenas.export.keras.builder import build_keras
from edgenas.export.quantization import convert, get_recipe, recipe_names
from edgenas.export.quantization.preparation import prepare
from edgenas.export.tflite.reader import check_integer, model_io
from edgenas.export.verify import agreement, tflite_logits
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct, FusedInvertedBottleneck, InvertedBottleneck
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, chain

_IMAGES = 64


class QuantizationRecipeConformance:
    """Subclass it, name the recipe, and run it with pytest."""

    #: Name of a registered recipe.
    recipe: str
    #: Least share of images on which the converted model must choose the class that the float model chooses.
    least_agreement: float = 0.9

    def test_is_registered_under_its_name(self) -> None:
        assert self.recipe in recipe_names()
        assert get_recipe(self.recipe).name == self.recipe

    def test_takes_one_image_and_returns_logits(self) -> None:
        ends = model_io(self.converted())
        assert [tensor.shape for tensor in ends.inputs] == [(1, 16, 16, 3)]
        assert [tensor.shape for tensor in ends.outputs] == [(1, 8)]

    def test_is_deterministic(self) -> None:
        images = _model_and_images()[1]
        model = _prepared(self.recipe)
        assert convert(model, quantization=self.recipe, calibration=images) == self.converted()

    def test_leaves_the_model_as_it_was(self) -> None:
        images = _model_and_images()[1]
        model = _prepared(self.recipe)
        before = model.get_weights()
        convert(model, quantization=self.recipe, calibration=images)
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)

    def test_agrees_with_the_float_model(self) -> None:
        model, images = _model_and_images()
        logits = tflite_logits(self.converted(), images)
        assert agreement(np.asarray(model(images)), logits).same_top1 >= self.least_agreement

    def test_is_as_integer_as_it_says(self) -> None:
        if get_recipe(self.recipe).integer_only:
            assert check_integer(self.converted()) == []

    def test_wants_a_model_that_was_prepared_for_it(self) -> None:
        if get_recipe(self.recipe).fine_tuning is None:
            return
        model, images = _model_and_images()
        message = ""
        try:
            convert(model, quantization=self.recipe, calibration=images)
        except InputError as error:
            message = str(error)
        assert repr(self.recipe) in message

    def test_refuses_missing_calibration_images(self) -> None:
        if not get_recipe(self.recipe).needs_calibration:
            return
        message = ""
        try:
            convert(_prepared(self.recipe), quantization=self.recipe, calibration=None)
        except InputError as error:
            message = str(error)
        assert "calibration" in message

    def converted(self) -> bytes:
        return _converted(self.recipe)


@lru_cache(maxsize=1)
def _model_and_images() -> tuple[Any, np.ndarray]:
    """A small network, its batch norms set to what the images produce, so that it tells images apart."""
    model = build_keras(_network(), seed=0)
    generator = np.random.default_rng(0)
    # A colour and a gradient per image: noise alone averages out before it reaches the head.
    images = generator.normal(size=(_IMAGES, 1, 1, 3)) + generator.normal(size=(_IMAGES, 16, 1, 3))
    images = (images + 0.3 * generator.normal(size=(_IMAGES, 16, 16, 3))).astype(np.float32)
    for layer in model.layers:
        if hasattr(layer, "moving_mean"):
            layer.momentum = 0.0
    model(images, training=True)
    return model, images


def _network() -> Network:
    blocks = {
        "stem": ConvBnAct(8, 3, 2),
        "ibn": InvertedBottleneck(8, 3, 1, 4, "relu6"),
        "fused": FusedInvertedBottleneck(16, 3, 2, 2, "hard_swish"),
        "head": ClassifierHead(8),
    }
    return chain("conformance", (16, 16, 3), blocks)


@lru_cache(maxsize=4)
def _prepared(recipe: str) -> Any:
    """What the recipe converts: the model, or what it is fine-tuned into, here without a single step of training."""
    model, images = _model_and_images()
    fine_tuning = get_recipe(recipe).fine_tuning
    if fine_tuning is None:
        return model
    return prepare(_network(), model, fine_tuning, calibration=images).finish()


@lru_cache(maxsize=32)
def _converted(recipe: str) -> bytes:
    return convert(_prepared(recipe), quantization=recipe, calibration=_model_and_images()[1])
