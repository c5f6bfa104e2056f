"""What integers cannot hold is named before conversion: layer, why, what to do."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.export.quantization.degenerate import find_degenerate, require_quantizable
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct
from edgenas.spaces.errors import WorkError
from edgenas.spaces.network import chain

NETWORK = chain("small", (6, 6, 3), {"stem": ConvBnAct(8), "more": ConvBnAct(8, 1), "head": ClassifierHead(4)})
IMAGES = np.random.default_rng(0).normal(size=(12, 6, 6, 3)).astype(np.float32)


@pytest.fixture
def model(settled):
    return settled(NETWORK, IMAGES)


def test_a_sound_model_has_nothing_to_tell(model) -> None:
    assert find_degenerate(model, IMAGES) == []


def test_weights_that_are_not_finite(model) -> None:
    layer = model.get_layer("more.main_conv")
    layer.kernel.assign(layer.kernel + np.inf)
    with pytest.raises(
        WorkError, match=r"cannot be quantized: layer 'more\.main_conv': 64 of 64 values.*learning rate"
    ):
        require_quantizable(model, IMAGES)


def test_activations_that_overflow(model) -> None:
    norm = model.get_layer("stem.main_bn")
    norm.gamma.assign(norm.gamma * 0 + 3e38)
    found = find_degenerate(model, IMAGES)
    assert found[0].layer == "stem.main_bn"
    assert found[0].is_fatal
    assert "scale is infinite" in found[0].why


def test_dead_channels_and_dead_layers_are_told_but_not_fatal(model) -> None:
    kernel = model.get_layer("more.main_conv").kernel
    values = np.asarray(kernel.numpy())
    values[..., [2, 5]] = 0
    kernel.assign(values)
    norm = model.get_layer("stem.main_bn")
    norm.beta.assign(norm.beta * 0 - 100)
    found = {(item.layer, item.problem.split(" (")[0]) for item in require_quantizable(model, IMAGES)}
    assert ("more.main_conv", "2 of 8 output channels have no weight but 0") in found
    assert ("stem.main_act", "its output is 0 on all calibration images") in found


def test_the_text_names_layer_reason_and_fix(model) -> None:
    kernel = model.get_layer("more.main_conv").kernel
    kernel.assign(kernel * 0)
    text = str(next(item for item in find_degenerate(model, IMAGES) if item.layer == "more.main_conv"))
    assert text.startswith("layer 'more.main_conv': 8 of 8 output channels")
    assert "(channels 0, 1, 2, 3, 4, ...)" in text
    assert text.endswith("use fewer filters, or less weight decay or sparsity")
