"""From a network back to the architecture of a space that decodes to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, Node
from edgenas.spaces.space.slot_builder import GONE, NODE, PASS, BuiltPosition
from edgenas.spaces.space.slots import SlotTable
from edgenas.spaces.space.value_tables import lookup
from edgenas.spaces.space.wiring import Wiring
from edgenas.spaces.tensor import TensorSpec, format_shape

Assignment = dict[int, int]
#: By position, the name of the node or network input whose value it has; None for nothing.
Names = dict[str, str | None]
# How a position may be filled, best first.
_EXACT, _COST_ONLY, _SKIPPED, _UNREAD = range(4)


class Encoder:
    """Finds the choices of a space that a network stands for."""

    def __init__(
        self,
        title: str,
        inputs: Sequence[tuple[str, TensorSpec]],
        built: Sequence[BuiltPosition],
        outputs: Sequence[str],
        wiring: Wiring,
    ) -> None:
        self.title = title
        self.inputs = tuple(inputs)
        self.built = tuple(built)
        self.outputs = tuple(outputs)
        self.wiring = wiring

    def encode(self, network: Network) -> Assignment:
        """See :meth:`edgenas.spaces.space.SearchSpace.encode`."""
        if network.inputs != self.inputs:
            raise InputError(
                f"network {network.name!r} has the inputs {dict(network.inputs)}, {self.title} takes "
                f"{dict(self.inputs)}"
            )
        # First with nodes at the positions whose names they carry: where one stage may end and the next begin alike,
        # decoded networks read back as they were. Then by structure alone.
        start: Names = {name: name for name, _ in self.inputs}
        search = _Search(self, network, by_name=True)
        found = search.match(0, 0, {}, start)
        if found is None:
            search = _Search(self, network, by_name=False)
            found = search.match(0, 0, {}, start)
        if found is not None:
            return found
        if search.furthest >= len(network.nodes):
            raise InputError(f"network {network.name!r} ends before {self.title} does")
        node = network.nodes[search.furthest]
        shapes = "+".join(format_shape(shape) for shape in network.input_shapes(node))
        raise InputError(
            f"network {network.name!r} is not in {self.title}: after the nodes before it, the space does not "
            f"offer {node.name!r}, {node.block.describe()} on {shapes}"
        )


class _Search:
    """Assigns nodes to positions in order, with backtracking where positions may be skipped."""

    def __init__(self, encoder: Encoder, network: Network, *, by_name: bool) -> None:
        self._by_name = by_name
        self._encoder = encoder
        self._network = network
        self._shapes = [network.input_shapes(node) for node in network.nodes]
        self._named = {node.name: place for place, node in enumerate(network.nodes)}
        self.furthest = 0

    def match(self, place: int, used: int, known: Assignment, names: Names) -> Assignment | None:
        """The choices that explain the nodes that are left by the positions from ``place`` on, or None."""
        encoder = self._encoder
        if place == len(encoder.built):
            complete = used == len(self._network.nodes)
            return known if complete and tuple(names[o] for o in encoder.outputs) == self._network.outputs else None
        self.furthest = max(self.furthest, used)
        for choices, value, taken in self._candidates(place, used, known, names):
            position = encoder.built[place].position.name
            found = self.match(place + 1, used + taken, known | choices, names | {position: value})
            if found is not None:
                return found
        return None

    def _candidates(
        self, place: int, used: int, known: Assignment, names: Names
    ) -> Iterator[tuple[Assignment, str | None, bool]]:
        """Ways to fill a position, exact fits first: its choices, whose value it has, and whether it takes a node."""
        built = self._encoder.built[place]
        number = self._named.get(built.position.name) if self._by_name else used
        node = self._network.nodes[number] if number is not None and number < len(self._network.nodes) else None
        ranked: list[tuple[int, Assignment, str | None]] = []
        for table in built.slots:
            for row, index in _consistent(table, known):
                choices = dict(zip(table.slot.decisions, row, strict=True))
                entry = table.entry(index)
                read = self._read(built, choices, names)
                if entry is None:
                    # A node of this name is there, so the position was not skipped.
                    if node is None or not self._by_name:
                        ranked.append((_SKIPPED, choices, self._passed(built, choices, read)))
                    continue
                sources = tuple(name for name in read if name is not None)
                if not sources and built.position.zeros_like:
                    sources = (names[built.position.zeros_like] or "",)
                if node is not None and node.inputs == sources:
                    fit = self._fit(node, self._shapes[self._named[node.name]], entry)
                    if fit is not None:
                        ranked.append((fit, choices, node.name))
                if place not in self._encoder.wiring.always and (node is None or not self._by_name):
                    ranked.append((_UNREAD, choices, f"{built.position.name} is not read"))
        ranked.sort(key=lambda item: item[0])
        return ((choices, value, rank in (_EXACT, _COST_ONLY)) for rank, choices, value in ranked)

    @staticmethod
    def _read(built: BuiltPosition, choices: Assignment, names: Names) -> list[str | None]:
        """Whose values a position reads, given what was chosen."""
        read = []
        for source in built.position.inputs:
            name = source.names[0 if source.decision is None else choices[source.decision]]
            read.append(None if name is None else names[name])
        return read

    @staticmethod
    def _passed(built: BuiltPosition, choices: Assignment, read: list[str | None]) -> str | None:
        columns = {decision: np.array([option]) for decision, option in choices.items()}
        kind = int(lookup(built.kinds, columns, 1)[0])
        assert kind != NODE
        return None if kind == GONE else read[kind - PASS]

    @staticmethod
    def _fit(node: Node, shapes: tuple[TensorSpec, ...], entry: SlotEntry) -> int | None:
        if entry.input_shapes != shapes:
            return None
        canonical = node.block.canonical(*shapes)
        if canonical == entry.canonical:
            return _EXACT
        return _COST_ONLY if canonical.describe(cost_only=True) == entry.canonical.describe(cost_only=True) else None


def _consistent(table: SlotTable, known: Assignment) -> list[tuple[list[int], int]]:
    rows, indices = table.rows, table.row_indices
    for place, decision in enumerate(table.slot.decisions):
        if decision in known:
            keep = rows[:, place] == known[decision]
            rows, indices = rows[keep], indices[keep]
    return list(zip(rows.tolist(), indices.tolist(), strict=True))
