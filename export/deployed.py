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

from edgenas.export.expansion import ConstantOperand, expanded
from edgenas.spaces.deployment import FUSABLE_ACTIVATIONS, merged
from edgenas.spaces.graph import OpGraph, OpNode
from edgenas.spaces.ops import Activation, Dense, Multiply, Op, Traits
from edgenas.spaces.tensor import TensorSpec


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

    - ops without weights that do the same to the same tensors: once
    - batch norm, constants added or multiplied: into the convolution or dense op before it, else a multiplication and
      an addition
    - relu, relu6: into the operator before it, unless something else reads that operator's output; a relu of what
      cannot be negative: nothing
    - hard sigmoid: +3 into the bias, relu6 fused, times 1/6
    - swish: a sigmoid and a multiplication
    - layer norms, learned scales and recurrent layers: taken apart (:mod:`edgenas.export.expansion`)
    - constants added or multiplied before a matrix product: into its kernel and bias
    - dropout, and a mean over one pixel that keeps the sides: nothing

    >>> from edgenas.spaces.blocks import ConvBnAct
    >>> [node.activation for node in deploy(ConvBnAct(filters=8).lower((4, 4, 3))).nodes]
    ['relu']
    """
    return _Deployment(expanded(merged(graph))).run()


def _has_kernel(traits: Traits) -> bool:
    return traits.has_kernel


def _fuses_activation(traits: Traits) -> bool:
    return traits.fuses_activation


def _is_plain_operand(node: DeployedNode) -> bool:
    return isinstance(node.op, ConstantOperand) and not node.op.whole and node.activation == "linear"


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
        self._fold_operands_forward(outputs)
        return DeployedGraph(self._graph.inputs, tuple(self._nodes.values()), outputs)

    def _fold_operands_forward(self, outputs: tuple[str, ...]) -> None:
        """Constants that are added or multiplied before a matrix product go into its kernel and bias."""
        bypassed = set()
        for node in list(self._nodes.values()):
            before = self._nodes.get(node.inputs[0])
            while isinstance(node.op, Dense) and before is not None and _is_plain_operand(before):
                assert isinstance(before.op, ConstantOperand)
                bypassed.add(before.name)
                has_bias = node.has_bias or before.op.kind == "add"
                node = dataclasses.replace(node, inputs=before.inputs, has_bias=has_bias)
                before = self._nodes.get(node.inputs[0])
            self._nodes[node.name] = node
        for name in reversed(list(self._nodes)):
            read = any(name in node.inputs for node in self._nodes.values())
            if name in bypassed and not read and name not in outputs:
                del self._nodes[name]

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
        if isinstance(node.op, ConstantOperand) and not node.op.whole:
            producer = self._open_producer(node, _has_kernel)
            if producer is not None:
                has_bias = producer.has_bias or node.op.kind == "add"
                return self._append(dataclasses.replace(producer, has_bias=has_bias))
        sources = tuple(self._deployed_name[self._skip_nothing(name)] for name in node.inputs)
        has_bias = node.op.traits.always_biased or getattr(node.op, "use_bias", False)
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
            before = self._nodes.get(source)
            if kind == "relu" and before is not None and before.activation in FUSABLE_ACTIVATIONS:
                return source  # it is so already
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
