"""Networks: immutable graphs of named blocks, the one representation that every consumer reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from edgenas.spaces.block import Block, block_from_dict
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.tensor import Shape, TensorSpec

#: What stands between node and op in the names of a network's graph.
SEPARATOR = "."


def op_name(node: str, op: str) -> str:
    """The name of a node's op in the graph of a network."""
    return f"{node}{SEPARATOR}{op}"


@dataclass(frozen=True)
class Node:
    """A block at a place in a network; ``inputs`` name earlier nodes or network inputs.

    ``weights`` names the earlier node whose trained parameters this one uses (the same block on as many channels),
    None for its own.
    """

    name: str
    block: Block
    inputs: tuple[str, ...]
    weights: str | None = None


@dataclass(frozen=True)
class Network:
    """Nodes in topological order, with named inputs (their specs) and outputs (names of nodes).

    Raises InputError on construction when a name is used twice, an input is unknown, or a block does not fit.
    """

    name: str
    inputs: tuple[tuple[str, TensorSpec], ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple((name, TensorSpec.of(shape)) for name, shape in self.inputs))
        names = [name for name, _ in self.inputs]
        if len(set(names)) < len(names):
            raise InputError(f"network {self.name!r} has two inputs of one name: {', '.join(names)}")
        for name, shape in self.inputs:
            if not shape or min(shape) < 1:
                raise InputError(f"network {self.name!r}, input {name!r}: sides must be at least 1, not {shape}")
        for node in self.nodes:
            if node.name in names:
                raise InputError(f"network {self.name!r} has two nodes named {node.name!r}")
            missing = [source for source in node.inputs if source not in names]
            if missing:
                raise InputError(f"node {node.name!r} reads {missing[0]!r}, which does not come before it")
            try:
                node.block.check_count(len(node.inputs))
            except InputError as error:
                raise InputError(f"node {node.name!r} {error}") from None
            if node.weights is not None and node.weights not in names:
                raise InputError(
                    f"node {node.name!r} shares the weights of {node.weights!r}, which does not come before it"
                )
            names.append(node.name)
        for name in self.outputs:
            if name not in names:
                raise InputError(f"network {self.name!r} has no node {name!r} for its output")

    @cached_property
    def blocks_lowered(self) -> Mapping[str, OpGraph]:
        """Each node's block lowered on its input shapes, by node name."""
        shapes: dict[str, TensorSpec] = dict(self.inputs)
        lowered: dict[str, OpGraph] = {}
        for node in self.nodes:
            try:
                lowered[node.name] = node.block.lower(*(shapes[source] for source in node.inputs))
                (shapes[node.name],) = lowered[node.name].output_shapes
            except InputError as error:
                raise InputError(f"network {self.name!r}, node {node.name!r}: {error}") from None
        return lowered

    @cached_property
    def shapes(self) -> Mapping[str, TensorSpec]:
        """Spec of every input and node output, by name."""
        return dict(self.inputs) | {name: graph.output_shapes[0] for name, graph in self.blocks_lowered.items()}

    def input_shapes(self, node: Node) -> tuple[TensorSpec, ...]:
        return tuple(self.shapes[source] for source in node.inputs)

    @cached_property
    def graph(self) -> OpGraph:
        """The whole network lowered to one graph of ops, named ``node.op``."""
        builder = GraphBuilder(*(shape for _, shape in self.inputs), input_names=tuple(name for name, _ in self.inputs))
        ends = {name: name for name, _ in self.inputs}
        for node in self.nodes:
            ends[node.name] = builder.include(
                self.blocks_lowered[node.name],
                (ends[source] for source in node.inputs),
                partial(op_name, node.name),
                None if node.weights is None else partial(op_name, node.weights),
            )
        return builder.build(*(ends[name] for name in self.outputs))

    @cached_property
    def learned(self) -> Network:
        """The part that is trained: without blocks that run in deployed networks only. Often the network itself."""
        passed: dict[str, str] = {}
        specs = dict(self.inputs)
        kept = []
        for node in self.nodes:
            inputs = tuple(passed.get(source, source) for source in node.inputs)
            if node.block.only_deployed:
                passed[node.name] = inputs[0]
                if inputs[0] in specs and len(self.nodes) > len(passed):  # it begins the network
                    specs[inputs[0]] = self.shapes[node.name]
            else:
                kept.append(dataclasses.replace(node, inputs=inputs))
        if not passed:
            return self
        outputs = tuple(passed.get(name, name) for name in self.outputs)
        return dataclasses.replace(self, inputs=tuple(specs.items()), nodes=tuple(kept), outputs=outputs)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(graph.macs for graph in self.blocks_lowered.values())

    @property
    def params(self) -> int:
        """Trainable parameters: weights, biases, batch-norm scales and shifts, not moving statistics."""
        owners = (node.name for node in self.nodes if node.weights is None)
        return sum(self.blocks_lowered[name].params for name in owners)

    @cached_property
    def entries(self) -> Mapping[str, SlotEntry]:
        """The block of every node on its input specs, with those of its ops that others run, by node name."""
        from edgenas.spaces.sharing import entries_of  # needs NumPy, which the command line's help should not wait for

        return entries_of(self)

    @cached_property
    def running(self) -> Mapping[str, SlotEntry]:
        """The same of the nodes of which something runs: what a network's cost adds up from."""
        return {name: entry for name, entry in self.entries.items() if not entry.is_given}

    def signatures(self, precision: str) -> dict[str, str]:
        """The latency-table keys by node name, of the nodes of which something runs (see :attr:`running`)."""
        return {name: entry.signature(precision) for name, entry in self.running.items()}

    def to_dict(self) -> dict[str, Any]:
        """Plain data that :meth:`from_dict` reads back, for YAML and JSON."""
        return {
            "name": self.name,
            "inputs": {name: spec.to_data() for name, spec in self.inputs},
            "nodes": [
                {"name": node.name, "inputs": list(node.inputs)}
                | ({} if node.weights is None else {"weights": node.weights})
                | node.block.to_dict()
                for node in self.nodes
            ],
            "outputs": list(self.outputs),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Network:
        """Reads what :meth:`to_dict` wrote. Raises InputError naming the node and key that is wrong."""
        try:
            inputs = tuple((str(name), TensorSpec.from_data(spec)) for name, spec in data["inputs"].items())
            raw_nodes = [dict(node) for node in data["nodes"]]
            outputs = tuple(data["outputs"])
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise InputError(
                f"not a network: expected the keys name, inputs, nodes and outputs (problem: {error!r})"
            ) from None
        nodes = []
        for index, raw in enumerate(raw_nodes):
            name, sources, weights = raw.pop("name", None), raw.pop("inputs", None), raw.pop("weights", None)
            if not isinstance(name, str) or not isinstance(sources, list):
                raise InputError(f"node {index} of the network needs a 'name' and a list of 'inputs'")
            try:
                nodes.append(Node(name, block_from_dict(raw), tuple(sources), weights))
            except InputError as error:
                raise InputError(f"node {name!r}: {error}") from None
        return cls(str(data.get("name", "network")), inputs, tuple(nodes), outputs)


def chain(name: str, input_shape: Shape, blocks: Mapping[str, Block]) -> Network:
    """A network of one input whose nodes follow each other."""
    nodes, source = [], "image"
    for node_name, block in blocks.items():
        nodes.append(Node(node_name, block, (source,)))
        source = node_name
    return Network(name, (("image", TensorSpec.of(input_shape)),), tuple(nodes), (source,))
