"""What can be built: ops, blocks, networks and search spaces. Pure Python and NumPy."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgenas.spaces.errors import EdgeNASError, InputError, WorkError

if TYPE_CHECKING:
    from edgenas.spaces.block import Block, block_from_dict, register_block, signature
    from edgenas.spaces.network import Network, Node
    from edgenas.spaces.references import published_figures, reference_names, reference_network
    from edgenas.spaces.space.decision import Architecture
    from edgenas.spaces.space.search_space import SearchSpace
    from edgenas.spaces.space.spec import space_names

__all__ = [
    "Architecture",
    "Block",
    "EdgeNASError",
    "InputError",
    "Network",
    "Node",
    "SearchSpace",
    "WorkError",
    "block_from_dict",
    "published_figures",
    "reference_names",
    "reference_network",
    "register_block",
    "signature",
    "space_names",
]

# Everything imports the errors, the command line's help among them: nothing else is imported before it is used.
_LAZY = {
    "Architecture": "edgenas.spaces.space.decision",
    "Block": "edgenas.spaces.block",
    "Network": "edgenas.spaces.network",
    "Node": "edgenas.spaces.network",
    "SearchSpace": "edgenas.spaces.space.search_space",
    "block_from_dict": "edgenas.spaces.block",
    "published_figures": "edgenas.spaces.references",
    "reference_names": "edgenas.spaces.references",
    "reference_network": "edgenas.spaces.references",
    "register_block": "edgenas.spaces.block",
    "signature": "edgenas.spaces.block",
    "space_names": "edgenas.spaces.space.spec",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
