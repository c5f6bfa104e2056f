"""What becomes of the ops of a graph when it is deployed: equal ones are merged, some are taken along by others.

These are rules of the TensorFlow converter. :mod:`edgenas.export.deployed` writes models by them;
:mod:`edgenas.spaces.sharing` tells by them which ops of a block others run. Ops are asked for their traits.

- Ops without weights that do the same to the same values are done once.
- A relu or relu6 goes into the operator before it, if nothing else reads that operator's output; a relu of what is
  clamped already is nothing.
- A batch norm or a constant scale goes into the kernel before it, under the same condition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from edgenas.spaces.graph import OpGraph, OpNode
from edgenas.spaces.ops import Activation, Op
from edgenas.spaces.tensor import Shape

#: Activations that operators take along for free.
FUSABLE_ACTIVATIONS = ("relu", "relu6")
#: Activations that end in a multiplication.
_PRODUCTS = ("swish", "hard_sigmoid")

#: Who reads a value: nobody, equal activations (merged into one), one op that kernels take along, or others.
UNREAD, RELU, RELU6, FOLDED, OTHERS = range(5)
#: What the operator that makes a value can still take along (an activation; a scale and shift), or that it clamps.
OPEN, KERNEL, CLAMPED = 1, 2, 4


def reading(op: Op) -> int:
    """What an op is to the value that it reads: RELU, RELU6, FOLDED or OTHERS."""
    if isinstance(op, Activation) and op.kind in FUSABLE_ACTIVATIONS:
        return RELU if op.kind == "relu" else RELU6
    return FOLDED if op.traits.folds_into_kernel else OTHERS


def together(first: int, second: int) -> int:
    """Who reads a value that both of these read."""
    if UNREAD in (first, second):
        return max(first, second)
    return first if first == second and first in (RELU, RELU6) else OTHERS


def is_taken(op: Op, state: int, readers: int) -> bool:
    """Whether the operator of a value takes this op along, given what it can take and who reads the value."""
    kind = reading(op)
    if kind == RELU and state & CLAMPED:
        return True
    return kind == readers != OTHERS and bool(state & (KERNEL if kind == FOLDED else OPEN))


def state_after(op: Op, state: int) -> int:
    """What the operator of a value can take along when it has taken this op."""
    return state if reading(op) == FOLDED else CLAMPED


def own_state(op: Op) -> int:
    """What an op can take along as an operator of its own; a batch norm becomes an addition."""
    takes = op.traits.fuses_activation or op.traits.normalises
    if isinstance(op, Activation):
        takes = op.kind in _PRODUCTS
    return (OPEN if takes else 0) | (KERNEL if op.traits.has_kernel else 0)


def is_mergeable(op: Op, *shapes: Shape) -> bool:
    """Whether it does the same wherever it reads the same: it has nothing that was trained."""
    return not op.traits.has_kernel and not op.does_nothing(*shapes) and op.params(*shapes) == 0


def merge_key(op: Op, inputs: Sequence[int] | Sequence[str]) -> tuple[object, ...]:
    """Equal for ops that do the same to the same values."""
    return (op, *(sorted(inputs) if op.traits.commutes else inputs))


def merged(graph: OpGraph) -> OpGraph:
    """The graph with ops that do the same to the same values done once; outputs stay."""
    first: dict[tuple[object, ...], str] = {}
    replaced: dict[str, str] = {}
    nodes: list[OpNode] = []
    for node in graph.nodes:
        inputs = tuple(replaced.get(name, name) for name in node.inputs)
        if is_mergeable(node.op, *graph.input_shapes(node)) and node.name not in graph.outputs:
            known = first.setdefault(merge_key(node.op, inputs), node.name)
            if known != node.name:
                replaced[node.name] = known
                continue
        nodes.append(node if inputs == node.inputs else OpNode(node.name, node.op, inputs, node.weights))
    return OpGraph(graph.inputs, tuple(nodes), graph.outputs) if replaced else graph


@dataclass(frozen=True)
class FirstOps:
    """The ops at the start of a block that read its inputs, and who reads what of it.

    A *reference* is the place of an input of the block, or -1 - n for the output of the n-th of ``ops``.

    Attributes:
        ops: name, op and references of the mergeable ops that need nothing but inputs and each other, in order.
        reads: (reference, kind of reading) by these and all other ops.
        output: reference to the block's output; None where it is another op's.
        output_is_read: whether ops of the block read its output themselves, where it is another op's.
    """

    ops: tuple[tuple[str, Op, tuple[int, ...]], ...]
    reads: tuple[tuple[int, int], ...]
    output: int | None
    output_is_read: bool

    @property
    def matters(self) -> bool:
        """Whether what runs here may depend on the place."""
        return bool(self.ops) or any(kind == FOLDED for _, kind in self.reads)

    @classmethod
    def of(cls, graph: OpGraph) -> FirstOps:
        known = {name: place for place, (name, _) in enumerate(graph.inputs)}
        ops: list[tuple[str, Op, tuple[int, ...]]] = []
        reads: list[tuple[int, int]] = []
        for node in graph.nodes:
            if not any(name in known for name in node.inputs):
                continue
            shapes = graph.input_shapes(node)
            if node.op.does_nothing(*shapes):
                known[node.name] = known[node.inputs[0]]
                continue
            reads += [(known[name], reading(node.op)) for name in node.inputs if name in known]
            if all(name in known for name in node.inputs) and is_mergeable(node.op, *shapes):
                ops.append((node.name, node.op, tuple(known[name] for name in node.inputs)))
                known[node.name] = -len(ops)
        output = graph.outputs[0]
        is_read = output not in known and any(output in node.inputs for node in graph.nodes)
        return cls(tuple(ops), tuple(reads), known.get(output), is_read)


@dataclass(frozen=True)
class Surroundings:
    """What a block finds at its place.

    Attributes:
        states: what the operators of its inputs can take along, by input.
        readers: who reads its inputs, by input.
        made: of its first ops that run elsewhere, what their operators can take along, by name.
        readers_of_ops: who reads the outputs of its first ops, by name.
        repeats: which of its first ops do what an earlier one does, by name: here it reads one value twice.
    """

    states: tuple[int, ...]
    readers: tuple[int, ...]
    made: Mapping[str, int]
    readers_of_ops: Mapping[str, int]
    repeats: Mapping[str, str]


def given_ops(graph: OpGraph, around: Surroundings) -> tuple[tuple[str, ...], dict[str, int]]:
    """The ops of a block that others run, and what the operators of all its values can take along."""
    states = {name: state for (name, _), state in zip(graph.inputs, around.states, strict=True)}
    readers = _readers_inside(graph)
    readers |= {name: who for (name, _), who in zip(graph.inputs, around.readers, strict=True)}
    readers |= around.readers_of_ops
    same: dict[str, str] = {}
    outside = {name for name, _ in graph.inputs}
    given = []
    for node in graph.nodes:
        source = same.get(node.inputs[0], node.inputs[0])
        if node.op.does_nothing(*graph.input_shapes(node)):
            same[node.name] = source
            states[node.name] = states[source]
        elif node.name in around.repeats:
            states[node.name] = states[around.repeats[node.name]]
            given.append(node.name)
        elif node.name in around.made:
            states[node.name] = around.made[node.name]
            given.append(node.name)
        elif is_taken(node.op, states[source], readers[source]):
            states[node.name] = state_after(node.op, states[source])
            if source in outside or source in given:
                given.append(node.name)
        else:
            states[node.name] = own_state(node.op)
    return tuple(given), states


def _readers_inside(graph: OpGraph) -> dict[str, int]:
    found: dict[str, list[int]] = {name: [OTHERS] for name in graph.outputs}
    same: dict[str, str] = {}
    for node in graph.nodes:
        sources = [same.get(name, name) for name in node.inputs]
        if node.op.does_nothing(*graph.input_shapes(node)):
            same[node.name] = sources[0]
            continue
        for source in sources:
            found.setdefault(source, []).append(reading(node.op))
    for name in graph.outputs:
        found.setdefault(same.get(name, name), []).append(OTHERS)
    names = [*(name for name, _ in graph.inputs), *(node.name for node in graph.nodes)]
    return {name: reduce(together, found.get(name, []), UNREAD) for name in names}
