"""Search spaces of the catalog: exact costs by slots, decoding and encoding, sizes, speed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.spaces import Architecture, SearchSpace, reference_network
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, chain
from edgenas.spaces.space.outline import SpaceOutline
from edgenas.spaces.space.spec import parse_spec, space_names

SMALL = {
    "name": "small",
    "input_shape": [8, 8, 3],
    "classes": 4,
    "stem": {"filters": [8, 16], "stride": 2},
    "stages": [
        {
            "filters": [16, 24],
            "depth": [1, 2],
            "layers": [
                {
                    "blocks": [
                        {"block": "ibn", "kernel": [3, 5], "expansion": [2, 4]},
                        {
                            "block": "gc_ibn",
                            "expansion": [2, 4],
                            "groups": [2, {"value": 4, "when": {"filters": 16, "expansion": 4}}],
                            "when": {"input_filters": 16},
                        },
                    ]
                },
                {"blocks": [{"block": "fused_ibn", "expansion": [1, 2], "skip": [True, False]}]},
            ],
        }
    ],
    "head": [{"block": "classifier", "hidden": [0, 16]}],
}


@pytest.fixture(scope="module")
def small() -> SearchSpace:
    return SearchSpace(parse_spec(SMALL))


@pytest.fixture(scope="module", params=space_names())
def space(request) -> SearchSpace:
    return SearchSpace.load(request.param)


def test_catalog_has_the_promised_spaces():
    promised = {"tiny_edge", "small_edge", "mobilenet_v2", "mobilenet_edgetpu_v2", "nas_bench_201"}
    promised |= {"mobilenet_v3", "mobilenet_v4", "efficientnet_v2", "coatnet", "coatnet_tiny"}
    promised |= {"autoseg", "deeplab_v3_plus_lite", "spaghetti", "ssd_mobile"}
    assert promised <= set(space_names())


def test_an_outline_tells_what_the_whole_space_does(space):
    outline = SpaceOutline.load(space.name)
    told = (outline.name, outline.task, outline.description, outline.input_shape, outline.decisions, outline.size)
    assert told == (space.name, space.task, space.description, space.input_shape, space.decisions, space.size)


def test_small_space_is_what_counting_by_hand_gives(small):
    # Layer 1: 4 IBN; GC-IBN only after 16 stem filters: expansion 2 with 2 groups, 4 with 2, and with 4 at width 16.
    first = {(8, 16): 4, (8, 24): 4, (16, 16): 7, (16, 24): 6}
    layers_2 = 4
    expected = sum(first.values()) * (1 + layers_2) * 2
    assert small.size == expected
    assert len(small.enumerate()) == expected


def test_every_network_of_the_small_space_is_different_and_reads_back(small):
    population = small.enumerate()
    networks = [small.decode(row) for row in population]
    assert len({tuple(network.signatures("int8").values()) for network in networks}) == len(population)
    for row, network in zip(population, networks, strict=True):
        assert small.encode(network).choices == tuple(row.tolist())
        assert small.parse(str(small.architecture(row))).choices == tuple(row.tolist())


def test_small_space_cheapest_is_the_minimum(small):
    arrays = small.cost_arrays(lambda entry: entry.graph.macs)
    costs = small.population_cost(small.enumerate(), arrays)
    architecture, cost = small.cheapest(arrays)
    assert cost == costs.min() == small.decode(architecture).macs


@pytest.mark.parametrize("figure", ["macs", "params"])
def test_costs_by_slots_equal_costs_of_networks(space, figure):
    population = space.sample(np.random.default_rng(1), 25)
    arrays = space.cost_arrays(lambda entry: getattr(entry.graph, figure))
    costs = space.population_cost(population, arrays)
    assert [getattr(space.decode(row), figure) for row in population] == costs.tolist()


def test_decoded_networks_read_back(space):
    for row in space.sample(np.random.default_rng(2), 25):
        network = space.decode(row)
        found = space.encode(Network.from_dict(network.to_dict()))
        if space.name in (
            "autoseg",
            "nas_bench_201",
            "spaghetti",
        ):  # not read is not built: several strings build the same
            assert space.decode(found).nodes == network.nodes
        else:
            assert space.encode(network).choices == found.choices == tuple(row.tolist())


def test_signatures_of_networks_are_in_the_space(space):
    known = space.signatures("int8")
    assert list(known) == sorted(known)
    for row in space.sample(np.random.default_rng(3), 10):
        assert set(space.decode(row).signatures("int8").values()) <= set(known)
    for text, entry in list(known.items())[:50]:
        assert entry.signature("int8") == text


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_architectures_of_the_catalog_read_back(seed, tiny):
    row = tiny.sample(np.random.default_rng(seed), 1)[0]
    architecture = tiny.architecture(row)
    assert tiny.parse(str(architecture)) == architecture
    assert tiny.encode(tiny.decode(architecture)) == architecture
    np.testing.assert_array_equal(tiny.to_population([architecture])[0], row)


def test_tiny_edge_is_small_enough_to_profile_and_train(tiny):
    assert tiny.size >= 1_000_000
    assert len(tiny.signatures("int8")) <= 500
    arrays = tiny.cost_arrays(lambda entry: entry.graph.macs)
    macs = tiny.population_cost(tiny.sample(np.random.default_rng(0), 2000), arrays)
    assert np.percentile(macs, 90) < 6.5e6
    assert tiny.cheapest(arrays)[1] < 0.6e6


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (31, 29, 3)])
def test_data_decide_input_shape_and_classes(shape):
    space = SearchSpace.load("tiny_edge", input_shape=shape, classes=43)
    network = space.decode(space.sample(np.random.default_rng(0), 1)[0])
    assert network.inputs == (("image", shape),)
    assert network.graph.output_shapes == ((43,),)


def test_edgetpu_space_is_large(edgetpu):
    assert edgetpu.size >= 10**15
    assert len(edgetpu.signatures("int8")) < 4000


@pytest.mark.parametrize("name", ["tiny", "xs", "s", "m", "l"])
def test_published_edgetpu_networks_are_in_the_space(edgetpu, name):
    network = reference_network(f"mobilenet_edgetpu_v2_{name}")
    again = edgetpu.decode(edgetpu.encode(network))
    assert list(again.signatures("int8").values()) == list(network.signatures("int8").values())


CONTAINED = {
    "mobilenet_v2": [f"mobilenet_v2_{width}" for width in ("0.35", "0.5", "0.75", "1.0", "1.3", "1.4")],
    "mobilenet_v3": ["mobilenet_v3_large", "mobilenet_v3_large_minimalistic"],
    "mobilenet_v4": ["mobilenet_v4_conv_small", "mobilenet_v4_conv_medium"],
    "efficientnet_v2": [f"efficientnet_v2_{size}" for size in ("b0", "b1", "b2", "b3", "s")],
    "coatnet": ["coatnet_0", "coatnet_1"],
}


@pytest.mark.parametrize("name", CONTAINED)
def test_published_networks_are_in_their_space(name):
    space = SearchSpace.load(name)
    for reference in CONTAINED[name]:
        network = reference_network(reference, space.input_shape)
        again = space.decode(space.encode(network))
        assert list(again.signatures("int8").values()) == list(network.signatures("int8").values())


@pytest.mark.parametrize("side", [28, 48, 96])
def test_the_small_coatnet_takes_small_images(side):
    space = SearchSpace.load("coatnet_tiny", input_shape=(side, side, 1), classes=5)
    kinds = {node.block.kind for row in space.sample(np.random.default_rng(0), 5) for node in space.decode(row).nodes}
    assert {"pre_norm_ibn", "relative_attention"} <= kinds


def test_networks_of_other_spaces_are_refused(tiny, edgetpu):
    with pytest.raises(InputError, match=r"takes \{'image'"):
        tiny.encode(reference_network("mobilenet_v2_1.0"))
    with pytest.raises(InputError, match="does not offer 'stem', conv"):
        edgetpu.encode(reference_network("mobilenet_v2_1.0"))
    network = edgetpu.decode(edgetpu.sample(np.random.default_rng(0), 1)[0])
    blocks = {node.name: node.block for node in network.nodes}
    blocks.popitem()
    with pytest.raises(InputError, match="ends before"):
        edgetpu.encode(chain("cut", (224, 224, 3), blocks))


def test_wrong_architectures_are_refused(tiny):
    with pytest.raises(InputError, match="choices, not 2"):
        tiny.decode(Architecture((0, 0)))
    with pytest.raises(InputError, match="has no option 9"):
        tiny.decode([9] + [0] * (len(tiny.decisions) - 1))
    with pytest.raises(InputError, match="space 'tiny_edge'"):
        tiny.parse("12")
    with pytest.raises(InputError, match="input_shape must be"):
        SearchSpace.load("tiny_edge", input_shape=(28, 28, 1, 1))
    with pytest.raises(InputError, match=r"unknown space 'nope': expected one of .*tiny_edge"):
        SearchSpace.load("nope")
