"""Conversion with every recipe, on a network that has learnt something."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.export._tensorflow import keras
from edgenas.export.quantization import QuantizationRecipe, convert, get_recipe, recipe_names, register_recipe
from edgenas.export.quantization.conformance import QuantizationRecipeConformance
from edgenas.export.quantization.recipe import _REGISTRY
from edgenas.export.tflite.reader import check_integer, model_io, read_operators
from edgenas.export.verify import agreement, tflite_logits
from edgenas.spaces.errors import InputError, WorkError
from edgenas.tasks import get_task


def top1_of(logits: np.ndarray, labels: np.ndarray) -> float:
    return get_task("classification").score(labels, {"logits": logits})


class TestFloat32(QuantizationRecipeConformance):
    recipe = "float32"
    least_agreement = 1.0


class TestFloat16(QuantizationRecipeConformance):
    recipe = "float16"
    least_agreement = 0.98


class TestDynamic(QuantizationRecipeConformance):
    recipe = "dynamic"


class TestInt8(QuantizationRecipeConformance):
    recipe = "int8"


class TestInt16x8(QuantizationRecipeConformance):
    recipe = "int16x8"
    least_agreement = 0.98


class TestMixed(QuantizationRecipeConformance):
    recipe = "mixed"


class TestInt8Qat(QuantizationRecipeConformance):
    recipe = "int8-qat"


# Without a single step of training, half of the weights and all but 16 values are missed.


class TestPruned(QuantizationRecipeConformance):
    recipe = "pruned"
    least_agreement = 0.4


@pytest.mark.slow
class TestClustered(QuantizationRecipeConformance):
    recipe = "clustered"
    least_agreement = 0.6


@pytest.mark.slow
class TestPrunedClustered(QuantizationRecipeConformance):
    recipe = "pruned+clustered"
    least_agreement = 0.4


@pytest.mark.slow
class TestPrunedInt8(QuantizationRecipeConformance):
    recipe = "pruned+int8"
    least_agreement = 0.4


class TestClusteredInt8(QuantizationRecipeConformance):
    recipe = "clustered+int8"
    least_agreement = 0.6


@pytest.mark.slow
class TestPrunedClusteredInt8(QuantizationRecipeConformance):
    recipe = "pruned+clustered+int8"
    least_agreement = 0.4


@pytest.mark.slow
class TestPrunedInt8Qat(QuantizationRecipeConformance):
    recipe = "pruned+int8-qat"
    least_agreement = 0.4


@pytest.mark.slow
class TestClusteredInt8Qat(QuantizationRecipeConformance):
    recipe = "clustered+int8-qat"
    least_agreement = 0.6


@pytest.mark.slow
class TestPrunedClusteredInt8Qat(QuantizationRecipeConformance):
    recipe = "pruned+clustered+int8-qat"
    least_agreement = 0.4


def test_every_recipe_is_tested_for_conformance() -> None:
    tested = {cls.recipe for cls in QuantizationRecipeConformance.__subclasses__() if cls.__module__ == __name__}
    assert set(recipe_names()) == tested
    assert all(get_recipe(name).summary for name in recipe_names())


def test_a_missing_toolkit_is_told_before_anything_runs(monkeypatch) -> None:
    assert get_recipe("int8-qat").missing() is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'edgenas[qat]'" in (get_recipe("int8-qat").missing() or "")
    assert get_recipe("pruned+int8").missing() is None


def test_int8_is_as_good_as_float(trained, int8_model: bytes) -> None:
    logits = np.asarray(trained.model(trained.test_inputs))
    float_top1 = top1_of(logits, trained.test_labels)
    assert 0.8 < float_top1 < 1.0  # it learnt, and errors are left in which a bad conversion would show
    int8_logits = tflite_logits(int8_model, trained.test_inputs)
    assert abs(top1_of(int8_logits, trained.test_labels) - float_top1) <= 0.015
    assert agreement(logits, int8_logits).same_top1 > 0.95


def test_int8_has_integer_ends_and_per_channel_weights(int8_model: bytes) -> None:
    assert check_integer(int8_model) == []
    ends = model_io(int8_model)
    assert [tensor.dtype for tensor in (*ends.inputs, *ends.outputs)] == ["INT8", "INT8"]
    convolution = next(operator for operator in read_operators(int8_model) if operator.name == "CONV_2D")
    assert convolution.inputs[1] is not None
    assert len(set(convolution.inputs[1].scale)) == convolution.outputs[0].shape[-1]


def test_calibration_images_decide_the_input_scale(trained, int8_model: bytes) -> None:
    low, high = trained.train_inputs[:200].min(), trained.train_inputs[:200].max()
    assert model_io(int8_model).inputs[0].scale[0] == pytest.approx((high - low) / 255, rel=1e-3)


def test_float16_halves_the_file_and_keeps_the_accuracy(trained) -> None:
    whole, half = (convert(trained.model, quantization=name) for name in ("float32", "float16"))
    assert len(half) < 0.75 * len(whole)
    top1 = [top1_of(tflite_logits(model, trained.test_inputs), trained.test_labels) for model in (whole, half)]
    assert abs(top1[0] - top1[1]) <= 0.005


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda images: None, "needs calibration images"),
        (lambda images: images[:0], "needs calibration images"),
        (lambda images: images.astype(np.float64), "float64"),
        (lambda images: images[:, :10], r"\(\d+, 10, 20, 1\)"),
        (lambda images: images * np.nan, "not finite"),
    ],
)
def test_wrong_calibration_images_are_refused(trained, change, found: str) -> None:
    with pytest.raises(InputError, match=found) as caught:
        convert(trained.model, quantization="int8", calibration=change(trained.train_inputs[:10]))
    assert "expected float32 images of shape (N, 20, 20, 1)" in str(caught.value)


def test_unknown_recipe_is_refused_with_the_known_ones(trained) -> None:
    with pytest.raises(InputError, match=r"unknown quantization 'int4': expected one of clustered, .*, int8, int8-qat"):
        convert(trained.model, quantization="int4")


def test_dynamic_range_keeps_float_ends_and_stores_int8_weights(trained) -> None:
    model = convert(trained.model, quantization="dynamic")
    ends = model_io(model)
    assert [tensor.dtype for tensor in (*ends.inputs, *ends.outputs)] == ["FLOAT32", "FLOAT32"]
    kernels = [operator.inputs[1] for operator in read_operators(model) if operator.name == "CONV_2D"]
    assert "INT8" in {kernel.dtype for kernel in kernels if kernel is not None}


def test_int16x8_has_16_bit_activations(trained) -> None:
    model = convert(trained.model, quantization="int16x8", calibration=trained.train_inputs[:20])
    convolution = next(operator for operator in read_operators(model) if operator.name == "CONV_2D")
    assert convolution.inputs[0] is not None
    assert convolution.inputs[1] is not None
    assert (convolution.inputs[0].dtype, convolution.inputs[1].dtype) == ("INT16", "INT8")


def test_diverged_weights_are_named(trained) -> None:
    model = keras().models.clone_model(trained.model)
    model.get_layer("head.logits").bias.assign([np.nan] * 6)
    with pytest.raises(WorkError, match=r"head\.logits.*not finite"):
        convert(model, quantization="float32")


def test_the_converters_reason_is_told_and_the_console_stays_quiet(capfd) -> None:
    layers = keras().layers
    source = layers.Input((4, 4, 1), name="image")

    class Strings(layers.Layer):
        def call(self, x):
            from edgenas.export._tensorflow import tensorflow

            tf = tensorflow()
            return tf.strings.to_number(tf.strings.as_string(x))

    model = keras().Model(source, Strings()(source), name="strings")
    with pytest.raises(WorkError, match=r"model 'strings' could not be converted to TFLite: .*"):
        convert(model, quantization="int8", calibration=np.zeros((2, 4, 4, 1), np.float32))
    assert capfd.readouterr() == ("", "")


def test_conversion_is_quiet(trained, capfd) -> None:
    convert(trained.model, quantization="int8", calibration=trained.train_inputs[:20])
    assert capfd.readouterr() == ("", "")
    print("still here")
    assert capfd.readouterr().out == "still here\n"


def test_mixed_precision_is_refused() -> None:
    layers = keras().layers
    source = layers.Input((4, 4, 1), name="image")
    model = keras().Model(source, layers.Conv2D(2, 1, dtype="mixed_float16", name="half")(source))
    with pytest.raises(InputError, match="'half' computes in float16"):
        convert(model, quantization="float32")


def test_an_integer_recipe_that_leaves_floats_is_an_error(trained) -> None:
    @register_recipe("careless")
    class Careless(QuantizationRecipe):
        integer_only = True

        def convert(self, model, calibration):
            return get_recipe("float32").convert(model, calibration)

    try:
        with pytest.raises(WorkError, match=r"still computes in floating point.*CONV_2D"):
            convert(trained.model, quantization="careless")
    finally:
        _REGISTRY.remove("careless")


def test_a_name_can_be_registered_once() -> None:
    with pytest.raises(InputError, match="already registered by Int8"):

        @register_recipe("int8")
        class Other(QuantizationRecipe):
            def convert(self, model, calibration):
                return b""
