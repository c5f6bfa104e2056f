"""Memory counts on networks small enough to count by hand."""

import pytest

from edgenas.latency.predict.wide_depthwise import wide_depthwise_bytes
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct, InvertedBottleneck
from edgenas.spaces.cost import peak_activation_bytes, weight_bytes
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import chain
from edgenas.spaces.references import reference_network


def test_a_chain_needs_the_largest_pair_of_neighbours():
    network = chain("n", (8, 8, 4), {"a": ConvBnAct(16), "b": ConvBnAct(2), "head": ClassifierHead(10)})
    assert peak_activation_bytes(network, "int8") == 8 * 8 * (4 + 16)
    assert peak_activation_bytes(network, "float32") == 4 * 8 * 8 * (4 + 16)


def test_a_skip_keeps_its_source_alive():
    block = InvertedBottleneck(filters=8, expansion=4)
    with_skip = chain("n", (8, 8, 8), {"a": block, "head": ClassifierHead(2)})
    # expanded and filtered tensors at once, and the input that the sum still needs
    assert peak_activation_bytes(with_skip) == 8 * 8 * (32 + 32 + 8)
    without = chain("n", (8, 8, 8), {"a": InvertedBottleneck(filters=8, expansion=4, skip=False)})
    assert peak_activation_bytes(without) == 8 * 8 * (32 + 32)


def test_squeeze_excite_keeps_what_it_gates():
    block = InvertedBottleneck(filters=8, expansion=4, se_ratio=0.25, skip=False)
    network = chain("n", (2, 2, 8), {"a": block})
    # gated tensor, its gate and the product
    assert peak_activation_bytes(network) == 2 * 2 * 32 + 32 + 2 * 2 * 32


def test_weights_are_counted_as_deployed():
    network = chain("n", (8, 8, 3), {"a": ConvBnAct(16), "head": ClassifierHead(10)})
    weights, biases = 9 * 3 * 16 + 16 * 10, 16 + 10
    assert weight_bytes(network, "int8") == weights + 4 * biases
    assert weight_bytes(network, "float16") == 2 * (weights + biases)
    assert weight_bytes(network, "float32") == 4 * (weights + biases)


def test_depthwise_biases_are_counted():
    network = chain("n", (8, 8, 8), {"a": InvertedBottleneck(filters=16, expansion=2)})
    weights, biases = 8 * 16 + 9 * 16 + 16 * 16, 16 + 16 + 16
    assert weight_bytes(network, "int8") == weights + 4 * biases


def test_mobilenet_v2_peak_is_that_of_its_widest_layer():
    network = reference_network("mobilenet_v2_1.0")
    assert peak_activation_bytes(network) == 112 * 112 * 96 + 56 * 56 * 96


def test_unknown_precision_is_refused():
    network = chain("n", (8, 8, 3), {"a": ConvBnAct(16)})
    for count in (peak_activation_bytes, weight_bytes):
        with pytest.raises(InputError, match="unknown precision 'int4'"):
            count(network, "int4")


@pytest.mark.parametrize(
    ("kernel", "precision", "expected"), [(7, "int8", 49 * 64), (7, "float32", 4 * 49 * 64), (5, "int8", 0)]
)
def test_wide_depthwise_weights(kernel: int, precision: str, expected: int) -> None:
    graph = InvertedBottleneck(filters=16, expansion=4, kernel=kernel).lower((8, 8, 16))
    assert wide_depthwise_bytes(graph, precision) == expected
