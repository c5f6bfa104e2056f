"""The fast group convolution computes what the definition says, forwards and backwards, with and without oneDNN."""

from __future__ import annotations

import numpy as np
import pytest

from export import grouped_convolution as module
from export._tensorflow import tensorflow
from export.grouped_convolution import grouped_convolution, grouped_convolution_by_parts


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(
    ("side", "channels", "filters", "groups", "kernel", "stride"),
    [(14, 32, 64, 8, 3, 1), (9, 8, 32, 2, 5, 2), (7, 24, 48, 3, 1, 2), (5, 16, 16, 16, 3, 1)],
)
def test_values_and_gradients(
    native: bool, side: int, channels: int, filters: int, groups: int, kernel: int, stride: int, monkeypatch
) -> None:
    tf = tensorflow()
    if native and not module._has_native_gradient():
        pytest.skip("this TensorFlow has no gradient of group convolutions")
    monkeypatch.setattr(module, "_has_native_gradient", lambda: native)
    generator = np.random.default_rng(0)
    images = tf.constant(generator.normal(size=(3, side, side, channels)).astype(np.float32))
    weights = tf.constant(generator.normal(size=(kernel, kernel, channels // groups, filters)).astype(np.float32))
    results = []
    for function in (grouped_convolution, grouped_convolution_by_parts):
        with tf.GradientTape() as tape:
            tape.watch((images, weights))
            out = function(images, weights, (stride, stride), groups)
            loss = tf.reduce_sum(tf.sin(out))
        results.append((out, *tape.gradient(loss, (images, weights))))
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-3, rtol=1e-3)
