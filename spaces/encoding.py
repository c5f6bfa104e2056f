"""From a network back to the architecture of a space that decodes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgenas.spaces.decision import Architecture
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, Node
from edgenas.spaces.slots import SlotEntry, SlotTable

if TYPE_CHECKING:
    from edgenas.spaces.space import SearchSpace

Assignment = dict[int, int]
# How a slot may be filled, best first.
_EXACT, _COST_ONLY, _ABSENT = range(3)


def encode_network(space: SearchSpace, network: Network) -> Architecture:
    """See :meth:`edgenas.spaces.space.SearchSpace.encode`."""
    _check_chain(space, network)
    # First with nodes at the slots whose names they carry: where one stage may end and the next begin alike, decoded
    # networks read back as they were. Then by structure alone.
    assignment = _Search(space, network, by_name=True).match(0, 0, {})
    search = _Search(space, network, by_name=False)
    assignment = search.match(0, 0, {}) if assignment is None else assignment
    if assignment is None:
        if search.furthest >= len(network.nodes):
            raise InputError(f"network {network.name!r} ends before space {space.name!r} does")
        node = network.nodes[search.furthest]
        shapes = "+".join("x".join(map(str, shape)) for shape in network.input_shapes(node))
        raise InputError(
            f"network {network.name!r} is not in space {space.name!r}: after the nodes before it, the space does not "
            f"offer {node.name!r}, {node.block.describe()} on {shapes}"
        )
    return Architecture(tuple(assignment.get(index, 0) for index in range(len(space.decisions))))


def _check_chain(space: SearchSpace, network: Network) -> None:
    if network.inputs != (("image", space.input_shape),):
        raise InputError(
            f"network {network.name!r} has the inputs {dict(network.inputs)}, space {space.name!r} takes "
            f"{{'image': {space.input_shape}}}"
        )
    source = "image"
    for node in network.nodes:
        if node.inputs != (source,):
            raise InputError(f"network {network.name!r} is not a chain at {node.name!r}, so it is in no chain space")
        source = node.name
    if network.outputs != (source,):
        raise InputError(f"network {network.name!r} has the outputs {network.outputs}, expected the last node")


class _Search:
    """Assigns nodes to slots in order, with backtracking where layers may be absent."""

    def __init__(self, space: SearchSpace, network: Network, *, by_name: bool) -> None:
        self._by_name = by_name
        self._space = space
        self._network = network
        self._shapes = [network.input_shapes(node) for node in network.nodes]
        self.furthest = 0

    def match(self, slot: int, node: int, known: Assignment) -> Assignment | None:
        """The choices that explain the nodes from ``node`` on by the slots from ``slot`` on, or None."""
        if slot == len(self._space.slots):
            return known if node == len(self._network.nodes) else None
        self.furthest = max(self.furthest, node)
        table = self._space.slot_table(self._space.slots[slot])
        for choices, present in self._candidates(table, node, known):
            found = self.match(slot + 1, node + present, known | choices)
            if found is not None:
                return found
        return None

    def _candidates(self, table: SlotTable, position: int, known: Assignment) -> list[tuple[Assignment, bool]]:
        """Ways to fill a slot: the node at ``position`` where it fits (exact fits first), else nothing."""
        node = self._network.nodes[position] if position < len(self._network.nodes) else None
        ranked = []
        for row, index in self._consistent(table, known):
            entry = table.entries[index]
            if entry is None:
                ranked.append((_ABSENT, row))
            elif node is not None and entry.input_shapes == self._shapes[position]:
                named = node.name == table.slot.name or not self._by_name
                fit = self._fit(node, position, entry) if named else None
                if fit is not None:
                    ranked.append((fit, row))
        ranked.sort(key=lambda item: item[0])
        return [(dict(zip(table.slot.decisions, row, strict=True)), rank != _ABSENT) for rank, row in ranked]

    def _fit(self, node: Node, position: int, entry: SlotEntry) -> int | None:
        canonical = node.block.canonical(*self._shapes[position])
        if canonical == entry.canonical:
            return _EXACT
        return _COST_ONLY if canonical.describe(cost_only=True) == entry.canonical.describe(cost_only=True) else None

    @staticmethod
    def _consistent(table: SlotTable, known: Assignment) -> list[tuple[list[int], int]]:
        rows, indices = table.rows, table.row_indices
        for place, decision in enumerate(table.slot.decisions):
            if decision in known:
                keep = rows[:, place] == known[decision]
                rows, indices = rows[keep], indices[keep]
        return list(zip(rows.tolist(), indices.tolist(), strict=True))
