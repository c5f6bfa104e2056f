"""The operators of a graph without its file are those that the file has."""

import numpy as np
import pytest

from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.operator_list import list_operators
from edgenas.export.tflite.reader import read_operators
from edgenas.spaces.block import PRECISIONS
from edgenas.spaces.errors import InputError
from edgenas.spaces.references import reference_network
from edgenas.spaces.space.search_space import SearchSpace


def _seen(operators, options):
    """What a reader sees of operators; of the options, those that the writers set."""
    return [
        (
            operator.name,
            [tensor and (tensor.shape, tensor.dtype, tensor.is_constant) for tensor in operator.inputs],
            [(tensor.shape, tensor.dtype) for tensor in operator.outputs],
            {name: operator.options.get(name) for name in names},
        )
        for operator, names in zip(operators, options, strict=True)
    ]


def _edges(operators):
    made = {tensor.index: place for place, operator in enumerate(operators) for tensor in operator.outputs}
    return [[made.get(tensor.index) for tensor in operator.inputs if tensor] for operator in operators]


def _networks():
    space = SearchSpace.load("tiny_edge")
    yield from (space.decode(row) for row in space.sample(np.random.default_rng(0), 4))
    yield reference_network("mobilenet_v3_small", (64, 64, 3), 10)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_lists_what_the_file_has(precision):
    for network in _networks():
        listed = list_operators(network.graph, precision)
        written = read_operators(write_tflite(network.graph, precision))
        options = [operator.options for operator in listed]
        assert _seen(listed, options) == _seen(written, options)
        assert _edges(listed) == _edges(written)


def test_unknown_precisions_are_refused():
    with pytest.raises(InputError, match="int4"):
        list_operators(next(_networks()).graph, "int4")
