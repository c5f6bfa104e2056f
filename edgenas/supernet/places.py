"""The places of a supernet, worked out from the positions of a space: branches of ops, and numbers that choose.

Every block that may stand at a position is lowered to ops. Blocks whose ops are the same but for numbers (filters,
kernels, groups) go through one *branch*; an architecture is then a row of whole numbers for every place: which branch,
which of the searched inputs, and the numbers of its ops. The supernet's graph is built once and is fed those rows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import OpGraph
from edgenas.spaces.ops import Op
from edgenas.spaces.space.decision import Architecture
from edgenas.spaces.space.position import Position
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.spaces.space.slot_builder import GONE, NODE, PASS
from edgenas.spaces.space.wiring import columns_of
from edgenas.supernet import attention_layers as _attention_layers  # noqa: F401  (registers)
from edgenas.supernet import layers as _layers  # noqa: F401  (registers)
from edgenas.supernet import scaling_layers as _scaling_layers  # noqa: F401
from edgenas.supernet import sequence_layers as _sequence_layers  # noqa: F401
from edgenas.supernet.shared_layer import Variant, family, fixed_part, has_shared_weights, is_supported, shared_layer

#: Key of shared weights: position, op's name, op's class, and the kind of block or a family of several kinds.
Owner = tuple[str, ...]
Plan = npt.NDArray[np.int32]
#: Source number of what a position reads when all its inputs are left out.
ZEROS_LIKE = -1


@dataclass(frozen=True)
class BranchNode:
    """An op of a branch. ``owner`` is the key of its shared weights, None where it has none."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    owner: Owner | None
    example: Variant


@dataclass(frozen=True)
class Branch:
    """Ops in order. ``reads`` are numbers of the position's inputs, ``inputs`` the names they have in the ops."""

    reads: tuple[int, ...]
    inputs: tuple[str, ...]
    nodes: tuple[BranchNode, ...]
    output: str


class Place:
    """A position with its branches. Branch 0 is nothing, 1 and more pass on an input, then come the ops."""

    def __init__(self, space: SearchSpace, position: Position) -> None:
        self.position = position
        self._space = space
        self.variants: dict[Owner, list[Variant]] = {}
        self.branches: list[Branch] = []
        self._numbers: dict[tuple[object, ...], int] = {}
        for entry in self._entries():
            for reads in self._possible_reads(len(entry.input_shapes)):
                self._add(entry, reads)

    @property
    def name(self) -> str:
        return self.position.name

    @property
    def input_count(self) -> int:
        return len(self.position.inputs)

    @cached_property
    def sides(self) -> tuple[int | None, ...] | None:
        """Sides of what the place puts out, None for those that differ; None where it only passes on its inputs."""
        shapes = [entry.graph.output_shapes[0] for entry in self._entries()]
        if not shapes:
            return None
        if 0 in self.reachable:
            return (None,) * len(shapes[0])
        return tuple(sides[0] if len(set(sides)) == 1 else None for sides in zip(*shapes, strict=True))

    def branch_number(self, entry: SlotEntry, reads: tuple[int, ...]) -> int:
        """Number of the branch, those that are no ops included."""
        return 1 + self.input_count + self._numbers[self._key(entry.block.kind, entry.graph, reads)]

    def weighted_ops(self, entry: SlotEntry) -> Iterator[tuple[str, Owner, Variant]]:
        """The ops of an entry that have shared weights, in their order: name, key of the weights, op on its inputs."""
        for node in entry.graph.nodes:
            if has_shared_weights(node.op):
                owner = self._owner(entry.block.kind, node.weights or node.name, node.op)
                yield node.name, owner, Variant(node.op, entry.graph.input_shapes(node))

    @property
    def reachable(self) -> list[int]:
        """Numbers of the branches that some architecture has, those that are no ops included."""
        number = self._space.positions.index(self.position)
        kinds = self._space.wiring.possible_kinds(number)
        found = [0] if GONE in kinds or number not in self._space.wiring.always else []
        found += [1 + kind - PASS for kind in sorted(kinds) if kind >= PASS]
        return found + [1 + self.input_count + index for index in range(len(self.branches))]

    def _entries(self) -> Iterator[SlotEntry]:
        for slot in self._space.slots:
            table = self._space.slot_table(slot)
            if table.position == self.name:
                yield from table.entries

    def _possible_reads(self, count: int) -> Iterator[tuple[int, ...]]:
        """Which inputs may be those that are there, when so many are."""
        always: list[int] = []
        sometimes: list[int] = []
        for number, source in enumerate(self.position.inputs):
            lacks = None in source.names or any(
                self._space.wiring.is_ever_gone(name) for name in source.names if name is not None
            )
            (sometimes if lacks else always).append(number)
        for chosen in itertools.combinations(sometimes, count - len(always)) if count >= len(always) else ():
            yield tuple(sorted([*always, *chosen]))
        if self.position.zeros_like and not always and count == 1:
            yield (ZEROS_LIKE,)

    def _add(self, entry: SlotEntry, reads: tuple[int, ...]) -> None:
        graph, kind = entry.graph, entry.block.kind
        nodes = []
        for node in graph.nodes:
            variant = Variant(node.op, graph.input_shapes(node))
            if not is_supported(variant.op, variant.inputs):
                raise InputError(
                    f"space {self._space.name!r} has no supernet: block {kind!r} at {self.name!r} holds "
                    f"{type(node.op).__name__}, for which there is no supernet layer; take another algorithm, such as "
                    "auto, or register one with edgenas.supernet.shared_layer.shared_layer_for"
                )
            owner = None
            if has_shared_weights(node.op):
                owner = self._owner(kind, node.weights or node.name, node.op)
                self.variants.setdefault(owner, []).append(variant)
            nodes.append(BranchNode(node.name, node.op, node.inputs, owner, variant))
        key = self._key(kind, graph, reads)
        if key not in self._numbers:
            self._numbers[key] = len(self.branches)
            names = tuple(name for name, _ in graph.inputs)
            self.branches.append(Branch(reads, names, tuple(nodes), graph.outputs[0]))

    def _owner(self, kind: str, node: str, op: Op) -> Owner:
        shared = family(op)
        return (self.name, node, type(op).__name__, f"kind {kind}" if shared is None else shared)

    @staticmethod
    def _key(kind: str, graph: OpGraph, reads: tuple[int, ...]) -> tuple[object, ...]:
        ops = tuple(
            (node.name, type(node.op), fixed_part(node.op), family(node.op), node.inputs, node.weights)
            for node in graph.nodes
        )
        return (kind, ops, tuple(name for name, _ in graph.inputs), graph.outputs, reads)


class Places:
    """All places of a space, and the plan of every architecture.

    Raises InputError, naming block and op, for a space that holds an op without a shared layer.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.places = [Place(space, position) for position in space.positions]
        self._index = {place.name: number for number, place in enumerate(self.places)}
        self.layers = {
            owner: shared_layer(variants) for place in self.places for owner, variants in place.variants.items()
        }

    @property
    def parameters(self) -> int:
        """Numbers that are trained."""
        layers = self.layers.values()
        return sum(math.prod(weight.shape) for layer in layers for weight in layer.weights if weight.trained)

    @cached_property
    def width(self) -> int:
        """Numbers in the row of a place: its branch, its inputs, its ops."""
        most = 0
        for place in self.places:
            for branch in place.branches:
                most = max(most, place.input_count + self._op_numbers(branch.nodes))
        return 1 + most

    def _op_numbers(self, nodes: Sequence[BranchNode]) -> int:
        return sum(len(self.layers[node.owner].numbers(node.example)) for node in nodes if node.owner is not None)

    def plan(self, architecture: Architecture) -> Plan:
        """(places, :attr:`width`) the numbers of an architecture."""
        row = np.array([architecture.choices], np.int16)
        columns = columns_of(row)
        kinds = self.space.wiring.kinds(columns, 1)
        needed = self.space.wiring.needed(columns, 1, kinds)
        plan = np.zeros((len(self.places), self.width), np.int32)
        for number, place in enumerate(self.places):
            kind = int(kinds[number, 0])
            if kind == GONE or not needed[number, 0]:
                continue
            reads = []
            for index, source in enumerate(place.position.inputs):
                option = 0 if source.decision is None else architecture.choices[source.decision]
                plan[number, 1 + index] = option
                name = source.names[option]
                if name is not None and (name not in self._index or kinds[self._index[name], 0] != GONE):
                    reads.append(index)
            if kind >= PASS:
                plan[number, 0] = 1 + kind - PASS
                continue
            assert kind == NODE
            entry = self.space.entry_at(place.name, row)
            assert entry is not None
            plan[number, 0] = place.branch_number(entry, tuple(reads) or (ZEROS_LIKE,))
            numbers = [
                value
                for _, owner, variant in place.weighted_ops(entry)
                for value in self.layers[owner].numbers(variant)
            ]
            plan[number, 1 + place.input_count : 1 + place.input_count + len(numbers)] = numbers
        return plan
