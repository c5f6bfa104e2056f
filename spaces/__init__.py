"""What can be built: ops, blocks, networks and search spaces. Pure Python and NumPy."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from spaces import blocks as _blocks  # noqa: F401  (registers the block families)
from spaces.block import Block, block_from_dict, register_block, signature
from spaces.errors import EdgeNASError, InputError, WorkError
from spaces.network import Network, Node
from spaces.space.decision import Architecture

if TYPE_CHECKING:
    from spaces.references import published_figures, reference_names, reference_network
    from spaces.space.search_space import SearchSpace
    from spaces.space.spec import space_names

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
    "SearchSpace": "spaces.space.search_space",
    "published_figures": "spaces.references",
    "reference_names": "spaces.references",
    "reference_network": "spaces.references",
    "space_names": "spaces.space.spec",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'spaces' has no attribute {name!r}")
