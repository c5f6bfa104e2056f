"""Detectors: their levels, the published ones, and the space that has searched edges."""

import dataclasses

import numpy as np
import pytest

from edgenas.spaces import SearchSpace, reference_network
from edgenas.spaces.blocks import BoxHead, ClassHead, Concat, ConvBnAct
from edgenas.spaces.detection import anchor_levels
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, Node
from edgenas.spaces.tensor import TensorSpec

#: Blocks of each layer of SpaghettiNet-EdgeTPU-S, -M and -L: F fused grouped, I inverted bottleneck, S separable, with
#: kernel and expansion, by stage or node of the space: width, layers.
PUBLISHED = {
    "spaghetti_s": {
        "stage1": (48, "F38"),
        "stage2": (64, "F34 F34 F34"),
        "stage3": (72, "I38 F38 I38 I34"),
        "stage4": (88, "I38 I38 I34 I34"),
        "stage5": (88, "I38 S5 S5 S5"),
        "stage6": (88, "S5 S3"),
        "c0": (144, "I34 I34 I34 I34"),
        "c1": (120, "I38 I34 I34 I34"),
        "c2": (168, "I34"),
        "c3": (136, "I34 S3"),
        "c4": (136, "I34"),
        "c5": (64, "S3 S3"),
    },
    "spaghetti_m": {
        "stage1": (48, "F38"),
        "stage2": (64, "F38 F34 F34 F34"),
        "stage3": (72, "I38 F38 I38 I38"),
        "stage4": (96, "I38 I38 I38 I34"),
        "stage5": (104, "I38 I34 S5 I34"),
        "stage6": (56, "S5 S3"),
        "c0": (152, "I38 I34 I34 I34"),
        "c1": (120, "I38 I34 I34 I34"),
        "c2": (168, "I34 S3"),
        "c3": (136, "S3 S3 S3"),
        "c4": (136, "I34 S5"),
        "c5": (64, "S3 S3"),
    },
    "spaghetti_l": {
        "stage1": (48, "F38"),
        "stage2": (64, "F38 F38 F38 F34"),
        "stage3": (80, "I38 I38 I38 I34"),
        "stage4": (104, "I38 I38 I38 I38"),
        "stage5": (88, "I38 I54 I34 I38"),
        "stage6": (56, "I54 S5"),
        "c0": (160, "I38 I34 I34 I34"),
        "c1": (120, "I38 I34 I34 I38"),
        "c2": (168, "I34 I34 I34 I34"),
        "c3": (112, "I38 I34 S3"),
        "c4": (128, "I34 I34"),
        "c5": (64, "S5 S5"),
    },
}
EDGES = {
    "c0_sum.input2": "c0_stage5",
    "c0_sum.input3": "none",
    "c1_sum.input2": "c1_c0",
    "c1_sum.input3": "none",
    "c2_sum.input1": "c2_c0",
    "c2_sum.input2": "c2_c1",
    "c3_sum.input1": "c3_stage6",
    "c3_sum.input2": "c3_c0",
    "c4_sum.input1": "c4_stage6",
    "c4_sum.input2": "c4_c0",
}
BLOCKS = {"F": "gc_ibn", "I": "ibn", "S": "separable"}


def published(space, name):
    """The row of a published network in the space."""
    wanted = {"stem.filters": "24", "stem.kernel": "5", "stage1_layer1.groups(gc_ibn)": "3", **EDGES}
    for place, (filters, layers) in PUBLISHED[name].items():
        wanted |= {f"{place}.filters": str(filters), f"{place}.depth": str(len(layers.split()))}
        for number, (kind, kernel, *expansion) in enumerate(layers.split(), start=1):
            layer = f"{place}_layer{number}"
            kinds = ("", f"({BLOCKS[kind]})")
            wanted |= {f"{layer}.block": BLOCKS[kind]} | {f"{layer}.kernel{which}": kernel for which in kinds}
            wanted |= {f"{layer}.expansion{which}": "".join(expansion) for which in kinds}
    row = [d.options.index(wanted[d.name]) if wanted.get(d.name) in d.options else 0 for d in space.decisions]
    return np.array(row, np.int16)


@pytest.fixture(scope="module")
def spaghetti():
    return SearchSpace.load("spaghetti")


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_spaghetti_networks_are_in_the_space(spaghetti, name):
    network, found = reference_network(name), spaghetti.decode(published(spaghetti, name))
    assert (found.macs, found.params) == (network.macs, network.params)
    apart = ("box_head", "class_head", "concat")  # a head of all levels there, one for each here

    def others(one):
        keys = {node.name: one.entries[node.name].signature("int8") for node in one.nodes}
        return sorted(keys[node.name] for node in one.nodes if node.block.kind not in apart)

    assert others(found) == others(network)
    assert anchor_levels(found) == anchor_levels(network)


@pytest.mark.parametrize(
    ("name", "params", "macs", "extractor_params", "extractor_macs"),
    [
        # Recounted from the public code's node lists: with predictors, and the extractor alone.
        ("spaghetti_s", 3.479e6, 1.039e9, 3.141e6, 1.012e9),
        ("spaghetti_m", 4.170e6, 1.244e9, 3.832e6, 1.217e9),
        ("spaghetti_l", 5.758e6, 1.564e9, 5.440e6, 1.537e9),
    ],
)
def test_spaghetti_is_what_its_code_builds(name, params, macs, extractor_params, extractor_macs):
    network = reference_network(name)
    heads = [network.blocks_lowered[head] for head in ("boxes", "classes")]
    # The code has a 91st class, for the background.
    assert network.params == pytest.approx(params, rel=0.002)
    assert network.macs == pytest.approx(macs, rel=0.002)
    assert network.params - sum(head.params for head in heads) == pytest.approx(extractor_params, rel=0.0002)
    assert network.macs - sum(head.macs for head in heads) == pytest.approx(extractor_macs, rel=0.0005)


@pytest.mark.parametrize("space", ["spaghetti", "ssd_mobile"])
@pytest.mark.parametrize("side", [96, 160, 200])
def test_levels_of_searched_detectors(space, side):
    space = SearchSpace.load(space, input_shape=(side, side, 3), classes=4)
    for row in space.sample(np.random.default_rng(0), 5):
        network = space.decode(row)
        levels = anchor_levels(network)
        sides = [-(-side // stride) for stride in (16, 32, 64, 128, 128 if space.name == "spaghetti" else 256)]
        assert levels == tuple((side, side, 3 if number == 0 else 6) for number, side in enumerate(sides))
        anchors = sum(height * width * count for height, width, count in levels)
        assert network.outputs == ("boxes", "classes")
        assert network.graph.output_shapes == ((anchors, 4), (anchors, 4))


def test_levels_follow_the_order_of_the_join():
    image = TensorSpec((16, 16, 8))
    nodes = (
        Node("half", ConvBnAct(8, stride=2), ("image",)),
        Node("box_half", BoxHead(2), ("half",)),
        Node("box_whole", BoxHead(3), ("image",)),
        Node("boxes", Concat(0), ("box_whole", "box_half")),
        Node("classes", ClassHead(2, 3, classes=5), ("image", "half")),
    )
    network = Network("two", (("image", image),), nodes, ("boxes", "classes"))
    assert anchor_levels(network) == ((16, 16, 3), (8, 8, 2))
    turned = (*nodes[:3], Node("boxes", Concat(0), ("box_half", "box_whole")), nodes[4])
    with pytest.raises(InputError, match="disagree about the levels: 8x8x2, 16x16x3 for boxes and 16x16x3, 8x8x2"):
        anchor_levels(dataclasses.replace(network, nodes=turned))
    with pytest.raises(InputError, match="nothing joins its 2 blocks 'box_head'"):
        anchor_levels(dataclasses.replace(network, nodes=(*nodes[:3], nodes[4]), outputs=("classes",)))
    with pytest.raises(InputError, match="is no detector: it has no block 'box_head'"):
        anchor_levels(reference_network("mobilenet_v2_0.35"))
