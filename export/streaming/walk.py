"""The walk over the ops of a whole network: what has been put into the one that streams, and its states."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph, OpNode
from edgenas.spaces.tensor import Shape, TensorSpec

FRAMES, STATE = "frames", "state"


@dataclass(frozen=True)
class Flow:
    """A tensor of the whole network in the one that streams.

    Attributes:
        name: of the tensor there.
        frames: of the whole network's; 0 when the time is gone.
        period: frames of the input for one of its frames.
        before: zeros in front of it, and to its left and right, that are not there yet.
    """

    name: str
    frames: int
    period: int = 1
    before: tuple[int, int, int] | None = None


@dataclass
class Walk:
    """Walks the ops of the whole network and adds those of one call."""

    graph: OpGraph
    hop: int
    builder: GraphBuilder
    flows: dict[str, Flow]
    states: list[tuple[str, str]] = field(default_factory=list)  # input and output
    steps: int = 0

    def keep(self, source: str, result: str) -> None:
        self.states.append((source, result))


class Loose(GraphBuilder):
    """A builder in which the shape of an input is said when it is first read."""

    def shape_input(self, name: str, shape: Shape) -> None:
        self._shapes[name] = TensorSpec(shape)


def read_state(walk: Walk, shape: Shape) -> str:
    """The input of a new state."""
    name = f"{STATE}{len(walk.states)}"
    if isinstance(walk.builder, Loose):
        walk.builder.shape_input(name, shape)
    return name


def refused(name: str, node: OpNode, why: str) -> InputError:
    """What is raised of a node that no network can have which streams; ``name`` is the whole network's."""
    return InputError(
        f"network {name!r} cannot be streamed: {node.name!r} ({type(node.op).__name__}) {why}; take causal blocks: "
        "causal: true, or recurrent ones"
    )
