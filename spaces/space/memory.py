"""The most activation memory that is alive at once, for whole populations: liveness over the graph of positions.

While a node runs, its own ops hold some bytes (its inputs among them), and every other value that a later node reads
is alive too. What a node's ops hold depends on whether somebody else still needs its inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgenas.spaces.cost import graph_peak_bytes
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.space.population import Population
from edgenas.spaces.space.position import Position
from edgenas.spaces.space.slot_builder import NODE
from edgenas.spaces.space.slots import SlotTable
from edgenas.spaces.space.value_tables import distinct_rows
from edgenas.spaces.space.wiring import Values, Wiring, columns_of
from edgenas.spaces.tensor import TensorSpec, check_precision

_CHUNK = 4096


class ActivationMemory:
    """Peaks of the networks of one space; what the ops of a block hold is worked out once."""

    def __init__(
        self,
        inputs: Mapping[str, TensorSpec],
        positions: Sequence[Position],
        wiring: Wiring,
        tables: Mapping[str, Sequence[SlotTable]],
    ) -> None:
        self._inputs = tuple(inputs.values())
        self._positions = positions
        self._wiring = wiring
        self._entries: list[SlotEntry] = []
        numbers: dict[SlotEntry, int] = {}
        #: Of each position's tables, the number of the entry at each place; -1 for none.
        self._numbers: list[list[tuple[SlotTable, NDArray[np.intp]]]] = []
        for position in positions:
            numbered = []
            for table in tables[position.name]:
                own = [numbers.setdefault(entry, len(numbers)) for entry in table.entries]
                numbered.append((table, np.array([*own, -1], np.intp)[table.index]))
            self._numbers.append(numbered)
        self._entries = list(numbers)
        self._held: dict[tuple[int, str, str], int] = {}

    def peaks(self, population: Population, precision: str) -> NDArray[np.float64]:
        """(N,) bytes. Raises InputError for an unknown precision."""
        check_precision(precision)
        found = np.zeros(len(population), np.float64)
        for start in range(0, len(population), _CHUNK):
            rows = slice(start, start + _CHUNK)
            found[rows] = self._chunk(population[rows], precision)
        return found

    def _chunk(self, population: Population, precision: str) -> NDArray[np.float64]:
        count, first = len(population), len(self._inputs)
        values = self._wiring.values(columns_of(population), count)
        last_use = self._last_use(values, count)
        latest = last_use.max(axis=0, initial=0)
        sizes = np.zeros((count, first + len(self._positions)), np.float64)
        for place, spec in enumerate(self._inputs):
            sizes[:, place] = spec.bytes(precision)
        output_bytes = np.array([e.graph.output_shapes[0].bytes(precision) for e in self._entries] + [0.0])
        peak = sizes.sum(axis=1)
        for place in range(len(self._positions)):
            rows = np.flatnonzero((values.kinds[place] == NODE) & values.needed[place])
            if not len(rows):
                continue
            entries = np.full(count, -1, np.intp)
            for table, numbers in self._numbers[place]:
                entries = np.maximum(entries, numbers[table.places(population)])
            inputs = [number[rows] for number in values.inputs[place]]
            held = self._held_bytes(entries[rows], inputs, last_use[rows], place, precision)
            for value in np.flatnonzero(latest[: first + place] > place + 1):
                others = last_use[rows, value] > place + 1
                for number in inputs:
                    others = others & (number != value)
                held += others * sizes[rows, value]
            peak[rows] = np.maximum(peak[rows], held)
            sizes[:, first + place] = output_bytes[entries]
        return peak

    def _last_use(self, values: Values, count: int) -> NDArray[np.int32]:
        """(rows, values) the last position that reads each value, counted from 1; beyond all for outputs."""
        last_use = np.zeros((count, len(self._inputs) + len(self._positions)), np.int32)
        for place in range(len(self._positions)):
            reads = (values.kinds[place] == NODE) & values.needed[place]
            for number in values.inputs[place]:
                rows = np.flatnonzero(reads & (number >= 0))
                last_use[rows, number[rows]] = place + 1
        for number in values.outputs:
            last_use[np.arange(count), number] = len(self._positions) + 1
        return last_use

    def _held_bytes(
        self,
        entries: NDArray[np.intp],
        inputs: Sequence[NDArray[np.intp]],
        last_use: NDArray[np.int32],
        place: int,
        precision: str,
    ) -> NDArray[np.float64]:
        """(rows,) what the ops of a node hold, its inputs included, given which of them are read later or twice."""
        count = len(entries)
        columns = [entries]
        for number in inputs:
            later = np.where(number >= 0, last_use[np.arange(count), number] > place + 1, False)
            # The place among the inputs of the first that reads the same value; -1 where it is left out.
            same = np.full(count, -1, np.intp)
            for index in reversed(range(len(inputs))):
                same = np.where((inputs[index] == number) & (number >= 0), index, same)
            columns += [later, same]
        different, which = distinct_rows(columns)
        found = [self._held_by(tuple(row), precision) for row in different.tolist()]
        return np.array(found, np.float64)[which]

    def _held_by(self, row: tuple[int, ...], precision: str) -> int:
        key = (row[0], ",".join(map(str, row[1:])), precision)
        if key not in self._held:
            read = [(bool(row[at]), row[at + 1]) for at in range(1, len(row), 2) if row[at + 1] >= 0]
            graph = self._entries[row[0]].graph
            names = [name for name, _ in graph.inputs]
            leaders: dict[int, str] = {}
            same = {name: leaders.setdefault(value, name) for name, (_, value) in zip(names, read, strict=False)}
            kept = {same[name] for name, (later, _) in zip(names, read, strict=False) if later}
            self._held[key] = graph_peak_bytes(_with_equal_inputs(graph, same), precision, tuple(kept))
        return self._held[key]


def _with_equal_inputs(graph: OpGraph, same: Mapping[str, str]) -> OpGraph:
    """The graph where inputs that are one value are one input."""
    if all(name == leader for name, leader in same.items()):
        return graph
    left = {name: shape for name, shape in graph.inputs if same.get(name, name) == name}
    builder = GraphBuilder(*left.values(), input_names=tuple(left))
    for node in graph.nodes:
        builder.add(node.name, node.op, *(same.get(source, source) for source in node.inputs), weights=node.weights)
    return builder.build(*graph.outputs)
