"""Networks that quantization-aware training cannot round are refused before anything is trained."""

import numpy as np
import pytest

from edgenas.cli.app import app
from edgenas.export.quantization.fine_tunable import not_quantize_aware
from edgenas.spaces.blocks import (
    ClassifierHead,
    ConvBnAct,
    InvertedBottleneck,
    NormAct,
    PreNormInvertedBottleneck,
    RelativeAttention,
)
from edgenas.spaces.graph import GraphBuilder
from edgenas.spaces.network import chain
from edgenas.spaces.ops import Convolution, WeightedSum
from edgenas.spaces.references import reference_network

STEM, HEAD = ConvBnAct(8), ClassifierHead(3)


@pytest.mark.parametrize(
    ("block", "found"),
    [
        (InvertedBottleneck(8, expansion=2, activation="hard_swish", se_ratio=0.5), None),
        (RelativeAttention(8, head_size=4), "LayerNorm 'block.norm'"),
        (RelativeAttention(8, head_size=4, norm="batch"), "BatchNorm 'block.norm'"),
        (PreNormInvertedBottleneck(8), "BatchNorm 'block.norm'"),
        (NormAct(), "BatchNorm 'block.bn'"),
    ],
)
def test_what_it_cannot_round(block, found):
    network = chain("one", (4, 4, 3), {"stem": ConvBnAct(8, activation="linear"), "block": block, "head": HEAD})
    assert not_quantize_aware(network.graph) == found


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_v4_conv_small", "efficientnet_v2_b0"])
def test_published_convolutional_networks_are_fine(name):
    assert not_quantize_aware(reference_network(name, (32, 32, 3)).graph) is None


def test_weighted_sums_are_fine():
    builder = GraphBuilder((4, 4, 3))
    convolutions = [builder.add(f"conv{number}", Convolution(4), builder.inputs[0]) for number in range(2)]
    assert not_quantize_aware(builder.build(builder.add("sum", WeightedSum(), *convolutions))) is None


def test_a_run_says_so_before_it_trains(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    monkeypatch.setenv("EDGENAS_HOME", str(tmp_path / "home"))
    data = tmp_path / "few.npz"
    images = np.zeros((40, 16, 16, 1), np.uint8)
    np.savez(data, x_train=images, y_train=np.arange(40) % 4, x_test=images, y_test=np.arange(40) % 4)
    words = ["train", "coatnet_0", "--data", str(data), "--device", "edgetpu-sim", "--quantization", "int8-qat"]
    found = CliRunner().invoke(app, [*words, "--epochs", "1", "-o", str(tmp_path / "run")])
    assert "cannot round what BatchNorm" in str(found.exception)
