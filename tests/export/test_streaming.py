"""Networks that take a few frames at a time, beside the whole ones."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.export.keras.builder import build_keras
from edgenas.export.runtime import find_runtime
from edgenas.export.streaming import is_causal, streaming, streaming_file, streaming_keras
from edgenas.spaces import SearchSpace
from edgenas.spaces.blocks import (
    BandConv,
    BroadcastedResidual,
    ClassifierHead,
    DepthwiseSeparable,
    FrameStack,
    GruLayer,
    LstmLayer,
    SequenceClassifier,
    SoundConv,
    Svdf,
)
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import chain
from edgenas.spaces.references import reference_network
from edgenas.spaces.space.spec import space_path

NETWORKS = {
    "plane": {
        "stem": SoundConv(6, 5, 4, 2, causal=True),
        "separable": DepthwiseSeparable(6, 3, 3, skip=True, causal=True),
        "stride": DepthwiseSeparable(8, 3, 3, 2, causal=True),
        "broadcast": BroadcastedResidual(8, 5, activation="swish", causal=True),
        "head": ClassifierHead(4, dropout=0.1),
    },
    "line": {
        "stem": BandConv(8, 3, causal=True),
        "separable": DepthwiseSeparable(8, 9, 3, skip=True, causal=True),
        "broadcast": BroadcastedResidual(6, 3, causal=True),
        "head": ClassifierHead(4),
    },
    "recurrent": {
        "frames": FrameStack(3),
        "svdf": Svdf(8, 3, 2),
        "gru": GruLayer(6),
        "lstm": LstmLayer(5),
        "head": SequenceClassifier(4, dropout=0.1),
    },
    "mean": {"frames": FrameStack(2), "gru": GruLayer(6), "head": SequenceClassifier(4, "mean")},
}
SHAPE = (13, 6, 1)


def made(name):
    network = chain(name, SHAPE, NETWORKS[name])
    model = build_keras(network, seed=1)
    rng = np.random.default_rng(2)
    for variable in model.variables:
        if variable.path.endswith(("bias", "beta", "gamma", "moving_mean")):
            variable.assign(rng.normal(0.3, 0.2, variable.shape))
    return network, model, rng.normal(size=SHAPE).astype(np.float32)


def calls(found, sound):
    """The frames of each call; of the last one, zeros where the sound has ended."""
    padded = np.pad(sound, ((0, found.hop * found.steps), (0, 0), (0, 0)))
    return [padded[None, step * found.hop : (step + 1) * found.hop] for step in range(found.steps)]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_in_parts_is_the_whole_one(name):
    network, model, sound = made(name)
    expected = model(sound[None], training=False).numpy()[0]
    found = streaming(network)
    parts = streaming_keras(network, model)
    states = [np.zeros((1, *shape), np.float32) for shape in found.states]
    for frames in calls(found, sound):
        answer, *states = (np.asarray(value) for value in parts([frames, *states], training=False))
    assert len(states) == len(found.states) > 0
    np.testing.assert_allclose(answer[0], expected, atol=1e-4)


@pytest.mark.parametrize("name", ["plane", "recurrent"])
def test_a_file_in_parts_is_the_whole_network(name):
    network, model, sound = made(name)
    found = streaming(network)
    interpreter = find_runtime().interpreter(model_content=streaming_file(network, model), num_threads=1)
    interpreter.allocate_tensors()
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    states = [np.zeros((1, *shape), np.float32) for shape in found.states]
    assert [tuple(end["shape"][1:]) for end in inputs] == [(found.hop, *SHAPE[1:]), *found.states]
    for frames in calls(found, sound):
        for end, value in zip(inputs, [frames, *states], strict=True):
            interpreter.set_tensor(end["index"], value)
        interpreter.invoke()
        answer, *states = (interpreter.get_tensor(end["index"]).copy() for end in outputs)
    np.testing.assert_allclose(answer[0], model(sound[None], training=False).numpy()[0], atol=1e-4)


def test_less_is_computed_than_of_the_whole():
    network = chain("line", (49, 10, 1), NETWORKS["plane"])
    found = streaming(network)
    assert (found.hop, found.steps) == (4, 13)
    assert found.graph.macs * found.steps <= 1.1 * network.macs


def test_what_looks_ahead_is_refused_by_name():
    for network in (reference_network("ds_cnn_s"), chain("x", SHAPE, {"a": SoundConv(4), "b": ClassifierHead(3)})):
        assert not is_causal(network)
        with pytest.raises(InputError, match=r"cannot be streamed: .*main_conv.*looks at later frames; take causal"):
            streaming(network)


def test_networks_of_the_recurrent_space_can_be_streamed():
    space = SearchSpace.load("keyword_spotting_recurrent")
    networks = [space.decode(row) for row in space.sample(np.random.default_rng(0), 8)]
    assert all(is_causal(network) for network in networks)


def test_a_causal_copy_of_the_space_can_be_streamed(tmp_path):
    text = space_path("keyword_spotting").read_text()
    for kind in ("sound_conv", "band_conv", "ds_conv", "bc_residual"):
        text = text.replace(f"block: {kind},", f"block: {kind}, causal: true,")
    (tmp_path / "causal.yaml").write_text(text)
    space = SearchSpace.load(tmp_path / "causal.yaml")
    found = [streaming(space.decode(row)) for row in space.sample(np.random.default_rng(0), 20)]
    assert {each.hop for each in found} == {2, 4}
    assert all(each.steps == -(-49 // each.hop) for each in found)
