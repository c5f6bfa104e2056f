"""Layers judged one by one, on a small trained network whose channels are made to differ by a factor of 300."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from edgenas.export import extra
from edgenas.export._tensorflow import keras
from edgenas.export.keras.builder import build_keras
from edgenas.export.quantization import convert, get_recipe
from edgenas.export.quantization.mixed import mix
from edgenas.export.quantization.selective.choice import Mixed
from edgenas.export.quantization.selective.layers import LayerQuantizer
from edgenas.export.quantization.selective.settings import MixedSettings
from edgenas.export.tflite.reader import check_integer, model_io, read_operators
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, chain

pytest.importorskip("litert_quantizer", reason="the extra edgenas[selective] is not installed")

FACTOR = 300.0


@lru_cache(maxsize=1)
def examples() -> tuple[np.ndarray, np.ndarray]:
    """Images of four gradients in noise, and which."""
    rng = np.random.default_rng(0)
    labels = np.arange(256) % 4
    ramp = np.linspace(-1, 1, 8, dtype=np.float32)
    patterns = np.stack([np.add.outer(a * ramp, b * ramp) for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))])
    return (patterns[labels][..., np.newaxis] + 0.6 * rng.normal(size=(256, 8, 8, 1))).astype(np.float32), labels


def network() -> Network:
    blocks = {
        "first": ConvBnAct(8, 3),
        "second": ConvBnAct(8, 3, 2),
        "third": ConvBnAct(8, 3),
        "head": ClassifierHead(4),
    }
    return chain("tiny", (8, 8, 1), blocks)


@lru_cache(maxsize=1)
def plain() -> Any:
    """A network that tells the gradients apart, without the first of the channels between its first two layers."""
    model = build_keras(network(), seed=0)
    for layer in model.layers:
        if hasattr(layer, "moving_mean"):
            layer.momentum = 0.5
    loss = keras().losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras().optimizers.Adam(0.01), loss)
    kernel = [layer for layer in model.layers if hasattr(layer, "kernel")][1].kernel
    for _ in range(3):  # learns to do without that channel
        model.fit(*examples(), batch_size=64, epochs=5, verbose=0)
        kernel.assign(kernel.numpy() * np.array([0.0] + [1.0] * 7)[:, np.newaxis])
    return model


@lru_cache(maxsize=1)
def sensitive() -> Any:
    """The same answers: the channel that nothing reads is a few hundred times as large as the others."""
    model = build_keras(network(), seed=0)
    model.set_weights(plain().get_weights())
    factors = np.array([FACTOR] + [1.0] * 7)
    norm = next(layer for layer in model.layers if hasattr(layer, "moving_mean"))
    norm.gamma.assign(norm.gamma.numpy() * factors)
    norm.beta.assign(norm.beta.numpy() * factors)
    return model


@lru_cache(maxsize=4)
def mixed(keep: str, bad: bool = True, layers: int = 3, limit: float = 0.02) -> Mixed:
    images, labels = examples()
    model = sensitive() if bad else plain()

    def score(outputs: Any) -> float:
        return float((outputs[0].argmax(axis=-1) == labels).mean())

    return mix(model, images[:64], [images], score, MixedSettings(limit, keep, layers))


def test_the_layers_on_both_sides_of_the_bad_tensor_are_found() -> None:
    found = mixed("float").sensitivity
    assert found.float_score > 0.9
    assert found.int8.score < found.float_score - 0.05
    worst = found.layers[:2]
    assert {layer.index for layer in worst} == {0, 1}
    assert all(layer.alone.sqnr_db < 20 for layer in worst)
    assert min(layer.alone.sqnr_db for layer in found.layers[2:]) > 25


@pytest.mark.parametrize("keep", ["float", "int16"])
def test_as_few_layers_as_the_limit_takes_are_kept(keep: str) -> None:
    found = mixed(keep)
    assert set(found.choice.kept) == {0, 1}
    assert found.choices[1].loss > found.settings.limit  # one side of the bad tensor alone brings nothing
    assert found.choice.loss <= found.settings.limit < found.choices[0].loss
    assert len(found.choice.model) < len(convert(sensitive(), quantization="float32"))
    assert "within the limit" in found.words()
    dtypes = {operator.outputs[0].dtype for operator in read_operators(found.choice.model)}
    assert ("FLOAT32" in dtypes, "INT16" in dtypes) == (keep == "float", keep == "int16")
    assert (check_integer(found.choice.model) == []) is (keep == "int16")
    document = found.to_json()
    assert document["choices"][found.taken]["size_bytes"] == len(found.choice.model)


def test_where_there_is_nothing_to_gain_nothing_is_kept() -> None:
    found = mixed("float", bad=False, limit=0.05)
    assert found.choice.kept == ()
    assert "nothing to gain" in found.words()
    assert check_integer(found.choice.model) == []
    assert model_io(found.choice.model).inputs[0].dtype == "INT8"


def test_where_it_does_not_help_it_says_so() -> None:
    found = mixed("float", layers=1)
    assert "does not" in found.words()
    assert found.choice.loss == min(choice.loss for choice in found.choices)
    useless = dataclasses.replace(found, choices=(found.choices[0],) * 2, taken=0)
    assert "does not help" in useless.words()


def test_wrong_input_is_one_line(monkeypatch) -> None:
    model, (images, _) = plain(), examples()
    with pytest.raises(InputError, match="keep must be one of float, int16"):
        MixedSettings(keep="int4")
    with pytest.raises(InputError, match="limit must be from 0 to 1"):
        MixedSettings(limit=2)
    quantizer = LayerQuantizer(convert(model, quantization="float32"), images[:4])
    with pytest.raises(InputError, match="no layer 99"):
        quantizer.quantize((99,))
    with pytest.raises(InputError, match="float32 model only"):
        LayerQuantizer(convert(model, quantization="int8", calibration=images[:8]), images[:4])
    monkeypatch.setattr(extra, "installed_version", lambda package: None)
    assert "edgenas[selective]" in (get_recipe("mixed").missing() or "")
    with pytest.raises(InputError, match=r"pip install 'edgenas\[selective\]'"):
        mix(model, images[:4], [images[:4]])
