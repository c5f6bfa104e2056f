"""Comparing whole networks: channels by their own range, unrelated networks, fixed batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgenas.export.quantization.layer_matching import why_unrelated
from edgenas.export.quantization.sqnr import compare_layers, random_inputs
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.model_rewriting import rewrite
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct
from edgenas.spaces.network import chain

PLAIN = write_tflite(ConvBnAct(8, 1, 1, "linear").lower((6, 6, 3)), "float32")


def with_kernel(model: bytes, factors: np.ndarray) -> bytes:
    """The model with its filters multiplied."""

    def change(unpacked: Any) -> None:
        graph = unpacked.subgraphs[0]
        kernel = graph.tensors[graph.operators[0].inputs[1]]
        values = np.asarray(unpacked.buffers[kernel.buffer].data, np.uint8).view(np.float32)
        scaled = values.reshape(8, -1) * factors[:, np.newaxis].astype(np.float32)
        unpacked.buffers[kernel.buffer].data = np.frombuffer(scaled.astype(np.float32).tobytes(), np.uint8)

    return rewrite(model, change)


def test_small_channels_that_become_zero_are_told() -> None:
    factors = np.ones(8)
    factors[5:] = 1e-3
    reference = with_kernel(PLAIN, factors)
    lost = with_kernel(PLAIN, np.r_[np.ones(5), np.zeros(3)])
    report = compare_layers(reference, lost, random_inputs(reference, count=3))
    assert report.outputs is not None
    assert report.outputs["sqnr_db"] > 40, "the whole looks fine"
    (channels,) = report.channels
    assert (channels.axis, channels.places, channels.count) == (3, (5, 6, 7), 8)
    assert "3 of 8 channels" in report.explain()
    assert "seldom matters" not in report.explain()
    assert report.to_json()["outputs"]["poor_channels"][0]["places"] == [5, 6, 7]


def test_channels_of_like_range_are_not() -> None:
    close = with_kernel(PLAIN, np.full(8, 1.01))
    report = compare_layers(PLAIN, close, random_inputs(PLAIN, count=3))
    assert report.channels == ()
    assert "seldom matters" in report.explain()


def net(classes: int, width: int) -> bytes:
    blocks = {"stem": ConvBnAct(width, 3, 2, "relu"), "head": ClassifierHead(classes)}
    return write_tflite(chain("net", (8, 8, 3), blocks).graph, "float32")


def test_unrelated_networks_are_told_apart() -> None:
    assert why_unrelated(net(4, 8), net(4, 8)) is None
    assert "outputs differ" in str(why_unrelated(net(4, 8), net(5, 8)))
    assert "architectures differ" in str(why_unrelated(net(4, 8), net(4, 24)))


def test_a_fixed_batch_is_compared_as_it_is() -> None:
    def change(unpacked: Any) -> None:
        for tensor in unpacked.subgraphs[0].tensors:
            if unpacked.buffers[tensor.buffer].data is None and len(tensor.shape) == 4:
                tensor.shape = [8, *tensor.shape[1:]]

    batch = rewrite(PLAIN, change)
    inputs = random_inputs(batch, count=2)
    assert inputs.shape == (16, 6, 6, 3)
    report = compare_layers(batch, batch, inputs)
    assert report.inputs == 2
    assert report.layers[-1].shape == (8, 6, 6, 8)
    assert report.outputs is not None
    assert report.outputs["max_abs_difference"] == 0


@pytest.mark.parametrize("shape", [(3, 5, 5, 3), (3, 6, 6)])
def test_inputs_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    from edgenas.spaces.errors import InputError

    with pytest.raises(InputError, match="takes an input of shape"):
        compare_layers(PLAIN, PLAIN, np.zeros(shape, np.float32))
