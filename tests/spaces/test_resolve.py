"""The texts that name a network."""

import numpy as np
import pytest
import yaml

from edgenas.spaces.errors import InputError
from edgenas.spaces.references import reference_network
from edgenas.spaces.resolve import resolve_architecture


def test_reference_name():
    resolved = resolve_architecture("mobilenet_v2_0.35")
    assert (resolved.name, resolved.architecture_text, resolved.space) == ("mobilenet_v2_0.35", None, None)
    assert resolved.network == reference_network("mobilenet_v2_0.35")


def test_space_and_string(tiny):
    architecture = tiny.architecture(tiny.sample(np.random.default_rng(0), 1)[0])
    resolved = resolve_architecture(f"tiny_edge:{architecture}", input_shape=(32, 32, 3), classes=5)
    assert resolved.architecture_text == str(architecture)
    assert resolved.name == f"tiny_edge:{architecture}" == resolved.network.name
    assert resolved.network.inputs == (("image", (32, 32, 3)),)


def test_architecture_file(tiny, tmp_path):
    architecture = tiny.architecture(tiny.sample(np.random.default_rng(1), 1)[0])
    network = tiny.decode(architecture)
    path = tmp_path / "architecture.yaml"
    document = {"space": "tiny_edge", "architecture": str(architecture), **network.to_dict()}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    resolved = resolve_architecture(str(path))
    assert resolved.network == network
    assert resolved.architecture_text == str(architecture)
    assert resolved.space is not None
    assert resolved.space.encode(resolved.network) == architecture
    path.write_text(yaml.safe_dump(network.to_dict()))
    assert resolve_architecture(str(path)).space is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- 1", "expected a mapping"),
        ("{a: [", "not valid YAML"),
        (
            "{name: n, inputs: {image: [8, 8, 3]}, nodes: [{name: a, inputs: [image], block: nope}], outputs: [a]}",
            "nope",
        ),
        ("{name: n, inputs: {image: [8, 8, 3]}, nodes: [{name: a, inputs: [], block: pool}], outputs: [a]}", "reads 1"),
        ("{name: n, inputs: {image: [8]}, nodes: [{name: a, inputs: [image], block: pool}], outputs: [a]}", "an image"),
        (
            "{name: n, nodes: []}",
            "expected the keys inputs, nodes, outputs of an architecture.yaml, found name, nodes; ",
        ),
    ],
)
def test_wrong_files_are_refused_by_name(tmp_path, content, message):
    path = tmp_path / "architecture.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        resolve_architecture(str(path))
    assert str(path) in str(caught.value)


def test_other_texts_are_refused():
    with pytest.raises(InputError, match=r"expected a reference network .*SPACE:STRING"):
        resolve_architecture("mobilenet")
    with pytest.raises(InputError, match="unknown space 'nope'"):
        resolve_architecture("nope:000")
    with pytest.raises(InputError, match="3 characters, expected one for each of"):
        resolve_architecture("tiny_edge:000")
    with pytest.raises(InputError, match="cannot be read"):
        resolve_architecture("/no/such/architecture.yaml")


@pytest.mark.parametrize("side", [float("inf"), float("nan"), "x", None])
def test_an_architecture_file_with_a_shape_that_is_none_is_refused(tiny, tmp_path, side):
    document = tiny.decode(tiny.architecture(tiny.sample(np.random.default_rng(1), 1)[0])).to_dict()
    path = tmp_path / "architecture.yaml"
    path.write_text(yaml.safe_dump(document | {"inputs": {"image": [side, 28, 1]}}))
    with pytest.raises(InputError, match=r"architecture\.yaml: document: does not describe a network"):
        resolve_architecture(str(path))
