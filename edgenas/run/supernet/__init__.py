"""The supernet of a run: its training, the scores of its networks, and the weights that they pass on."""

from edgenas.run.supernet.trained import inherited_weights

__all__ = ["inherited_weights"]
