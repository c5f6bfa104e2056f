"""A whole network as one block: what a search over a list of networks chooses among."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.pieces import check_whole
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.network import SEPARATOR, Network
from edgenas.spaces.ops import Shape

_REGISTERED: dict[str, Network] = {}
#: What stands between node and op in this block's graph, where the network's own has a dot.
_WITHIN = "__"


def register_network(name: str, network: Network | str | Path) -> None:
    """Makes a network known to the block ``network`` under a name, beside the reference networks.

    Args:
        name: to write in a space.
        network: with one input and one output, or the path of an ``architecture.yaml`` that holds one.

    Raises InputError when the name is another network's, or the network has not one input and one output.
    """
    from edgenas.spaces.references import is_reference
    from edgenas.spaces.resolve import resolve_architecture

    found = resolve_architecture(str(network)).network if isinstance(network, str | Path) else network
    if len(found.inputs) != 1 or len(found.outputs) != 1:
        raise InputError(
            f"network {name!r} has {len(found.inputs)} inputs and {len(found.outputs)} outputs: as a block it needs "
            "one of each"
        )
    if is_reference(name) or _REGISTERED.get(name, found) != found:
        raise InputError(f"network {name!r} is already known: call it something else")
    _REGISTERED[name] = found


@register_block("network")
@dataclass(frozen=True)
class WholeNetwork(Block):
    """A reference network, or one of :func:`register_network`, on this input and for this number of classes.

    It has to fit the input as it is: its strides are not changed.
    """

    of: str
    classes: int

    input_count: ClassVar[int | None] = 1

    def __post_init__(self) -> None:
        if not isinstance(self.of, str):
            raise InputError(f"network: of must be the name of a network, not {self.of!r}")
        check_whole("network", classes=self.classes)

    def lower(self, *input_shapes: Shape) -> OpGraph:
        (shape,) = input_shapes
        builder = GraphBuilder(shape)
        graph = self._network(shape).graph
        return builder.build(builder.include(graph, builder.inputs, lambda name: name.replace(SEPARATOR, _WITHIN)))

    def describe(self, *, cost_only: bool = False) -> str:
        """With what tells networks of one name apart, so that no table takes one for another."""
        text = super().describe(cost_only=cost_only)
        if self.of not in _REGISTERED:
            return text
        content = json.dumps(_REGISTERED[self.of].to_dict(), sort_keys=True)
        return f"{text[:-1]} digest={hashlib.sha256(content.encode()).hexdigest()[:8]})"

    def _network(self, shape: Shape) -> Network:
        from edgenas.spaces.references import is_reference, reference_network
        from edgenas.spaces.resolve import resized

        if self.of in _REGISTERED:
            return resized(_REGISTERED[self.of], tuple(shape), self.classes)
        if not is_reference(self.of):
            raise InputError(
                f"network: there is no network {self.of!r}. `edgenas describe --references` lists those that come with "
                "EdgeNAS; register_network(NAME, PATH) in a plug-in adds one"
            )
        network = reference_network(self.of, tuple(shape), self.classes)
        if len(network.outputs) != 1:
            raise InputError(f"network: {self.of} has {len(network.outputs)} outputs: as a block it needs one")
        return network
