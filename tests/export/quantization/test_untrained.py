"""Untrained files in every quantization that needs no training."""

from __future__ import annotations

import pytest

from edgenas.export.quantization.untrained import untrained_model
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.reader import check_integer, model_io
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import chain

NETWORK = chain("small", (6, 6, 3), {"stem": ConvBnAct(8), "head": ClassifierHead(4)})


def test_plain_ones_are_written() -> None:
    assert untrained_model(NETWORK, "int8", seed=3) == write_tflite(NETWORK.graph, "int8", seed=3)


def test_others_are_converted() -> None:
    model = untrained_model(NETWORK, "int16x8", seed=1)
    assert check_integer(model) == []
    assert model_io(model).inputs[0].dtype == "INT16"
    assert model == untrained_model(NETWORK, "int16x8", seed=1)
    assert model_io(untrained_model(NETWORK, "dynamic")).inputs[0].dtype == "FLOAT32"


@pytest.mark.parametrize(("name", "alike"), [("int8-qat", "int8"), ("pruned", "float32"), ("clustered+int8", "int8")])
def test_those_that_train_say_where_that_happens(name: str, alike: str) -> None:
    with pytest.raises(InputError, match=rf"trains the network.*`edgenas export`.*build '{alike}'"):
        untrained_model(NETWORK, name)


def test_unknown_ones_are_refused() -> None:
    with pytest.raises(InputError, match="unknown quantization 'int3'"):
        untrained_model(NETWORK, "int3")
