"""Reference networks beside the same ones of keras.applications: layer by layer, and all trainable parameters."""

from __future__ import annotations

import math

import pytest

from edgenas.spaces.ops import Convolution, Dense, DepthwiseConvolution
from edgenas.spaces.references import reference_network

QUICK = {
    "efficientnet_v2_b0": ("EfficientNetV2B0", {}),
    "mobilenet_v3_small": ("MobileNetV3Small", {"input_shape": (224, 224, 3)}),
}
SLOW = {
    "mobilenet_v3_small_minimalistic": ("MobileNetV3Small", {"input_shape": (224, 224, 3), "minimalistic": True}),
    "mobilenet_v3_large": ("MobileNetV3Large", {"input_shape": (224, 224, 3)}),
    "efficientnet_v2_b1": ("EfficientNetV2B1", {}),
    "efficientnet_v2_b2": ("EfficientNetV2B2", {}),
    "efficientnet_v2_b3": ("EfficientNetV2B3", {}),
    "efficientnet_v2_s": ("EfficientNetV2S", {}),
    "efficientnet_v2_m": ("EfficientNetV2M", {}),
    "mobilenet_v3_large_minimalistic": ("MobileNetV3Large", {"input_shape": (224, 224, 3), "minimalistic": True}),
}
CASES = [*QUICK.items(), *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW.items())]


def _ours(name: str) -> list[tuple[int, ...]]:
    """Output shapes of the layers with kernels, in order."""
    graph = reference_network(name, classes=1000).graph
    kernels = (Convolution, DepthwiseConvolution, Dense)
    return [tuple(graph.shapes[node.name]) for node in graph.nodes if isinstance(node.op, kernels)]


def _theirs(model) -> list[tuple[int, ...]]:
    kinds = ("Conv2D", "DepthwiseConv2D", "Dense")
    return [tuple(layer.output.shape[1:]) for layer in model.layers if type(layer).__name__ in kinds]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_layers_are_those_of_keras_applications(name, case):
    import keras

    builder, options = case
    model = getattr(keras.applications, builder)(weights=None, **options)
    trained = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    assert reference_network(name, classes=1000).params == trained
    ours = _ours(name)
    # What one has as a dense layer of a vector the other has as a 1x1 convolution of one pixel.
    flat = [
        [shape if len(shape) == 1 or shape[:2] != (1, 1) else shape[2:] for shape in found]
        for found in (ours, _theirs(model))
    ]
    assert flat[0] == flat[1]
    assert tuple(model.output.shape[1:]) == (1000,)
