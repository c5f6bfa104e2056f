"""Reference networks against what was published about them."""

import dataclasses

import pytest

from edgenas.spaces import references
from edgenas.spaces.blocks import InvertedBottleneck
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, Node
from edgenas.spaces.references import (
    PublishedFigures,
    is_reference,
    macs_as_counted,
    params_as_counted,
    published_figures,
    reference_names,
    reference_network,
)

EXPECTED = {
    *(f"mobilenet_edgetpu_v2_{size}" for size in ("tiny", "xs", "s", "m", "l")),
    *(f"mobilenet_edgetpu_{width}" for width in ("0.75", "1.0")),
    *(f"mobilenet_v2_{width}" for width in ("0.35", "0.5", "0.75", "1.0", "1.3", "1.4")),
    *(f"mobilenet_v3_{size}{kind}" for size in ("large", "small") for kind in ("", "_minimalistic")),
    "efficientnet_lite0",
    *(f"autoseg_{size}" for size in ("xs", "s", "m")),
    *(f"deeplab_v3_plus_mobilenet_v2_{width}" for width in ("0.25", "0.35", "0.5", "0.75", "1.0")),
    *(f"efficientnet_v2_{size}" for size in ("b0", "b1", "b2", "b3", "s", "m")),
    *(f"mobilenet_v4_conv_{size}" for size in ("small", "medium")),
    *(f"coatnet_{number}" for number in (0, 1)),
    *(f"ds_cnn_{size}" for size in ("s", "m", "l")),
    *(f"spaghetti_{size}" for size in ("s", "m", "l")),
    "mobiledet_edgetpu",
    "ssdlite_mobilenet_v2",
}


def test_names():
    assert set(reference_names()) == EXPECTED
    assert all(is_reference(name) for name in reference_names())
    assert not is_reference("mobilenet_v2")


def test_a_network_is_found_without_reading_the_families_of_others(monkeypatch):
    read = []
    monkeypatch.setattr(references, "_document", lambda family: read.append(family) or {"networks": {}})
    assert not is_reference("ds_cnn_s")
    assert read == ["ds_cnn"]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_figures_equal_the_published_ones(name):
    network, published = reference_network(name), published_figures(name)
    assert published.source
    if published.exact_params is not None:
        assert network.params == published.exact_params
    params = params_as_counted(network, published.counted)
    macs = macs_as_counted(network, published.macs_counted)
    agrees = {what: published.agreement(what, count) for what, count in (("params", params), ("macs", macs))}
    assert "differs" not in agrees.values()
    assert sorted(published.disputed) == [what for what, found in sorted(agrees.items()) if found == "disputed"]
    if published.disputed:
        assert published.note


def test_how_a_count_agrees():
    published = PublishedFigures(5_400_000, None, "a paper", params_digit=100_000)
    assert published.agreement("params", 5_453_000) == "within 1 %"
    assert published.agreement("params", 5_499_000) == "as printed"  # cut off
    assert published.agreement("params", 5_500_000) == "differs"
    assert published.agreement("macs", 1) == "unpublished"
    assert dataclasses.replace(published, disputed=("params",)).agreement("params", 6_000_000) == "disputed"


@pytest.mark.parametrize(
    ("name", "backbone_macs", "macs"),
    [
        # Counted by hand from the public code: backbone, and whole network at 512 px with 32 classes.
        ("autoseg_xs", 1_534_000_000, 1_914_000_000),
        ("autoseg_s", 1_937_000_000, 2_312_000_000),
        ("autoseg_m", None, 4_524_000_000),
    ],
)
def test_autoseg_is_what_its_code_builds(name, backbone_macs, macs):
    network = reference_network(name)
    assert network.macs == pytest.approx(macs, rel=0.006)
    assert network.graph.output_shapes == ((64, 64, 32),)
    backbone = [node.name for node in network.nodes if node.name.startswith("layer") or node.name in ("c3", "c4", "c5")]
    if backbone_macs:
        found = sum(network.blocks_lowered[name].macs for name in backbone)
        assert found == pytest.approx(backbone_macs, rel=0.0005)
    assert sum(node.block.kind == "bifpn_node" for node in network.nodes) == 4 * 10 + 1


@pytest.mark.parametrize(
    ("name", "params"),
    [
        # Trainable parameters with 1000 classes, as other public implementations of the same networks have them.
        ("mobilenet_v2_1.0", 3_504_872),
        ("mobilenet_v3_large", 5_483_032),
        ("mobilenet_v3_small", 2_542_856),
        ("efficientnet_lite0", 4_652_008),
        ("efficientnet_v2_s", 21_458_488),
    ],
)
def test_exact_parameters_with_1000_classes(name, params):
    assert reference_network(name, classes=1000).params == params


def test_edgetpu_v2_s_agrees_exactly_with_the_default_configuration_of_its_code():
    """The public code asserts 6,069,657 trainable parameters for S with 5x5 kernels in the last two groups."""
    network = reference_network("mobilenet_edgetpu_v2_s")

    def widened(node: Node) -> Node:
        height = network.input_shapes(node)[0][0]
        block = node.block
        late = isinstance(block, InvertedBottleneck) and (height == 7 or (height == 14 and block.stride == 2))
        return dataclasses.replace(node, block=dataclasses.replace(block, kernel=5)) if late else node

    changed = Network(network.name, network.inputs, tuple(map(widened, network.nodes)), network.outputs)
    assert sum(one != other for one, other in zip(changed.nodes, network.nodes, strict=True)) == 5
    assert changed.params == 6_069_657


def test_no_skip_where_the_design_has_none():
    network = reference_network("mobilenet_edgetpu_1.0")
    skips = [node.block.has_skip(network.input_shapes(node)[0]) for node in network.nodes[2:-2]]
    assert skips.count(False) == 6  # five changes of width or stride, and one by design


@pytest.mark.parametrize("name", ["mobilenet_v2_0.35", "mobilenet_v3_small", "mobilenet_edgetpu_v2_tiny"])
def test_other_inputs_and_classes(name):
    network = reference_network(name, input_shape=(96, 64, 1), classes=7)
    assert network.inputs == (("image", (96, 64, 1)),)
    assert network.graph.output_shapes == ((7,),)


def test_unknown_names_are_refused():
    for ask in (reference_network, published_figures):
        with pytest.raises(
            InputError, match=r"unknown reference network 'resnet': expected one of .*mobilenet_v2_1\.0"
        ):
            ask("resnet")
    with pytest.raises(InputError, match="height, width, channels"):
        reference_network("mobilenet_v2_1.0", input_shape=(224, 224, 3, 1))
    with pytest.raises(InputError, match="unknown way to count"):
        macs_as_counted(reference_network("mobilenet_v2_0.35"), "magic")
    with pytest.raises(InputError, match="unknown way to count"):
        params_as_counted(reference_network("mobilenet_v2_0.35"), "magic")
