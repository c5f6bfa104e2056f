"""What a user may write for a network: a reference's name, ``SPACE:STRING``, or the path of an architecture file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spaces.decision import Architecture
from spaces.errors import InputError
from spaces.network import Network
from spaces.references import reference_names, reference_network
from spaces.space import SearchSpace
from spaces.space_spec import space_names
from spaces.yaml_files import Entry, read_yaml


@dataclass(frozen=True)
class ResolvedArchitecture:
    """A network and where it comes from; ``space`` and ``architecture_text`` are None for references and networks."""

    network: Network
    name: str
    architecture_text: str | None = None
    space: SearchSpace | None = None


def resolve_architecture(
    text: str, *, input_shape: Sequence[int] | None = None, classes: int | None = None
) -> ResolvedArchitecture:
    """The network that ``text`` names.

    ``text`` is a reference network's name (``mobilenet_v2_1.0``), ``SPACE:STRING`` with the name or YAML path of a
    space and an architecture string, or the path of a file that :func:`architecture_document` described.
    Raises InputError saying what was expected.
    """
    if text in reference_names():
        network = reference_network(text, input_shape, classes)
        return ResolvedArchitecture(network, text)
    if text.endswith((".yaml", ".yml")):
        return _from_file(Path(text))
    name, separator, string = text.rpartition(":")
    if not separator:
        raise InputError(
            f"unknown architecture {text!r}: expected a reference network ({', '.join(reference_names())}), "
            f"SPACE:STRING with a space ({', '.join(space_names())}), or the path of an architecture.yaml"
        )
    space = SearchSpace.load(name, input_shape=input_shape, classes=classes)
    return _from_space(space, space.parse(string))


def architecture_document(
    network: Network, *, space: SearchSpace | None = None, architecture: Architecture | None = None
) -> dict[str, Any]:
    """Plain data for an ``architecture.yaml``: the whole network, and the architecture where it is of a space.

    The network is written in full, so the file can be read without the space and after the space has changed.
    """
    document: dict[str, Any] = {}
    if space is not None and architecture is not None:
        document["space"] = {"name": space.name, "input_shape": list(space.input_shape), "classes": space.classes}
        document["architecture"] = str(architecture)
    document["network"] = network.to_dict()
    return document


def architecture_yaml(
    network: Network, *, space: SearchSpace | None = None, architecture: Architecture | None = None
) -> str:
    """:func:`architecture_document` as YAML text."""
    return yaml.safe_dump(architecture_document(network, space=space, architecture=architecture), sort_keys=False)


def _from_space(space: SearchSpace, architecture: Architecture) -> ResolvedArchitecture:
    string = str(architecture)
    return ResolvedArchitecture(space.decode(architecture), f"{space.name}:{string}", string, space)


def _from_file(path: Path) -> ResolvedArchitecture:
    document = Entry(str(path), "", read_yaml(path))
    entries = document.mapping(("network",), ("space", "architecture"))
    try:
        network = Network.from_dict(entries["network"].value)
        network.shapes  # noqa: B018  (refuses blocks that do not fit)
    except (InputError, TypeError, ValueError) as error:
        entries["network"].refuse(error)
    if "space" not in entries or "architecture" not in entries:
        return ResolvedArchitecture(network, network.name)
    described = entries["space"].mapping(("name",), ("input_shape", "classes"))
    string = entries["architecture"].text()
    name = described["name"].text()
    if name not in space_names():
        return ResolvedArchitecture(network, network.name, string)
    space = SearchSpace.load(
        name,
        input_shape=[side.whole() for side in described["input_shape"].items()] if "input_shape" in described else None,
        classes=described["classes"].whole() if "classes" in described else None,
    )
    return ResolvedArchitecture(network, network.name, string, space)
