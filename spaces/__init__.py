"""What can be built: ops, blocks, networks and search spaces. Pure Python and NumPy."""

from spaces import blocks as _blocks  # noqa: F401  (registers the block families)
from spaces.block import Block, block_from_dict, register_block, signature
from spaces.errors import EdgeNASError, InputError, WorkError
from spaces.network import Network, Node

__all__ = [
    "Block",
    "EdgeNASError",
    "InputError",
    "Network",
    "Node",
    "WorkError",
    "block_from_dict",
    "register_block",
    "signature",
]
