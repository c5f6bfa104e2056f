"""The recipe ``mixed``: int8, but for the few layers that cost accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgenas.export.extra import SELECTIVE
from edgenas.export.quantization.converter import run_converter
from edgenas.export.quantization.recipe import Calibration, QuantizationRecipe, per_input, register_recipe
from edgenas.export.quantization.selective.settings import MixedSettings

if TYPE_CHECKING:
    from edgenas.export.quantization.selective.choice import Mixed
    from edgenas.export.quantization.selective.sensitivity import Score

MIXED = "mixed"


@register_recipe(MIXED)
class MixedRecipe(QuantizationRecipe):
    """int8 with the most sensitive layers in float or int16, as few as bring the loss below a limit.

    :func:`mix` takes labelled examples and a limit; :meth:`convert` has the float model's own answers to the
    calibration examples instead.
    """

    summary: ClassVar[str] = "int8, but the few layers that cost accuracy in float or int16; needs edgenas[selective]"
    needs_calibration = True
    precision: ClassVar[str | None] = "int8"

    def missing(self) -> str | None:
        words = SELECTIVE.missing()
        return None if words is None else f"{self.name!r} needs {words}"

    def convert(self, model: Any, calibration: Calibration | None) -> bytes:
        assert calibration is not None
        return mix(model, calibration, per_input(calibration)).choice.model


def mix(
    model: Any,
    calibration: Calibration,
    examples: Sequence[np.ndarray],
    score: Score | None = None,
    settings: MixedSettings | None = None,
    *,
    all_of_them: bool = False,
    known: Mixed | None = None,
    on_layer: Callable[[int, int], None] | None = None,
) -> Mixed:
    """Which layers of a trained Keras model are sensitive, and the files with the worst of them kept.

    Args:
        model: float Keras model.
        calibration: what sets the ranges.
        examples: what the files are judged on, (N, ...) for each input of the model.
        score: from the outputs on ``examples`` to a figure from 0 to 1; None: the share of examples on which the
            largest value of each output is where the float model has it.
        settings: limit, kind and number of kept layers.
        all_of_them: try all choices instead of stopping at the first within the limit.
        known: of the same model and examples, whose sensitivity is not measured again.
        on_layer: hears of (layers done, layers).

    Raises InputError without the extra, WorkError when a conversion fails.
    """
    from edgenas.export.quantization.selective.choice import choose
    from edgenas.export.quantization.selective.layers import LayerQuantizer
    from edgenas.export.quantization.selective.sensitivity import Judge, measure_sensitivity

    SELECTIVE.require()
    reference = run_converter(model, lambda converter: None)
    quantizer = LayerQuantizer(reference, calibration)
    judge = Judge(reference, examples, score)
    sensitivity = measure_sensitivity(quantizer, judge, on_layer) if known is None else known.sensitivity
    return choose(quantizer, judge, sensitivity, settings or MixedSettings(), all_of_them=all_of_them)
