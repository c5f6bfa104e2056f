"""What a user may write for a network: a reference's name, ``SPACE:STRING``, or the path of an architecture file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.spaces.errors import InputError
from edgenas.spaces.input_size import complete_shape
from edgenas.spaces.network import Network
from edgenas.spaces.paths import check_path
from edgenas.spaces.references import is_reference, reference_names, reference_network
from edgenas.spaces.space.decision import Architecture
from edgenas.spaces.space.spec import space_names
from edgenas.spaces.tensor import TensorSpec
from edgenas.spaces.text import did_you_mean
from edgenas.spaces.yaml_files import Entry
from edgenas.spaces.yaml_reading import read_document

if TYPE_CHECKING:
    from edgenas.spaces.space.search_space import SearchSpace


@dataclass(frozen=True)
class ResolvedArchitecture:
    """A network and where it comes from; ``space`` and ``architecture_text`` are None where there is no space."""

    network: Network
    name: str
    architecture_text: str | None = None
    space: SearchSpace | None = None


def resolve_architecture(
    text: str, *, input_shape: Sequence[int] | None = None, classes: int | None = None
) -> ResolvedArchitecture:
    """The network that ``text`` names.

    ``text`` is a reference network's name (``mobilenet_v2_1.0``), ``SPACE:STRING`` with the name or YAML path of a
    space and an architecture string, or the path of a bundle's ``architecture.yaml``. ``input_shape`` and ``classes``
    replace those that it has; an image may be given by height and width or by one side. Raises InputError saying what
    was expected.
    """
    if is_reference(text):
        network = reference_network(text, input_shape, classes)
        return ResolvedArchitecture(network, text)
    if text.endswith((".yaml", ".yml")):
        return _from_file(check_path(text), input_shape, classes)
    name, separator, string = text.rpartition(":")
    if not separator:
        raise InputError(
            f"unknown architecture {text!r}: expected a reference network ({', '.join(reference_names())}), "
            f"SPACE:STRING with a space ({', '.join(space_names())}), or the path of an architecture.yaml"
            + did_you_mean(text, reference_names())
        )
    space = _load_space(name, input_shape, classes)
    return _from_space(space, space.parse(string))


def resized(network: Network, input_shape: Sequence[int] | None, classes: int | None) -> Network:
    """The same nodes on an input of another size, and for another number of classes.

    Raises InputError when there are several inputs, when no node has classes, or when a node does not fit.
    """
    inputs, nodes = network.inputs, network.nodes
    if input_shape is not None:
        if len(inputs) > 1:
            raise InputError(
                f"network {network.name!r} has the inputs {', '.join(name for name, _ in inputs)}: one input_shape "
                "does not say which"
            )
        ((name, own),) = inputs
        inputs = ((name, TensorSpec(complete_shape(input_shape, own, f"network {network.name!r}"), own.dtype)),)
    if classes is not None:
        if not any(hasattr(node.block, "classes") for node in nodes):
            raise InputError(f"network {network.name!r} has no classes that could be another number; leave them out")
        nodes = tuple(
            dataclasses.replace(node, block=dataclasses.replace(node.block, **{"classes": classes}))
            if hasattr(node.block, "classes")
            else node
            for node in nodes
        )
    changed = dataclasses.replace(network, inputs=inputs, nodes=nodes)
    changed.shapes  # noqa: B018  (refuses blocks that do not fit)
    return changed


def _load_space(name: str, input_shape: Sequence[int] | None, classes: int | None) -> SearchSpace:
    from edgenas.spaces.space.search_space import SearchSpace  # slow to import, and reference networks need none

    return SearchSpace.load(name, input_shape=input_shape, classes=classes)


def _from_space(space: SearchSpace, architecture: Architecture) -> ResolvedArchitecture:
    string = str(architecture)
    return ResolvedArchitecture(space.decode(architecture), f"{space.name}:{string}", string, space)


_KEYS = ("inputs", "nodes", "outputs")


def _instead(path: Path, keys: Iterable[str]) -> str:
    """What to do with a file that is something else than a network."""
    if {"data", "space", "budget"} & set(keys):
        return f"; a recipe is for `edgenas run {path}`"
    if {"stages", "stem", "nodes"} & set(keys):
        return f"; `edgenas spaces sample {path}` names networks of a space"
    return ""


def _from_file(path: Path, input_shape: Sequence[int] | None, classes: int | None) -> ResolvedArchitecture:
    """A file with the keys of ``Network.to_dict`` and, where the network is of a space, ``space`` and ``architecture``.

    The network is read in full, so a file outlives its space.
    """
    document = Entry(str(path), "", read_document(path, numbers=False).value)
    entries = document.any_mapping()
    if any(key not in entries for key in _KEYS):
        document.refuse(
            f"is no network, expected the keys {', '.join(_KEYS)} of an architecture.yaml, found {', '.join(entries)}"
            + _instead(path, entries)
        )
    try:
        network = Network.from_dict(document.value)
        network.shapes  # noqa: B018  (refuses blocks that do not fit)
    except (InputError, TypeError, ValueError) as error:
        document.refuse(f"does not describe a network: {error}")
    if input_shape is not None or classes is not None:
        network = resized(network, input_shape, classes)
    text = entries["architecture"].value if "architecture" in entries else None
    if text is not None:
        text = entries["architecture"].text()
    name = entries["space"].value if "space" in entries else None
    if text is None or name not in space_names():
        return ResolvedArchitecture(network, network.name, text)
    classes = getattr(network.nodes[-1].block, "classes", None) if network.nodes else None
    space = _load_space(name, network.inputs[0][1], classes)
    return ResolvedArchitecture(network, f"{name}:{text}", text, space)
