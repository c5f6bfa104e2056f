"""The recipes that come with EdgeNAS: float32, float16 weights, and full-integer int8."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.quantization.converter import run_converter
from export.quantization.recipe import QuantizationRecipe, register_recipe


@register_recipe("float32")
class Float32(QuantizationRecipe):
    """The float model as it is: for comparison, and for targets without integer kernels."""

    def convert(self, model: Any, calibration: np.ndarray | None) -> bytes:
        return run_converter(model, lambda converter: None)


@register_recipe("float16")
class Float16(QuantizationRecipe):
    """Weights stored in 16 bits: half the size; computes in float32 on a CPU, in float16 where there is hardware."""

    def convert(self, model: Any, calibration: np.ndarray | None) -> bytes:
        from export._tensorflow import tensorflow

        tf = tensorflow()

        def configure(converter: Any) -> None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]

        return run_converter(model, configure)


@register_recipe("int8")
class Int8(QuantizationRecipe):
    """Full integer: int8 input, output and activations, per-channel int8 weights, int32 biases.

    The scheme of Jacob et al. (arXiv 1712.05877) with the TFLite 8-bit specification's per-channel symmetric weights;
    activation ranges are the minima and maxima over the calibration images.
    """

    needs_calibration = True
    integer_only = True

    def convert(self, model: Any, calibration: np.ndarray | None) -> bytes:
        from export._tensorflow import tensorflow

        tf = tensorflow()
        images: np.ndarray = np.empty((0,)) if calibration is None else calibration

        def configure(converter: Any) -> None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([image[np.newaxis]] for image in images)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.int8
            converter.inference_output_type = tf.int8

        return run_converter(model, configure)
