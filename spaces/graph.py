"""Graphs of ops: what a block or a whole network is lowered to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from edgenas.spaces.errors import InputError
from edgenas.spaces.ops import Op, Shape


@dataclass(frozen=True)
class OpNode:
    """One op at a place in a graph; ``inputs`` name earlier nodes or graph inputs."""

    name: str
    op: Op
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class OpGraph:
    """Op nodes in topological order.

    ``inputs`` pairs each input's name with its shape; ``outputs`` names nodes (or, for an empty graph, inputs).
    """

    inputs: tuple[tuple[str, Shape], ...]
    nodes: tuple[OpNode, ...]
    outputs: tuple[str, ...]

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Shape of every input and of every node's output, by name."""
        shapes: dict[str, Shape] = dict(self.inputs)
        for node in self.nodes:
            shapes[node.name] = node.op.output_shape(*(shapes[name] for name in node.inputs))
        return shapes

    def input_shapes(self, node: OpNode) -> tuple[Shape, ...]:
        """Shapes of a node's inputs."""
        return tuple(self.shapes[name] for name in node.inputs)

    @property
    def output_shapes(self) -> tuple[Shape, ...]:
        return tuple(self.shapes[name] for name in self.outputs)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates for one example."""
        return sum(node.op.macs(*self.input_shapes(node)) for node in self.nodes)

    @cached_property
    def params(self) -> int:
        """Trainable parameters."""
        return sum(node.op.params(*self.input_shapes(node)) for node in self.nodes)


class GraphBuilder:
    """Collects op nodes and refuses duplicate or unknown names and ops that do not fit their inputs.

    >>> from edgenas.spaces.ops import Convolution
    >>> builder = GraphBuilder((8, 8, 3))
    >>> out = builder.add("conv", Convolution(16, kernel=3, stride=2), builder.inputs[0])
    >>> builder.build(out).output_shapes
    ((4, 4, 16),)
    """

    def __init__(self, *input_shapes: Shape, input_names: tuple[str, ...] | None = None) -> None:
        self.inputs = input_names or tuple(f"input{index}" for index in range(len(input_shapes)))
        self._inputs = tuple(zip(self.inputs, input_shapes, strict=True))
        self._shapes: dict[str, Shape] = dict(self._inputs)
        self._nodes: list[OpNode] = []

    def add(self, name: str, op: Op, *inputs: str) -> str:
        """Appends a node and returns its name, the handle for later nodes."""
        if name in self._shapes:
            raise InputError(f"two nodes are named {name!r}")
        missing = [source for source in inputs if source not in self._shapes]
        if missing:
            raise InputError(f"node {name!r} reads {missing[0]!r}, which does not come before it")
        self._shapes[name] = op.output_shape(*(self._shapes[source] for source in inputs))
        self._nodes.append(OpNode(name, op, inputs))
        return name

    def shape(self, name: str) -> Shape:
        """Shape of an input or of a node's output."""
        return self._shapes[name]

    def build(self, *outputs: str) -> OpGraph:
        return OpGraph(self._inputs, tuple(self._nodes), outputs)
