"""What can be built: ops, blocks, networks and search spaces. Pure Python and NumPy."""

from spaces import blocks as _blocks  # noqa: F401  (registers the block families)
from spaces.block import Block, block_from_dict, register_block, signature
from spaces.decision import Architecture
from spaces.errors import EdgeNASError, InputError, WorkError
from spaces.network import Network, Node
from spaces.references import published_figures, reference_names, reference_network
from spaces.space import SearchSpace
from spaces.space_spec import space_names

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
