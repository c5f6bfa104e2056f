"""Blocks of sounds: built, written, converted and run, causal ones included."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.export.keras.builder import build_keras
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
from edgenas.spaces.network import chain
from tests.export.test_searched_families import check

SHAPE = (13, 10, 1)
PLANE = {
    "stem": SoundConv(8, 5, 4, 2),
    "separable": DepthwiseSeparable(8, 3, 3, skip=True),
    "broadcast": BroadcastedResidual(8),
    "stride": BroadcastedResidual(12, 5, stride=2),
    "head": ClassifierHead(4),
}
CAUSAL = {
    "stem": SoundConv(8, 5, 4, 2, causal=True),
    "separable": DepthwiseSeparable(8, 3, 3, 2, causal=True),
    "broadcast": BroadcastedResidual(8, causal=True),
    "head": ClassifierHead(4),
}
LINE = {
    "stem": BandConv(8, 5, 2, causal=True),
    "separable": DepthwiseSeparable(8, 3, 3, skip=True, causal=True),
    "broadcast": BroadcastedResidual(8, activation="swish"),
    "head": ClassifierHead(4),
}
RECURRENT = {
    "frames": FrameStack(3),
    "gru": GruLayer(6),  # a reshape right behind that of the frames would be one with it
    "svdf": Svdf(8, 3, 2),
    "lstm": LstmLayer(5),
    "head": SequenceClassifier(4),
}
NETWORKS = {"plane": PLANE, "causal": CAUSAL, "line": LINE, "recurrent": RECURRENT}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_built_written_converted_and_run(name):
    check(chain(name, SHAPE, NETWORKS[name]), SHAPE, ("float32", "int8"))


@pytest.mark.parametrize("name", ["causal", "line"])
def test_causal_blocks_do_not_see_the_future(name):
    blocks = {key: block for key, block in NETWORKS[name].items() if key != "head" and getattr(block, "causal", True)}
    model = build_keras(chain(name, SHAPE, blocks), seed=1)
    rng = np.random.default_rng(0)
    one = rng.normal(size=(1, *SHAPE)).astype(np.float32)
    other = one.copy()
    other[:, 8:] += 1
    first, second = (np.asarray(model(each)) for each in (one, other))
    stride = -(-SHAPE[0] // first.shape[1])
    seen = -(-8 // stride)  # frames that end before the change
    np.testing.assert_array_equal(first[:, :seen], second[:, :seen])
    assert not np.allclose(first[:, -1], second[:, -1])


def test_a_causal_network_has_the_sides_of_the_other():
    plain = {"stem": SoundConv(8, 10, 4, 2), "next": DepthwiseSeparable(8, 5, 3, 2)}
    causal = {"stem": SoundConv(8, 10, 4, 2, causal=True), "next": DepthwiseSeparable(8, 5, 3, 2, causal=True)}
    shapes = [chain("x", (49, 10, 1), blocks).graph.output_shapes for blocks in (plain, causal)]
    assert shapes[0] == shapes[1] == ((13, 3, 8),)


def test_kernels_that_see_nothing_but_padding_are_cut():
    block = DepthwiseSeparable(8, 3, 5)
    assert block.canonical((13, 1, 8)).bands == 1
    assert block.lower((13, 1, 8)).params == DepthwiseSeparable(8, 3, 1).lower((13, 1, 8)).params
