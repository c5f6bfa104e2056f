"""One small trained network for all tests of the export floor: TensorFlow is slow to start and to train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct, GroupConvInvertedBottleneck, InvertedBottleneck
from edgenas.spaces.network import Network, chain

CLASSES = 6


@dataclass(frozen=True)
class Trained:
    """A network, its trained Keras model, and images that it did and did not see."""

    network: Network
    model: Any
    preprocessing: Preprocessing
    train_images: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    @property
    def train_inputs(self) -> np.ndarray:
        return self.preprocessing.apply(self.train_images)

    @property
    def test_inputs(self) -> np.ndarray:
        return self.preprocessing.apply(self.test_images)


def gratings(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy stripes, uint8 (count, 20, 20, 1); the class is their direction, one of six."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(CLASSES, size=count)
    angle = (labels * np.pi / CLASSES)[:, None, None]
    y, x = np.mgrid[:20, :20] / 20 * 2 * np.pi
    phase, frequency = generator.uniform(0, 2 * np.pi, (count, 1, 1)), generator.uniform(2, 3.5, (count, 1, 1))
    stripes = np.sin(frequency * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    pixels = 128 + 21 * stripes + generator.normal(0, 60, (count, 20, 20))
    return np.clip(pixels, 0, 255).astype(np.uint8)[..., None], labels


@pytest.fixture(scope="session")
def trained() -> Trained:
    from edgenas.export._tensorflow import keras
    from edgenas.export.keras.builder import build_keras

    network = chain(
        "gratings",
        (20, 20, 1),
        {
            "stem": ConvBnAct(16, 3, 2, "hard_swish"),
            "ibn": InvertedBottleneck(16, 5, 1, 3, "relu6", se_ratio=0.25),
            "grouped": GroupConvInvertedBottleneck(24, 3, 2, 4, group_size=16),
            "head": ClassifierHead(CLASSES, dropout=0.1),
        },
    )
    train_images, train_labels = gratings(1500, seed=0)
    test_images, test_labels = gratings(400, seed=1)
    preprocessing = Preprocessing.fit(train_images)
    keras().utils.set_random_seed(0)
    model = build_keras(network, seed=0)
    loss = keras().losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras().optimizers.Adam(0.01), loss=loss, jit_compile=False)
    for layer in model.layers:
        if hasattr(layer, "moving_mean"):
            layer.momentum = 0.8  # a few dozen steps, not thousands
    model.fit(preprocessing.apply(train_images), train_labels, batch_size=50, epochs=3, verbose=0)
    return Trained(network, model, preprocessing, train_images, test_images, test_labels)


@pytest.fixture(scope="session")
def int8_model(trained: Trained) -> bytes:
    from edgenas.export.quantization import convert

    return convert(trained.model, quantization="int8", calibration=trained.train_inputs[:200])


@pytest.fixture(scope="session")
def settled():
    """Builds a network whose batch norms do something: statistics of the images, scales and shifts of their own."""
    from edgenas.export.keras.builder import build_keras

    def build(network: Network, images: np.ndarray) -> Any:
        model = build_keras(network, seed=3)
        norms = [layer for layer in model.layers if hasattr(layer, "moving_mean")]
        generator = np.random.default_rng(0)
        for layer in norms:
            layer.gamma.assign(generator.uniform(0.7, 1.3, layer.gamma.shape))
            layer.beta.assign(generator.normal(size=layer.beta.shape) * 0.2)
            layer.momentum = 0.0
        model(images, training=True)
        return model

    return build
