"""Another input size and number of classes: for spaces, reference networks and architecture files."""

import numpy as np
import pytest
import yaml

from edgenas.spaces import SearchSpace
from edgenas.spaces.errors import InputError
from edgenas.spaces.input_size import complete_shape
from edgenas.spaces.references import reference_network
from edgenas.spaces.resolve import resolve_architecture


@pytest.mark.parametrize(
    ("given", "own", "whole"),
    [
        ((96,), (28, 28, 1), (96, 96, 1)),
        ((96, 64), (28, 28, 1), (96, 64, 1)),
        ((96, 64, 3), (28, 28, 1), (96, 64, 3)),
        ((54,), (13,), (54,)),
        ((49, 10), (98, 40), (49, 10)),
    ],
)
def test_an_image_keeps_its_channels(given, own, whole):
    assert complete_shape(given, own, "it") == whole


@pytest.mark.parametrize("given", [(), (96, 96, 3, 1), (0,), (-4, 4), (10**7,), (2.5,)])
def test_what_is_no_size_is_refused(given):
    with pytest.raises(InputError, match=r"it: input_shape must be .*28x28x1; found"):
        complete_shape(given, (28, 28, 1), "it")
    with pytest.raises(InputError, match=r"must be 2 sides of whole numbers"):
        complete_shape((96,), (49, 10), "it")


def test_a_space_of_another_size_has_the_same_decisions(tiny):
    other = SearchSpace.load("tiny_edge", input_shape=(64,), classes=4)
    assert other.decisions == tiny.decisions
    assert other.input_shape == (64, 64, 1)
    network = other.decode(other.sample(np.random.default_rng(0), 1)[0])
    assert network.shapes[network.outputs[0]] == (4,)


def test_an_architecture_file_for_another_size_is_what_its_space_builds(tiny, tmp_path):
    architecture = tiny.architecture(tiny.sample(np.random.default_rng(1), 1)[0])
    path = tmp_path / "architecture.yaml"
    document = {"space": "tiny_edge", "architecture": str(architecture), **tiny.decode(architecture).to_dict()}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    found = resolve_architecture(str(path), input_shape=(48,), classes=3)
    wanted = SearchSpace.load("tiny_edge", input_shape=(48, 48, 1), classes=3).decode(architecture)
    assert found.network.signatures("int8") == wanted.signatures("int8")
    assert found.space is not None
    assert found.space.encode(found.network) == architecture
    path.write_text(yaml.safe_dump(reference_network("mobilenet_v2_0.35").to_dict()))
    found = resolve_architecture(str(path), input_shape=(96,), classes=7)
    assert found.network == reference_network("mobilenet_v2_0.35", (96, 96, 3), 7)


def test_what_has_no_classes_or_several_inputs_is_refused_by_name(tmp_path):
    path = tmp_path / "architecture.yaml"
    node = "{name: a, inputs: [x], block: pool}"
    path.write_text(f"{{name: n, inputs: {{x: [8, 8, 3]}}, nodes: [{node}], outputs: [a]}}")
    with pytest.raises(InputError, match="'n' has no classes"):
        resolve_architecture(str(path), classes=3)
    path.write_text(f"{{name: n, inputs: {{x: [8, 8, 3], y: [8, 8, 3]}}, nodes: [{node}], outputs: [a]}}")
    with pytest.raises(InputError, match="'n' has the inputs x, y"):
        resolve_architecture(str(path), input_shape=(9,))
