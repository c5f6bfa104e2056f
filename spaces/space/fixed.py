"""One network as a space of its own, without a decision: what works on spaces works on a single network too."""

from __future__ import annotations

import dataclasses
from typing import Any

from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.spaces.space.spec import parse_spec


def space_of(network: Network, *, task: str = "classification") -> SearchSpace:
    """The space whose only architecture, ``-``, is this network.

    Raises InputError for networks that the written form of spaces has no words for: shared weights, heads of different
    numbers of classes.

    >>> from edgenas.spaces.references import reference_network
    >>> space = space_of(reference_network("mobilenet_v2_1.0"))
    >>> space.size, space.decode(space.parse("-")).macs
    (1, 300775552)
    """
    shared = next((node.name for node in network.nodes if node.weights is not None), None)
    if shared is not None:
        raise InputError(
            f"network {network.name!r}: node {shared!r} shares weights, which cannot be trained alone here"
        )
    nodes: list[dict[str, Any]] = []
    classes: set[int] = set()
    for node in network.nodes:
        written = {"name": node.name, "inputs": list(node.inputs), **node.block.to_dict()}
        if "classes" in {field.name for field in dataclasses.fields(node.block)}:  # which a space has once, for all
            classes.add(int(getattr(node.block, "classes")))  # noqa: B009
            written.pop("classes", None)
        nodes.append(written)
    if len(classes) > 1:
        raise InputError(f"network {network.name!r} has heads of {sorted(classes)} classes: expected one number")
    document: dict[str, Any] = {
        "name": network.name,
        "task": task,
        "inputs": {name: {"shape": list(spec), "dtype": spec.dtype} for name, spec in network.inputs},
        "nodes": nodes,
        "outputs": list(network.outputs),
    }
    if classes:
        document["classes"] = classes.pop()
    return SearchSpace(parse_spec(document, network.name))
