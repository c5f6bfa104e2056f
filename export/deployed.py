"""What is left of a graph of ops when it is deployed: batch norms folded, activations fused, dropout gone.

The rules are those of the TensorFlow converter (checked against it in the tests), so that a model written directly
runs the same operators as one that was trained, converted and shipped.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import OpGraph, OpNode
from edgenas.spaces.ops import Activation, Multiply, Op, Traits
from edgenas.spaces.tensor import Shape, TensorSpec

#: Activations that operators take along for free.
FUSABLE_ACTIVATIONS = ("relu", "relu6")


@dataclass(frozen=True)
class ConstantOperand(Op):
    """``add`` or ``multiply`` with a constant: one ``value``, or a vector over the channels when it is None."""

    kind: str
    value: float | None = None

    traits: ClassVar[Traits] = Traits(fuses_activation=True)

    def __post_init__(self) -> None:
        if self.kind not in ("add", "multiply"):
            raise InputError(f"unknown constant operand {self.kind!r}: expected 'add' or 'multiply'")

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]


@dataclass(frozen=True)
class DeployedNode:
    """One operator of the deployed graph.

    ``has_bias``: convolutions always have one once deployed, zeros if need be. ``activation`` is the fused one:
    ``linear``, ``relu`` or ``relu6``. ``bias_offset`` is a constant that was folded into the bias before the activation
    (the 3 of a hard sigmoid). ``weights`` names the node whose constants this one uses, None for its own.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    activation: str = "linear"
    has_bias: bool = False
    bias_offset: float = 0.0
    weights: str | None = None


@dataclass(frozen=True)
class DeployedGraph:
    """Deployed nodes in the order in which they run; names as in :class:`edgenas.spaces.graph.OpGraph`."""

    inputs: tuple[tuple[str, TensorSpec], ...]
    nodes: tuple[DeployedNode, ...]
    outputs: tuple[str, ...]

    @cached_property
    def shapes(self) -> Mapping[str, TensorSpec]:
        """Spec of every input and of every node's output, by name."""
        shapes: dict[str, TensorSpec] = {name: TensorSpec.of(shape) for name, shape in self.inputs}
        for node in self.nodes:
            shapes[node.name] = node.op.output(*(shapes[name] for name in node.inputs))
        return shapes


def deploy(graph: OpGraph) -> DeployedGraph:
    """Folds and fuses as the TensorFlow converter does.

    - batch norm: into the convolution or dense op before it, else a multiplication and an addition
    - relu, relu6: into the operator before it, unless something else reads that operator's output
    - hard sigmoid: +3 into the bias, relu6 fused, times 1/6
    - swish: a sigmoid and a multiplication
    - dropout, and a mean over one pixel that keeps the sides: nothing

    >>> from edgenas.spaces.blocks import ConvBnAct
    >>> [node.activation for node in deploy(ConvBnAct(filters=8).lower((4, 4, 3))).nodes]
    ['relu']
    """
    return _Deployment(graph).run()


def _has_kernel(traits: Traits) -> bool:
    return traits.has_kernel


def _fuses_activation(traits: Traits) -> bool:
    return traits.fuses_activation


class _Deployment:
    """One walk over a graph in topological order."""

    def __init__(self, graph: OpGraph) -> None:
        self._graph = graph
        self._nodes: dict[str, DeployedNode] = {}
        self._deployed_name = {name: name for name, _ in graph.inputs}
        self._before_nothing: dict[str, str] = {}
        for node in graph.nodes:
            if node.op.does_nothing(*graph.input_shapes(node)):
                self._before_nothing[node.name] = self._source(node)
        left = [node for node in graph.nodes if node.name not in self._before_nothing]
        readings = [*(name for node in left for name in node.inputs), *graph.outputs]
        self._reads = Counter(self._skip_nothing(name) for name in readings)

    def run(self) -> DeployedGraph:
        for node in self._graph.nodes:
            if node.name not in self._before_nothing:
                self._deployed_name[node.name] = self._place(node)
        outputs = tuple(self._deployed_name[self._skip_nothing(name)] for name in self._graph.outputs)
        return DeployedGraph(self._graph.inputs, tuple(self._nodes.values()), outputs)

    def _skip_nothing(self, name: str) -> str:
        return self._before_nothing.get(name, name)

    def _source(self, node: OpNode) -> str:
        return self._skip_nothing(node.inputs[0])

    def _place(self, node: OpNode) -> str:
        """Adds what is left of a node and returns the name under which its output is now found."""
        if node.op.traits.normalises:
            return self._place_batch_norm(node)
        if isinstance(node.op, Activation):
            return self._place_activation(node, node.op.kind)
        sources = tuple(self._deployed_name[self._skip_nothing(name)] for name in node.inputs)
        # Convolutions always have a bias; a matrix product has one when it was given one.
        has_bias = node.op.traits.has_kernel and (node.op.traits.per_channel or getattr(node.op, "use_bias", False))
        return self._append(DeployedNode(node.name, node.op, sources, has_bias=has_bias, weights=node.weights))

    def _append(self, node: DeployedNode) -> str:
        self._nodes[node.name] = node
        return node.name

    def _open_producer(self, node: OpNode, can: Callable[[Traits], bool]) -> DeployedNode | None:
        """The operator before ``node``, if its traits allow it and it can still take something along."""
        source = self._source(node)
        producer = self._nodes.get(self._deployed_name[source])
        if producer is None or self._reads[source] != 1:
            return None
        return producer if can(producer.op.traits) and producer.activation == "linear" else None

    def _place_batch_norm(self, node: OpNode) -> str:
        producer = self._open_producer(node, _has_kernel)
        if producer is not None:
            return self._append(dataclasses.replace(producer, has_bias=True))
        source = self._deployed_name[self._source(node)]
        scaled = self._append(DeployedNode(f"{node.name}/scale", ConstantOperand("multiply"), (source,)))
        return self._append(DeployedNode(node.name, ConstantOperand("add"), (scaled,)))

    def _place_activation(self, node: OpNode, kind: str) -> str:
        source = self._deployed_name[self._source(node)]
        if kind in FUSABLE_ACTIVATIONS:
            producer = self._open_producer(node, _fuses_activation)
            if producer is not None:
                return self._append(dataclasses.replace(producer, activation=kind))
        elif kind == "swish":
            gate = self._append(DeployedNode(f"{node.name}/sigmoid", Activation("sigmoid"), (source,)))
            return self._append(DeployedNode(node.name, Multiply(), (source, gate)))
        elif kind == "hard_sigmoid":
            return self._place_hard_sigmoid(node, source)
        return self._append(DeployedNode(node.name, Activation(kind), (source,)))

    def _place_hard_sigmoid(self, node: OpNode, source: str) -> str:
        producer = self._open_producer(node, _has_kernel)
        if producer is not None:
            shifted = self._append(dataclasses.replace(producer, has_bias=True, bias_offset=3.0, activation="relu6"))
        else:
            shift = ConstantOperand("add", 3.0)
            shifted = self._append(DeployedNode(f"{node.name}/shift", shift, (source,), activation="relu6"))
        return self._append(DeployedNode(node.name, ConstantOperand("multiply", 1 / 6), (shifted,)))
