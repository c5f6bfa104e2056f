"""A network cut out of a supernet computes what the supernet computes on its path."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import yaml

from edgenas.export._tensorflow import tensorflow
from edgenas.export.keras.builder import build_keras
from edgenas.spaces.block import Block, register_block
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import Op
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.spaces.space.spec import parse_spec
from edgenas.spaces.tensor import Shape
from edgenas.supernet import layers
from edgenas.supernet.network import Supernet
from edgenas.supernet.places import Places
from edgenas.supernet.shared_layer import Mode
from edgenas.training.runtime import light_graphs

TOLERANCE = 1e-5


def traced(supernet: Supernet) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """(pass that keeps the batch's statistics, inference)."""
    tf = tensorflow()
    ((name, spec),) = supernet.space.inputs
    plan = tf.TensorSpec((len(supernet.places.places), supernet.places.width), tf.int32)
    signature = [tf.TensorSpec((None, *spec), spec.dtype), plan]

    def keep(images: Any, plan: Any) -> None:
        supernet.outputs({name: images}, plan, supernet.weights.read_value(), Mode(momentum=tf.constant(0.0)))

    def infer(images: Any, plan: Any) -> Any:
        return supernet.outputs({name: images}, plan, supernet.weights.read_value(), Mode())[0]

    return (
        tf.function(keep, input_signature=signature, autograph=False),
        tf.function(infer, input_signature=signature, autograph=False),
    )


def check_decoded(space: SearchSpace, count: int, relative: float = 0.0) -> None:
    """Random architectures, and both ends of the space; differences to 1e-5, or a share of the largest output."""
    supernet = Supernet(space, seed=1)
    keep, infer = traced(supernet)
    rng = np.random.default_rng(5)
    ((_, spec),) = space.inputs
    images = rng.normal(size=(4, *spec)).astype(np.float32)
    if spec.dtype == "int32":
        images = rng.integers(0, 4, (4, *spec)).astype(np.int32)
    costs = space.cost_arrays(lambda entry: float(entry.graph.macs))
    ends = [space.cheapest(costs)[0], space.cheapest({name: -values for name, values in costs.items()})[0]]
    telling: list[bool] = []
    with light_graphs():
        for architecture in [*ends, *(space.architecture(row) for row in space.sample(rng, count))]:
            plan = supernet.plan(architecture)
            keep(images, plan)
            found = infer(images, plan).numpy()
            network, weights = supernet.decode(architecture)
            assert network == space.decode(architecture)
            model = build_keras(network, seed=9)
            layers_with_weights = {layer.name: layer for layer in model.layers if layer.weights}
            assert set(layers_with_weights) == set(weights)
            for name, arrays in weights.items():
                layers_with_weights[name].set_weights(arrays)
            expected = model(images, training=False).numpy()
            telling.append(bool(np.abs(expected).max() > 1e-3))  # not where nothing leads to the output
            allowed = max(TOLERANCE, relative * np.abs(expected).max())
            assert np.abs(found - expected).max() <= allowed, str(architecture)
    assert sum(telling) > len(telling) / 2, "the outputs tell nothing"


def test_decoded_networks_compute_the_same(space: SearchSpace) -> None:
    check_decoded(space, 16)


SEGMENTATION = """\
name: small_segmentation
task: segmentation
input_shape: [12, 16, 3]
classes: 3
nodes:
  - {name: fine, block: conv, filters: [4, 8], stride: 2, inputs: image}
  - {name: deep, block: fused_ibn, filters: [8, 12], kernel: 1, expansion: [1, 2], stride: 2, skip: false}
  - {name: left, block: conv, kernel: 1, activation: linear, filters: [8, 16], inputs: fine, share: width}
  - {name: right, block: conv, kernel: 1, activation: linear, filters: [8, 16], inputs: deep, share: width}
  - {name: down, block: bifpn_node, weighted: [false, true], inputs: [left, right], optional: true}
  - {name: up, block: bifpn_node, weighted: [false, true], inputs: [right, down, {one_of: [left, null]}]}
  - {name: context, block: aspp, filters: [8, 16]}
  - {name: joined, block: skip_decoder, filters: 8, inputs: [down, context]}
head: [{block: pixel_classifier, kernel: [1, 3]}]
"""


def test_decoded_segmentation_networks_compute_the_same() -> None:
    check_decoded(SearchSpace(parse_spec(yaml.safe_load(SEGMENTATION), "small_segmentation")), 6)


def test_decoded_networks_with_attention_compute_the_same(attention_space: SearchSpace) -> None:
    check_decoded(attention_space, 6)


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v3",
        "mobilenet_v4",
        "efficientnet_v2",
        "coatnet",
        "coatnet_tiny",
        "keyword_spotting",
        "keyword_spotting_recurrent",
    ],
)
def test_spaces_of_the_catalog_have_a_supernet(name: str) -> None:
    space = SearchSpace.load(name)
    places = Places(space)
    row = space.sample(np.random.default_rng(0), 1)[0]
    assert places.plan(space.architecture(row)).shape == (len(places.places), places.width)


def test_without_kernels_for_trained_group_convolutions(space: SearchSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "has_native_gradient", lambda: False)
    check_decoded(space, 8)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["keyword_spotting", "keyword_spotting_recurrent"])
def test_decoded_networks_of_sounds_compute_the_same(name: str) -> None:
    check_decoded(SearchSpace.load(name, input_shape=(13, 6, 1), classes=3), 6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["tiny_edge", "mobilenet_v2", "mobilenet_edgetpu_v2", "nas_bench_201", "mobilenet_v4", "coatnet_tiny"]
)
def test_decoded_networks_of_the_catalog(name: str) -> None:
    # Many layers sum in another order, and the outputs are large.
    check_decoded(SearchSpace.load(name, input_shape=(32, 32, 3), classes=10), 6, relative=1e-4)


def test_one_graph_for_all_architectures(space: SearchSpace) -> None:
    keep, infer = traced(supernet := Supernet(space))
    images = np.zeros((2, 12, 12, 1), np.float32)
    with light_graphs():
        for row in space.sample(np.random.default_rng(0), 8):
            plan = supernet.plan(space.architecture(row))
            keep(images, plan)
            infer(images, plan)
    for function in (keep, infer):
        assert function.experimental_get_tracing_count() == 1


def test_small_kernels_lie_in_the_middle_of_large_ones(space: SearchSpace) -> None:
    supernet = Supernet(space)
    stems = {}
    for row in space.sample(np.random.default_rng(0), 30):
        _, weights = supernet.decode(space.architecture(row))
        kernel = weights["stem.main_conv"][0]
        stems[kernel.shape] = kernel
    assert set(stems) == {(3, 3, 1, 4), (3, 3, 1, 8), (5, 5, 1, 4), (5, 5, 1, 8)}
    np.testing.assert_array_equal(stems[3, 3, 1, 4], stems[5, 5, 1, 8][1:4, 1:4, :, :4])


def test_group_convolutions_are_the_diagonal_of_the_dense_kernel(space: SearchSpace) -> None:
    supernet = Supernet(space)
    dense, grouped = {}, []
    for row in space.sample(np.random.default_rng(1), 200):
        network, weights = supernet.decode(space.architecture(row))
        node = next(node for node in network.nodes if node.name == "stage1_layer1")
        kernel = weights.get("stage1_layer1.expand_conv", [None])[0]
        if node.block.kind == "fused_ibn":
            dense[kernel.shape[2:]] = kernel
        elif node.block.kind == "gc_ibn":
            grouped.append((node.block.groups, kernel))  # type: ignore[attr-defined]
    checked = 0
    for groups, kernel in grouped:
        inner, filters = kernel.shape[2:]
        whole = dense.get((inner * groups, filters))
        if whole is None:
            continue
        outer = filters // groups
        for group in range(groups):
            part = whole[:, :, group * inner : (group + 1) * inner, group * outer : (group + 1) * outer]
            np.testing.assert_array_equal(kernel[..., group * outer : (group + 1) * outer], part)
        checked += 1
    assert checked


def test_an_op_without_a_supernet_layer_is_named() -> None:
    @dataclass(frozen=True)
    class Strange(Op):
        def output_shape(self, *inputs: Shape) -> Shape:
            return inputs[0]

        def weights(self, *inputs: Shape) -> int:
            return 7

    @register_block("strange_of_a_supernet_test")
    @dataclass(frozen=True)
    class StrangeBlock(Block):
        filters: int = 8
        input_count: ClassVar[int | None] = 1

        def lower(self, *input_shapes: Shape) -> OpGraph:
            builder = GraphBuilder(*input_shapes)
            return builder.build(builder.add("odd", Strange(), builder.inputs[0]))

    text = """\
name: odd
task: classification
input_shape: [8, 8, 1]
classes: 3
stem: {block: conv, filters: [4, 8]}
nodes:
  - {name: middle, block: strange_of_a_supernet_test}
head:
  - {block: classifier}
"""
    with pytest.raises(
        InputError, match=r"'odd'.*'strange_of_a_supernet_test' at 'middle' holds Strange.*auto"
    ) as error:
        Supernet(SearchSpace(parse_spec(yaml.safe_load(text), "odd")))
    assert "\n" not in str(error.value)
