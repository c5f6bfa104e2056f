"""The recipes that a trained model is all it takes for: float32, float16, dynamic, int8, int16x8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from edgenas.export.quantization.converter import run_converter
from edgenas.export.quantization.recipe import Calibration, QuantizationRecipe, per_input, register_recipe


@register_recipe("float32")
class Float32(QuantizationRecipe):
    """The float model as it is: for comparison, and for targets without integer kernels."""

    summary: ClassVar[str] = "the float model as it is"

    def convert(self, model: Any, calibration: Calibration | None) -> bytes:
        return run_converter(model, lambda converter: None)


@register_recipe("float16")
class Float16(QuantizationRecipe):
    """Weights stored in 16 bits: half the size; computes in float32 on a CPU, in float16 where there is hardware."""

    summary: ClassVar[str] = "weights in 16 bits, computes in float"
    precision: ClassVar[str | None] = "float16"

    def convert(self, model: Any, calibration: Calibration | None) -> bytes:
        from edgenas.export._tensorflow import tensorflow

        tf = tensorflow()

        def configure(converter: Any) -> None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]

        return run_converter(model, configure)


@register_recipe("dynamic")
class Dynamic(QuantizationRecipe):
    """Dynamic range: int8 weights; activations are float and rounded on the fly, so it needs no images.

    The converter leaves kernels of fewer than 1,024 weights in float.
    """

    summary: ClassVar[str] = "int8 weights, activations rounded on the fly; needs no images"

    def convert(self, model: Any, calibration: Calibration | None) -> bytes:
        from edgenas.export._tensorflow import tensorflow

        tf = tensorflow()

        def configure(converter: Any) -> None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]

        return run_converter(model, configure)


@register_recipe("int8")
class Int8(QuantizationRecipe):
    """Full integer: int8 input, output and activations, per-channel int8 weights, int32 biases.

    The scheme of Jacob et al. (arXiv 1712.05877) with the TFLite 8-bit specification's per-channel symmetric weights;
    activation ranges are the minima and maxima over the calibration images.
    """

    summary: ClassVar[str] = "integers only, per-channel weights; what accelerators take"
    needs_calibration = True
    integer_only = True

    def convert(self, model: Any, calibration: Calibration | None) -> bytes:
        return run_converter(model, calibrated("TFLITE_BUILTINS_INT8", "int8", calibration))


@register_recipe("int16x8")
class Int16x8(QuantizationRecipe):
    """Integers only, with 16-bit activations and input and output, and 8-bit weights: closer to float, but slower.

    The runtime has no 16-bit HARD_SWISH, so it is spelled out as ADD and two MUL.
    """

    summary: ClassVar[str] = "integers only, 16-bit activations: closest to float, slow kernels"
    needs_calibration = True
    integer_only = True
    precision: ClassVar[str | None] = "float32"

    def convert(self, model: Any, calibration: Calibration | None) -> bytes:
        ops = "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"
        return run_converter(_with_hard_swish_spelled_out(model), calibrated(ops, "int16", calibration))


def _with_hard_swish_spelled_out(model: Any) -> Any:
    from edgenas.export._tensorflow import keras, tensorflow
    from edgenas.export.keras.builder import hard_swish

    tf, layers = tensorflow(), keras().layers
    # The converter recognises a hard swish by its 3: the next float after it computes the same and stays as it is.
    three = float(np.nextafter(np.float32(3), np.float32(4)))

    def is_hard_swish(layer: Any) -> bool:
        return isinstance(layer, layers.Activation) and layer.activation is hard_swish

    def clone(layer: Any) -> Any:
        if is_hard_swish(layer):
            return layers.Activation(lambda x: x * tf.nn.relu6(x + three) * (1 / 6), name=layer.name)
        return type(layer).from_config(layer.get_config())

    if not any(is_hard_swish(layer) for layer in model.layers):
        return model
    other = keras().models.clone_model(model, clone_function=clone)
    other.set_weights(model.get_weights())
    return other


def calibrated(ops: str, ends: str, calibration: Calibration | None) -> Callable[[Any], None]:
    """Sets a converter up for integers throughout: a set of operators, the type of input and output, and images."""
    from edgenas.export._tensorflow import tensorflow

    tf = tensorflow()
    inputs = [] if calibration is None else per_input(calibration)

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [values[np.newaxis] for values in example] for example in zip(*inputs, strict=True)
        )
        converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, ops)]
        converter.inference_input_type = converter.inference_output_type = getattr(tf, ends)

    return configure
