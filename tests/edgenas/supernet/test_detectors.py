"""Searched edges, stages among nodes and the heads of detectors are held by a supernet."""

import numpy as np
import pytest
import yaml

from edgenas.export._tensorflow import tensorflow
from edgenas.export.keras.builder import build_keras
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.spaces.space.spec import parse_spec
from edgenas.supernet.network import Supernet
from edgenas.supernet.places import Places
from edgenas.supernet.shared_layer import Mode
from edgenas.training.runtime import light_graphs

SPACE = """\
name: small_spaghetti
task: detection
input_shape: [20, 20, 3]
classes: 2
stem: {block: conv, filters: [4, 8], stride: 2}
stages:
  - filters: [8, 12]
    depth: [1, 2]
    stride: 2
    layers:
      - blocks: [{block: ibn, expansion: [1, 2], expansion_of: output}, {block: separable, kernel: [3, 5]}]
nodes:
  - {name: half, block: separable, filters: [4, 8], stride: 2, norm: between}
  - {name: a_stem, block: edge, filters: [8, 12], down: 2, inputs: stem, share: a}
  - {name: a_stage, block: edge, filters: [8, 12], inputs: stage1, share: a}
  - {name: a_half, block: edge, filters: [8, 12], up: 2, inputs: half, share: a}
  - {name: a_sum, block: cropped_sum, inputs: [{one_of: [a_half, a_stem, null]}, a_stage]}
  - name: a
    filters: [8, 12]
    depth: [1, 2]
    share: a
    layers: [{blocks: [{block: tucker, skip: false}, {block: separable, skip: false}]}, {blocks: [{block: separable}]}]
  - {name: box1, block: box_head, anchors: 2, inputs: a}
  - {name: box2, block: box_head, anchors: 3, inputs: half}
  - {name: class1, block: class_head, anchors: 2, inputs: a}
  - {name: class2, block: class_head, anchors: 3, inputs: half}
  - {name: boxes, block: concat, axis: 0, inputs: [box1, box2]}
  - {name: classes, block: concat, axis: 0, inputs: [class1, class2]}
outputs: [boxes, classes]
"""


def test_decoded_detectors_compute_the_same() -> None:
    tf = tensorflow()
    space = SearchSpace(parse_spec(yaml.safe_load(SPACE), "small_spaghetti"))
    supernet = Supernet(space, seed=1)
    ((name, spec),) = space.inputs
    rng = np.random.default_rng(5)
    images = rng.normal(size=(4, *spec)).astype(np.float32)
    plan_spec = tf.TensorSpec((len(supernet.places.places), supernet.places.width), tf.int32)

    @tf.function(input_signature=[tf.TensorSpec((None, *spec)), plan_spec], autograph=False)  # type: ignore[misc]
    def infer(images, plan):
        return supernet.outputs({name: images}, plan, supernet.weights.read_value(), Mode())

    with light_graphs():
        for row in space.sample(rng, 8):
            architecture = space.architecture(row)
            found = infer(images, supernet.plan(architecture))
            network, weights = supernet.decode(architecture)
            model = build_keras(network, seed=9)
            for layer in model.layers:
                if layer.weights:
                    layer.set_weights(weights[layer.name])
            expected = model(images, training=False)
            assert len(found) == len(expected) == 2
            for one, other in zip(found, expected, strict=True):
                assert np.abs(other.numpy()).max() > 1e-3
                np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["spaghetti", "ssd_mobile"])
def test_detectors_of_the_catalog_have_a_supernet(name: str) -> None:
    space = SearchSpace.load(name, input_shape=(96, 96, 3), classes=3)
    places = Places(space)
    row = space.sample(np.random.default_rng(0), 1)[0]
    assert places.plan(space.architecture(row)).shape == (len(places.places), places.width)
