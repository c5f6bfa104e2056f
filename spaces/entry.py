"""A block on input specs at a place of a network: what a latency table has one row for.

What a block costs depends on its place where others run some of its ops: a ReLU that the operator before it takes
along, a pooling that another block does of the same tensor (:mod:`edgenas.spaces.sharing`). Those ops are *given*.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from edgenas.spaces.block import Block, signature
from edgenas.spaces.deployment import merged
from edgenas.spaces.graph import OpGraph, OpNode
from edgenas.spaces.tensor import TensorSpec


@dataclass(frozen=True)
class SlotEntry:
    """A block on input specs; ``given`` names the ops of its graph that run elsewhere, in their order."""

    block: Block
    input_shapes: tuple[TensorSpec, ...]
    given: tuple[str, ...] = ()

    @cached_property
    def graph(self) -> OpGraph:
        """The block lowered on its input specs, with the ops that are given."""
        return self.block.lower(*self.input_shapes)

    @cached_property
    def deployed(self) -> OpGraph:
        """What runs here: the block without ops that it would do twice, and without those that are given; it reads the
        outputs of the latter as inputs.

        >>> from edgenas.spaces.blocks import ReluConv
        >>> [node.name for node in SlotEntry(ReluConv(), (TensorSpec((8, 8, 4)),), ("main_relu",)).deployed.nodes]
        ['main_conv', 'main_bn']
        """
        graph = merged(self.graph)
        return without_ops(graph, self.given) if self.given else graph

    @cached_property
    def is_given(self) -> bool:
        """Whether nothing runs here, so that it costs nothing and no table has a row for it."""
        graph = self.deployed
        return bool(self.given) and all(node.op.does_nothing(*graph.input_shapes(node)) for node in graph.nodes)

    @cached_property
    def canonical(self) -> Block:
        """The block without options that have no effect here."""
        return self.block.canonical(*self.input_shapes)

    def signature(self, precision: str) -> str:
        """The key of this entry in a latency table."""
        return signature(self.block, self.input_shapes, precision, self.given)


def without_ops(graph: OpGraph, names: tuple[str, ...]) -> OpGraph:
    """The graph without these ops: what is left reads their outputs as inputs, and only the inputs that it needs."""
    left: list[OpNode] = [node for node in graph.nodes if node.name not in names]
    made = {node.name for node in left}
    read = {source for node in left for source in node.inputs} | set(graph.outputs)
    inputs = tuple(
        (name, graph.shapes[name])
        for name in (*(name for name, _ in graph.inputs), *names)
        if name in read and name not in made
    )
    return OpGraph(inputs, tuple(left), graph.outputs)
