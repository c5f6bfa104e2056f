"""What can be built: ops, blocks, networks and search spaces. Pure Python and NumPy."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgenas.spaces import blocks as _blocks  # noqa: F401  (registers the block families)
from edgenas.spaces.block import Block, block_from_dict, register_block, signature
from edgenas.spaces.errors import EdgeNASError, InputError, WorkError
from edgenas.spaces.network import Network, Node
from edgenas.spaces.space.decision import Architecture

if TYPE_CHECKING:
    from edgenas.spaces.references import published_figures, reference_names, reference_network
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

# These need NumPy and YAML, which the command line's help should not wait for.
_LAZY = {
    "SearchSpace": "edgenas.spaces.space.search_space",
    "published_figures": "edgenas.spaces.references",
    "reference_names": "edgenas.spaces.references",
    "reference_network": "edgenas.spaces.references",
    "space_names": "edgenas.spaces.space.spec",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
