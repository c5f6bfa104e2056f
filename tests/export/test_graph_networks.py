"""Networks of graph spaces are built, written, read and exported as chains are."""

from collections import Counter

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgenas.export.keras.builder import build_keras
from edgenas.export.quantization import convert
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.operator_list import list_operators
from edgenas.export.tflite.reader import check_integer, model_io, read_operators
from edgenas.spaces.blocks import ConvBnAct, Sum
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, Node
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.spaces.tensor import TensorSpec


def _examples(network, count=4):
    rng = np.random.default_rng(0)
    found = [
        rng.normal(size=(count, *spec)).astype(np.float32)
        if spec.is_real
        else rng.integers(0, 20, (count, *spec)).astype(np.int32)
        for _, spec in network.inputs
    ]
    return found if len(found) > 1 else found[0]


def test_built_written_read_and_exported(graph_space):
    rng = np.random.default_rng(4)
    for row in graph_space.sample(rng, 2):
        network = graph_space.decode(row)
        shapes = [(1, *network.shapes[name]) for name in network.outputs]
        model = build_keras(network)
        assert [(1, *output.shape[1:]) for output in model.outputs] == shapes
        assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == network.params
        for variable in model.variables:  # as if it were trained: what is 0 or 1 would be left out by the converter
            if variable.path.endswith(("bias", "beta", "gamma", "shares", "moving_mean")):
                variable.assign(rng.normal(0.5, 0.2, variable.shape))
        examples = _examples(network)
        for precision in ("float32", "int8"):
            ours = write_tflite(network.graph, precision)
            theirs = convert(model, quantization=precision, calibration=examples)
            for file in (ours, theirs):
                ends = model_io(file)
                assert sorted(end.shape for end in ends.inputs) == sorted((1, *spec) for _, spec in network.inputs)
                assert sorted(end.shape for end in ends.outputs) == sorted(shapes)
                assert precision == "float32" or check_integer(file) == []
            kinds = [sorted(operator.name for operator in read_operators(file)) for file in (ours, theirs)]
            assert kinds[0] == kinds[1]


def test_a_network_runs_what_its_blocks_run_at_their_places():
    """Operators that a neighbour takes along, or that are done once for several blocks, are counted where they run."""
    space = SearchSpace.load("nas_bench_201", input_shape=(8, 8, 3))
    rng = np.random.default_rng(5)
    for row in [*space.sample(rng, 6), space.to_population([space.parse("444444"), space.parse("222222")])]:
        for each in np.atleast_2d(row):
            network = space.decode(each)
            whole = Counter(operator.name for operator in list_operators(network.graph, "int8"))
            parts = (list_operators(entry.deployed, "int8") for entry in network.running.values())
            assert whole == Counter(operator.name for part in parts for operator in part)


def test_nodes_may_share_weights():
    image = TensorSpec((8, 8, 8))
    block = ConvBnAct(8)
    nodes = (
        Node("first", block, ("image",)),
        Node("second", block, ("first",), weights="first"),
        Node("sum", Sum(), ("first", "second")),
    )
    network = Network("shared", (("image", image),), nodes, ("sum",))
    apart = Network("apart", (("image", image),), (nodes[0], Node("second", block, ("first",)), nodes[2]), ("sum",))
    assert (network.params, network.macs) == (apart.params // 2, apart.macs)
    assert Network.from_dict(network.to_dict()) == network
    model = build_keras(network)
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == network.params
    sizes = [len(write_tflite(each.graph, "float32")) for each in (network, apart)]
    assert sizes[0] < sizes[1] - 4 * 9 * 8 * 8 + 200
    file = convert(model, quantization="int8", calibration=_examples(network))
    assert [o.name for o in read_operators(file)] == [
        o.name for o in read_operators(write_tflite(network.graph, "int8"))
    ]
    other = Network("other", (("image", image),), (nodes[0], Node("b", ConvBnAct(16), ("first",), "first")), ("b",))
    with pytest.raises(InputError, match="cannot share the weights"):
        other.graph.macs  # noqa: B018


def test_calibration_is_asked_for_by_input(graph_space):
    if graph_space.name != "two_ends":
        return
    network = graph_space.decode(graph_space.sample(np.random.default_rng(0), 1)[0])
    with pytest.raises(InputError, match="for each of the 2 inputs"):
        convert(build_keras(network), quantization="int8", calibration=_examples(network)[0])
    with pytest.raises(InputError, match=r"of input 'facts' are float32 of shape"):
        convert(build_keras(network), quantization="int8", calibration=[_examples(network)[0]] * 2)


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("edges", ["000000", "300000", "020000"])
def test_networks_of_nothing_but_zeros_are_written(edges: str, precision: str) -> None:
    """What is left of a cell without any edge is a tensor of zeros, which convolutions read."""
    space = SearchSpace.load("nas_bench_201")
    with np.errstate(all="raise"):
        content = write_tflite(space.decode(space.parse(edges)).graph, precision)
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    image = np.ones((1, 32, 32, 3), precision)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    output = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert output.shape == (1, 10)
    assert np.isfinite(output.astype(np.float64)).all()
