"""Graphs of ops: what a block or a whole network is lowered to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from edgenas.spaces.errors import InputError
from edgenas.spaces.ops import Op
from edgenas.spaces.tensor import Shape, TensorSpec


@dataclass(frozen=True)
class OpNode:
    """One op at a place in a graph; ``inputs`` name earlier nodes or graph inputs.

    ``weights`` names the earlier node whose trained parameters this one uses, None for its own.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    weights: str | None = None


@dataclass(frozen=True)
class OpGraph:
    """Op nodes in topological order.

    ``inputs`` pairs each input's name with its spec; ``outputs`` names nodes (or, for an empty graph, inputs).
    """

    inputs: tuple[tuple[str, TensorSpec], ...]
    nodes: tuple[OpNode, ...]
    outputs: tuple[str, ...]

    @cached_property
    def shapes(self) -> Mapping[str, TensorSpec]:
        """Spec of every input and of every node's output, by name."""
        shapes: dict[str, TensorSpec] = {name: TensorSpec.of(shape) for name, shape in self.inputs}
        for node in self.nodes:
            shapes[node.name] = node.op.output(*(shapes[name] for name in node.inputs))
        return shapes

    def input_shapes(self, node: OpNode) -> tuple[TensorSpec, ...]:
        """Specs of a node's inputs."""
        return tuple(self.shapes[name] for name in node.inputs)

    @property
    def output_shapes(self) -> tuple[TensorSpec, ...]:
        return tuple(self.shapes[name] for name in self.outputs)

    @property
    def is_identity(self) -> bool:
        """Whether the only output is one of the inputs as it came."""
        return not self.nodes and len(self.outputs) == 1

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates for one example."""
        return sum(node.op.macs(*self.input_shapes(node)) for node in self.nodes)

    @cached_property
    def params(self) -> int:
        """Trainable parameters; shared ones count once."""
        return sum(node.op.params(*self.input_shapes(node)) for node in self.nodes if node.weights is None)


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
        specs = (TensorSpec.of(shape) for shape in input_shapes)
        self._inputs = tuple(zip(self.inputs, specs, strict=True))
        self._shapes: dict[str, TensorSpec] = dict(self._inputs)
        self._nodes: list[OpNode] = []

    def add(self, name: str, op: Op, *inputs: str, weights: str | None = None) -> str:
        """Appends a node and returns its name, the handle for later nodes."""
        if name in self._shapes:
            raise InputError(f"two nodes are named {name!r}")
        try:
            specs = [self._shapes[source] for source in inputs]
        except KeyError as error:
            raise InputError(f"node {name!r} reads {error.args[0]!r}, which does not come before it") from None
        if weights is not None:
            self._check_owner(name, op, inputs, weights)
        self._shapes[name] = op.output_of(specs)
        self._nodes.append(OpNode(name, op, inputs, weights))
        return name

    def include(
        self,
        graph: OpGraph,
        sources: Iterable[str],
        named: Callable[[str], str],
        owned: Callable[[str], str] | None = None,
    ) -> str:
        """Appends the nodes of a graph with one output, and returns the name of that.

        Args:
            graph: whose nodes.
            sources: what stands here for each of its inputs.
            named: the name here of one of its nodes.
            owned: the name of the node here whose parameters one of its nodes uses; None: they are its own.
        """
        inside = {name: source for (name, _), source in zip(graph.inputs, sources, strict=True)}
        for node in graph.nodes:
            owner: str | None = None
            if node.weights is not None:
                owner = (owned or named)(node.weights)
            elif owned is not None:
                owner = owned(node.name)
            inputs = (inside[source] for source in node.inputs)
            inside[node.name] = self.add(named(node.name), node.op, *inputs, weights=owner)
        return inside[graph.outputs[0]]

    def _check_owner(self, name: str, op: Op, inputs: tuple[str, ...], owner: str) -> None:
        node = next((node for node in self._nodes if node.name == owner), None)
        if node is None or node.weights is not None:
            raise InputError(
                f"node {name!r} shares the weights of {owner!r}, which does not come before it or has none"
            )
        shapes = [tuple(self._shapes[source] for source in sources) for sources in (inputs, node.inputs)]
        if node.op != op or op.params(*shapes[0]) != op.params(*shapes[1]):
            raise InputError(f"node {name!r} cannot share the weights of {owner!r}: they are other ops or other widths")

    def shape(self, name: str) -> TensorSpec:
        """Spec of an input or of a node's output."""
        return self._shapes[name]

    def build(self, *outputs: str) -> OpGraph:
        graph = OpGraph(self._inputs, tuple(self._nodes), outputs)
        graph.__dict__["shapes"] = dict(self._shapes)  # what the property would work out again
        return graph
