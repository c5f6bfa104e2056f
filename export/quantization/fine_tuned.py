"""The recipes whose network is fine-tuned for what it becomes: quantization-aware, pruned, clustered, and together.

Names are joined by ``+``: ``pruned+int8`` is pruned, then quantized after training; ``pruned+int8-qat`` stays pruned
during quantization-aware training (the toolkit's PQAT; ``clustered+int8-qat`` is CQAT, all three PCQAT).
"""

from __future__ import annotations

import importlib.util
from typing import Any, ClassVar

from edgenas.export.quantization.compression_check import kernel_statistics, require_clustered, require_pruned
from edgenas.export.quantization.converter import run_converter
from edgenas.export.quantization.fake_quantization import is_quantize_aware
from edgenas.export.quantization.preparation import FineTuning
from edgenas.export.quantization.recipe import Calibration, QuantizationRecipe, get_recipe, register_recipe
from edgenas.spaces.errors import InputError

_TOOLKIT = ("tensorflow_model_optimization", "tf_keras")


class FineTunedRecipe(QuantizationRecipe):
    """A recipe that checks that its model was prepared, converts it as ``base`` does, and checks the file."""

    fine_tuning: ClassVar[FineTuning] = FineTuning()
    #: Recipe after training; None: the ranges are in the model already.
    base: ClassVar[str | None] = None

    def missing(self) -> str | None:
        if not self.fine_tuning.quantize_aware:
            return None
        absent = [name for name in _TOOLKIT if importlib.util.find_spec(name) is None]
        return f"{self.name!r} needs {' and '.join(absent)}: pip install 'edgenas[qat]'" if absent else None

    def convert(self, model: Any, calibration: Calibration | None) -> bytes:
        if is_quantize_aware(model) != self.fine_tuning.quantize_aware:
            raise InputError(
                f"quantization {self.name!r} needs a model that was fine-tuned for it on training images, not "
                f"{model.name!r}: edgenas.export.quantization.preparation.prepare makes it, `edgenas export` trains it"
            )
        before = kernel_statistics(model)
        if self.fine_tuning.pruned:
            require_pruned(self.name, model.name, before)
        if self.fine_tuning.clustered:
            require_clustered(self.name, model.name, before)
        if self.base is None:
            return run_converter(model, _integer_ends)
        return get_recipe(self.base).convert(model, calibration)


def _integer_ends(converter: Any) -> None:
    from edgenas.export._tensorflow import tensorflow

    tf = tensorflow()
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8


def _register(compression: tuple[str, ...], target: str) -> None:
    """``pruned``, ``clustered`` or both in front of a recipe after training, or of ``int8-qat``."""
    aware = target == "int8-qat"
    name = "+".join((*compression, *(() if target == "float32" else (target,))))
    words = {"pruned": "zeros among the weights", "clustered": "few distinct weights"}
    parts = [words[word] for word in compression]
    parts += [{"int8-qat": "trained with int8 rounding", "int8": "then int8", "float32": "computes in float"}[target]]

    class Registered(FineTunedRecipe):
        summary = ", ".join(parts)
        fine_tuning = FineTuning("pruned" in compression, "clustered" in compression, aware)
        base = None if aware else target
        integer_only = target != "float32"
        needs_calibration = target == "int8"

    Registered.__qualname__ = f"FineTunedRecipe[{name}]"
    register_recipe(name)(Registered)


for _compression in ((), ("pruned",), ("clustered",), ("pruned", "clustered")):
    for _target in ("float32", "int8", "int8-qat"):
        if _compression or _target == "int8-qat":
            _register(_compression, _target)
