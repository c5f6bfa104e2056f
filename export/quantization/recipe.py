"""The quantization recipe interface and its registry: how a trained Keras model becomes the bytes that are shipped.

    @register_recipe("int8")
    class Int8(QuantizationRecipe):
        needs_calibration = True
        integer_only = True
        def convert(self, model, calibration): ...

A recipe whose ``fine_tuning`` is set wants the network trained once more in another form first:
:func:`edgenas.export.quantization.preparation.prepare` makes that form. Every recipe passes
:class:`edgenas.export.quantization.conformance.QuantizationRecipeConformance`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from edgenas.spaces.registry import Registry

if TYPE_CHECKING:
    from edgenas.export.quantization.preparation import FineTuning

_REGISTRY: Registry[QuantizationRecipe] = Registry("quantization", attribute="name", make=lambda cls: cls())
RecipeType = TypeVar("RecipeType", bound="type[QuantizationRecipe]")


#: Examples of a model's input, or of each of its inputs.
Calibration = np.ndarray | Sequence[np.ndarray]


def per_input(calibration: Calibration) -> list[np.ndarray]:
    """One array of examples for each input of a model."""
    return [calibration] if isinstance(calibration, np.ndarray) else list(calibration)


class QuantizationRecipe(ABC):
    """Turns a trained model into a ``.tflite`` file of batch 1. Stateless: one instance serves all models."""

    #: Name in the registry, in recipes and in ``metrics.json``.
    name: ClassVar[str] = ""
    #: One line for people: what is in the file, and what it is good for.
    summary: ClassVar[str] = ""
    #: Whether :meth:`convert` needs training images to see the ranges of activations.
    needs_calibration: ClassVar[bool] = False
    #: Whether every tensor, input and output included, must come out as an integer; checked after conversion.
    integer_only: ClassVar[bool] = False
    #: Precision of the latency table that predicts its files; None: int8 for what computes on int8 alone, else float32.
    precision: ClassVar[str | None] = None
    #: What the network must be fine-tuned for before :meth:`convert`; None when a trained model is all it takes.
    fine_tuning: ClassVar[FineTuning | None] = None

    def missing(self) -> str | None:
        """What must be installed before this recipe can be used, and how; None when nothing is missing."""
        return None

    @abstractmethod
    def convert(self, model: Any, calibration: Calibration | None) -> bytes:
        """The model file. The same model and calibration images give the same bytes.

        Args:
            model: Keras model; with ``fine_tuning``, what :meth:`Prepared.finish` returned.
            calibration: examples as the float model takes them, shape (N, ...), or a sequence of such arrays, one for
                each input; None only when the recipe needs none.

        Raises:
            InputError: the model was not prepared as the recipe needs it.
            WorkError: the conversion failed, with the converter's reason.
        """


def register_recipe(name: str) -> Callable[[RecipeType], RecipeType]:
    """Class decorator that makes a recipe known under ``name``. Raises InputError when the name is taken."""
    return _REGISTRY.decorator(name)


def recipe_names() -> tuple[str, ...]:
    """Names of all registered recipes, sorted."""
    return _REGISTRY.names()


def get_recipe(name: str) -> QuantizationRecipe:
    """The recipe registered under ``name``. Raises InputError with the known names."""
    return _REGISTRY.get(name)
