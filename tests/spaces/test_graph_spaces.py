"""Spaces that are graphs: populations cost what the decoded networks do, and networks read back."""

import numpy as np
import pytest
import yaml

from edgenas.spaces import SearchSpace
from edgenas.spaces.cost import peak_activation_bytes
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.spaces.space.spec import parse_spec
from edgenas.spaces.space.wiring import columns_of


def make(text):
    return SearchSpace(parse_spec(yaml.safe_load(text), "mine.yaml"))


def test_populations_cost_what_decoded_networks_do(graph_space):
    space = graph_space
    population = space.sample(np.random.default_rng(0), 1000)
    figures = {figure: space.cost_arrays(lambda e, f=figure: getattr(e.graph, f)) for figure in ("macs", "params")}
    macs, params = space.population_costs(population, *figures.values())
    peaks = space.population_peak(population, "int8")
    prices = {name: float(price) for price, name in enumerate(space.signatures("int8"), start=1)}
    totals = space.population_cost(population, space.signature_arrays("int8", prices.__getitem__))
    for row, total, *costs in zip(population, totals, macs, params, peaks, strict=True):
        network = space.decode(row)
        assert [network.macs, network.params, peak_activation_bytes(network, "int8")] == costs
        assert sum(prices[name] for name in network.signatures("int8").values()) == total


def test_architectures_and_networks_read_back(graph_space):
    space = graph_space
    for row in space.sample(np.random.default_rng(1), 60):
        architecture = space.architecture(row)
        assert space.parse(str(architecture)) == architecture
        network = Network.from_dict(space.decode(row).to_dict())
        assert space.decode(space.encode(network)).nodes == network.nodes


def test_every_node_is_read_on_the_way_to_an_output(graph_space):
    for row in graph_space.sample(np.random.default_rng(2), 100):
        network = graph_space.decode(row)
        read = {name for node in network.nodes for name in node.inputs} | set(network.outputs)
        assert {node.name for node in network.nodes} <= read
        assert network.outputs
        assert network.inputs == graph_space.inputs


def test_the_cheapest_architecture_is_no_dearer_than_any_sampled(graph_space):
    arrays = graph_space.cost_arrays(lambda entry: entry.graph.macs)
    architecture, cost = graph_space.cheapest(arrays)
    assert cost >= graph_space.decode(architecture).macs
    costs = graph_space.population_cost(graph_space.sample(np.random.default_rng(3), 500), arrays)
    assert graph_space.decode(architecture).macs <= costs.min()


def test_a_block_without_stride_and_filters_is_followed_by_its_true_shape():
    text = """
name: mine
input_shape: [9, 9, 3]
classes: 4
stem: {filters: 8}
stages: [{filters: 16, depth: 1, layers: [{blocks: [{block: ibn}]}]}]
head: [{block: test_shrink}, {block: conv, filters: [16, 32], kernel: 1}, {block: classifier}]
"""
    space = make(text)
    network = space.decode([1])
    assert network.shapes["head_test_shrink"] == (5, 5, 32)
    assert space.slot_table("head_conv").entries[0].input_shapes == ((5, 5, 32),)
    macs = space.population_cost(np.array([[1]], np.int16), space.cost_arrays(lambda entry: entry.graph.macs))
    assert macs.tolist() == [network.macs]
    assert set(network.signatures("int8").values()) <= set(space.signatures("int8"))


def test_tables_hold_reached_pairs_only():
    many = "\n".join(
        f"  - {{name: p{n}, block: conv, filters: [8, 16, 24, 32, 40, 48], inputs: image}}" for n in range(10)
    )
    names = ", ".join(f"p{n}" for n in range(10))
    text = f"name: mine\ninput_shape: [4, 4, 3]\nnodes:\n{many}\n"
    text += f"  - {{name: end, block: conv, filters: 8, kernel: [1, 3], inputs: [{{one_of: [{names}]}}]}}\n"
    space = make(text)  # a dense product would be of 6 ** 10 * 20 combinations
    assert len({e for slot in space.slots if slot.name.startswith("end") for e in space.slot_table(slot).entries}) == 12
    population = space.sample(np.random.default_rng(0), 300)
    costs = space.population_cost(population, space.cost_arrays(lambda entry: entry.graph.macs))
    assert costs.tolist() == [space.decode(row).macs for row in population]


def test_more_than_36_options_a_decision():
    space = make(
        f"name: mine\ninput_shape: [4, 4, 3]\nnodes: [{{name: a, block: conv, filters: {list(range(1, 101))}}}]"
    )
    assert space.size == 100
    texts = [str(space.architecture([option])) for option in range(100)]
    assert texts[35:37] == ["z", ".36."]
    assert [space.parse(text).choices[0] for text in texts] == list(range(100))
    for bad in (".35.", ".100.", ".3", "..", ".036."):
        with pytest.raises(InputError):
            space.parse(bad)


def test_cells_share_decisions_by_name():
    text = """
name: mine
input_shape: [8, 8, 3]
cells:
  pair: {nodes: [{name: a, block: relu_conv, kernel: [1, 3, 5]}, {name: b, block: sum, inputs: [x, a]}]}
nodes:
  - {name: stem, block: conv, filters: 8}
  - {name: body, cell: pair, repeat: 4SHARE}
"""
    assert make(text.replace("SHARE", "")).size == 3**4
    shared = make(text.replace("SHARE", ", share: body"))
    assert shared.size == 3
    assert [decision.name for decision in shared.decisions] == ["body_a.kernel"]
    assert len({node.block for node in shared.decode([2]).nodes if node.name.endswith("_a")}) == 1


def test_zeros_stand_where_nothing_is_left():
    text = """
name: mine
input_shape: [8, 8, 3]
nodes:
  - {name: stem, block: conv, filters: 8}
  - {name: a, blocks: [{block: none}, {block: relu_conv}]}
  - {name: b, block: sum, inputs: [a]ZEROS}
"""
    with pytest.raises(InputError, match="output 'b' has nothing to read"):
        make(text.replace("ZEROS", ""))
    space = make(text.replace("ZEROS", ", zeros_like: stem"))
    assert [node.block.kind for node in space.decode([0]).nodes] == ["conv", "zeros"]
    assert [node.block.kind for node in space.decode([1]).nodes] == ["conv", "relu_conv"]


GOOD = """
name: mine
input_shape: [8, 8, 3]
classes: 4
cells:
  pair: {inputs: [x], nodes: [{name: a, block: relu_conv, kernel: [1, 3]}, {name: b, block: sum, inputs: [x, a]}]}
nodes:
  - {name: stem, block: conv, filters: 8}
  - {name: body, cell: pair, inputs: stem, repeat: 2, share: body}
  - {name: more, block: relu_conv, optional: true, inputs: [{one_of: [stem, body]}]}
  - {name: end, block: classifier}
outputs: [end]
"""


def test_the_general_form_loads():
    space = make(GOOD)
    assert [position.name for position in space.positions] == [
        "stem", "body1_a", "body1_b", "body2_a", "body2_b", "more", "end"
    ]  # fmt: skip
    assert [(d.name, d.options) for d in space.decisions] == [
        ("body_a.kernel", ("1", "3")),
        ("more.used", ("no", "yes")),
        ("more.input", ("stem", "body")),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("inputs: stem", "inputs: stam", r"reads 'stam', which does not come before it: expected one of image, stem"),
        ("one_of: [stem, body]", "one_of: [stem]", "expected two or more different names"),
        ("one_of: [stem, body]", "any_of: [stem]", "unknown key 'any_of', expected one of one_of"),
        ("one_of: [stem, body]", "one_of: [null, body]", "an optional node passes its first input on"),
        ("cell: pair, inputs", "cell: pear, inputs", r"cell: found 'pear', expected one of the cells pair"),
        ("inputs: stem, repeat", "inputs: [stem, stem], repeat", r"cell 'pair' reads 1 inputs \(x\), found 2"),
        ("name: more", "name: stem", "two positions are named 'stem'"),
        ("name: more", "name: 1more", "expected a name of letters"),
        ("{name: more, ", "{", "the key 'name' is missing"),
        ("optional: true", "optional: 1", "expected true or false"),
        ("outputs: [end]", "outputs: [and]", r"outputs\[0\]: found 'and', expected one of the nodes"),
        ("outputs: [end]", "outputs: [end, end]", "are not different"),
        ("classes: 4", "", "does not say how many classes there are"),
        (
            "block: classifier",
            "block: sum, inputs: [image, stem]",
            "cannot be built for every choice at end: Add",
        ),
        ("block: sum, inputs: [x, a]", "cell: pair, inputs: [x]", "contains itself"),
        ("block: relu_conv, optional", "block: relu_conv, filters: $wide, optional", "filters"),
        ("kernel: [1, 3]", "kernel: $size", "is not given: add 'size' to 'with'"),
        ("repeat: 2", "repeat: 0", "expected a whole number of at least 1"),
    ],
)
def test_what_is_wrong_is_named(old, new, message):
    assert old in GOOD
    with pytest.raises(InputError, match=message) as caught:
        make(GOOD.replace(old, new))
    assert str(caught.value).startswith("mine.yaml: ")


def test_nodes_of_one_decision_must_offer_the_same():
    text = GOOD + ""
    text = text.replace(
        "- {name: end,", "- {name: odd, block: relu_conv, kernel: [1, 5], share: body_a}\n  - {name: end,"
    )
    with pytest.raises(InputError, match=r"share the decision 'body_a.kernel' offer different options: found 1, 5"):
        make(text)


STAGE = """
name: staged
inputs: {image: [8, 8, 3]}
classes: 4
nodes:
  - {name: stem, block: conv, filters: 8}
  - {name: wide, block: conv, filters: [8, 16], share: body, inputs: stem}
  - name: body
    inputs: wide
    filters: [8, 16]
    depth: [1, 2]
    share: body
    stride: 2
    layers: [{blocks: [{block: ibn, kernel: [3, 5]}]}, {blocks: [{block: separable}]}]
  - {name: end, block: classifier, inputs: body}
"""


def test_a_stage_may_stand_among_nodes():
    space = make(STAGE)
    assert [(d.name, d.options) for d in space.decisions] == [
        ("body.filters", ("8", "16")),
        ("body.depth", ("1", "2")),
        ("body_layer1.kernel", ("3", "5")),
    ]
    network = space.decode(space.parse("111"))
    assert [(n.name, n.inputs, network.shapes[n.name]) for n in network.nodes[1:4]] == [
        ("wide", ("stem",), (8, 8, 16)),
        ("body_layer1", ("wide",), (4, 4, 16)),
        ("body_layer2", ("body_layer1",), (4, 4, 16)),
    ]
    assert space.decode(space.parse("101")).nodes[-1].inputs == ("body_layer1",)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: body", "name: stem", "two positions are named 'stem'"),
        ("share: body\n    stride: 2", "share: body\n    optional: true", "unknown key 'optional'"),
        (
            "    filters: [8, 16]\n",
            "    filters: [8, 24]\n",
            "share the decision 'body.filters' offer different options",
        ),
        ("block: separable", "block: sum", "block 'sum' has no filters, which a stage decides"),
        ("    depth: [1, 2]\n", "", "missing"),
    ],
)
def test_what_is_wrong_with_a_stage_among_nodes_is_named(old, new, message):
    assert old in STAGE
    with pytest.raises(InputError, match=message):
        make(STAGE.replace(old, new))


def test_nas_bench_201_is_what_was_published():
    space = SearchSpace.load("nas_bench_201")
    assert space.size == 15625
    assert len(space.decisions) == 6
    network = space.decode(space.parse("333333"))
    assert (network.macs, network.params) == (220_119_680, 1_531_546)
    population = space.enumerate()
    assert len({str(space.architecture(row)) for row in population}) == 15625
    arrays = space.cost_arrays(lambda entry: entry.graph.macs)
    costs = space.population_cost(population, arrays)
    for place in range(0, 15625, 521):
        assert space.decode(population[place]).macs == costs[place]


def test_one_architecture_is_worked_out_as_many_are(graph_space: SearchSpace) -> None:
    population = graph_space.sample(np.random.default_rng(11), 200)
    wiring = graph_space._wiring
    many = wiring.values(columns_of(population), len(population))
    for row, choices in enumerate(population.tolist()):
        one = wiring.of_one(choices)
        assert list(one.kinds) == many.kinds[:, row].tolist()
        assert list(one.needed) == many.needed[:, row].tolist()
        assert list(one.outputs) == [int(number[row]) for number in many.outputs]
        assert list(one.inputs) == [tuple(int(number[row]) for number in read) for read in many.inputs]
