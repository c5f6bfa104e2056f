"""Tables of positions whose blocks run otherwise beside some blocks than beside others, told apart by what is given.

Which ops are given to a block (:mod:`edgenas.spaces.sharing`) depends on the blocks that make what it reads and on
those that read the same. Where all of that depends on few decisions it is worked into the tables; else it is worked
out for each population.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgenas.spaces.deployment import FOLDED, RELU, RELU6, UNREAD, FirstOps, together
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.graph import OpGraph
from edgenas.spaces.sharing import PlacedNodes, Sharing
from edgenas.spaces.space.population import Population
from edgenas.spaces.space.slot_builder import NODE, PASS, BuiltPosition, SlotBuilder
from edgenas.spaces.space.slots import Slot, SlotTable
from edgenas.spaces.space.value_tables import Columns
from edgenas.spaces.space.wiring import Wiring, columns_of

#: Combinations up to which it is worked into the tables.
_MOST_ROWS = 70_000


def fold_given(
    builder: SlotBuilder, wiring: Wiring, built: Sequence[BuiltPosition], tables: Sequence[SlotTable]
) -> tuple[tuple[SlotTable, ...], GivenOps | None]:
    """The tables with what is given to their blocks; and who works it out where that was too much, or None."""
    involved = _Relations(wiring, built, tables).involved()
    if not involved:
        return tuple(tables), None
    given = GivenOps(wiring, built, tables, involved)
    needed = builder.closure(given.decisions())
    if np.prod(builder.shape(needed), dtype=np.float64) > _MOST_ROWS:
        given.find_all()
        return tuple(tables), given
    strides, size = builder.strides(needed)
    rows = builder.rows(needed)
    columns = {index: rows[:, column].astype(np.intp) for column, index in enumerate(needed)}
    variants = given.variants(columns, len(rows))
    at = rows.astype(np.intp) @ strides
    folded = []
    for table in tables:
        place = given.places[table.position]
        numbers = variants[place]
        if place not in involved or not any(given.entries[number].given for number in np.unique(numbers[numbers >= 0])):
            folded.append(table)
            continue
        own = table.index[given.table_places(table, columns)]
        index = np.full(size, -1, np.int32)
        index[at] = np.where(own >= 0, numbers, -1)
        kept, index[index >= 0] = np.unique(index[index >= 0], return_inverse=True)
        entries = tuple(given.entries[number] for number in kept.tolist())
        slot = Slot(table.slot.name, needed)
        folded.append(dataclasses.replace(table, slot=slot, strides=strides, index=index, entries=entries, rows=rows))
    return tuple(folded), None


class GivenOps:
    """What is given to the blocks at the involved positions, for rows of options."""

    def __init__(
        self,
        wiring: Wiring,
        built: Sequence[BuiltPosition],
        tables: Sequence[SlotTable],
        involved: frozenset[int],
    ) -> None:
        self.places = {each.position.name: place for place, each in enumerate(built)}
        self.involved = involved
        self._wiring = wiring
        self._built = built
        self._tables: dict[int, list[SlotTable]] = {}
        for table in tables:
            if self.places[table.position] in involved:
                self._tables.setdefault(self.places[table.position], []).append(table)
        plain = dict.fromkeys(entry for place in self._tables.values() for table in place for entry in table.entries)
        self._numbers = {entry: number for number, entry in enumerate(plain)}
        self._sharing = Sharing(len(wiring.inputs), list(plain))

    @property
    def entries(self) -> Sequence[SlotEntry]:
        """The variants that were found up to now, by number."""
        return self._sharing.variants

    def find_all(self) -> None:
        """Collects every variant that there may be into :attr:`entries`."""
        self._sharing.possible()

    def decisions(self) -> set[int]:
        """Those that it depends on."""
        found: set[int] = set()
        for place in self.involved:
            position = self._built[place].position
            found |= self._wiring.decisions(place) | position.decisions()
            found |= {decision for table in self._tables[place] for decision in table.slot.decisions}
            found |= {decision for table in self._built[place].kinds for decision in table.decisions}
        return found

    @staticmethod
    def table_places(table: SlotTable, columns: Columns) -> NDArray[np.intp]:
        """(rows,) places in a table's index."""
        places = np.zeros((), np.intp)
        for decision, stride in zip(table.slot.decisions, table.strides.tolist(), strict=True):
            places = places + columns[decision] * stride
        return np.asarray(places)

    def of_population(self, population: Population) -> NDArray[np.int32]:
        """(positions, N) as :meth:`variants`."""
        return self.variants(columns_of(population), len(population))

    def variants(self, columns: Columns, count: int) -> NDArray[np.int32]:
        """(positions, rows) numbers of :attr:`entries`; -1 where no node is, and for positions not involved."""
        values = self._wiring.values(columns, count, self.involved)
        nobody = np.full(count, -1, np.intp)
        nodes = []
        for place in range(len(self._built)):
            if place not in self.involved:
                nodes.append(PlacedNodes(nobody, ()))
                continue
            chosen = nobody.copy()
            for table in self._tables[place]:
                numbers = np.array([*(self._numbers[entry] for entry in table.entries), -1], np.intp)
                chosen = np.maximum(chosen, numbers[table.index[self.table_places(table, columns)]])
            there = (values.kinds[place] == NODE) & values.needed[place]
            nodes.append(PlacedNodes(np.where(there, chosen, -1), values.inputs[place]))
        return self._sharing.given(nodes, values.outputs, count)


@dataclass(frozen=True)
class _Relations:
    """Which positions may read what others make or read, from what may stand at them."""

    wiring: Wiring
    built: Sequence[BuiltPosition]
    tables: Sequence[SlotTable]

    @cached_property
    def first(self) -> list[list[FirstOps]]:
        """What the different blocks at each position begin with."""
        known: dict[int, FirstOps | None] = {}
        found: list[list[FirstOps]] = [[] for _ in self.built]
        places = {each.position.name: place for place, each in enumerate(self.built)}
        for table in self.tables:
            for entry in table.entries:
                if id(entry) not in known:
                    known[id(entry)] = FirstOps.of(entry.graph) if _may_share(entry.graph) else None
                first = known[id(entry)]
                if first is not None and first.matters:
                    found[places[table.position]].append(first)
        return found

    def involved(self) -> frozenset[int]:
        """Positions at which it depends on others what runs, and these others."""
        found: set[int] = set()
        for place, first in enumerate(self.first):
            if not first:
                continue
            sources = self._sources(place)
            readers = self._readers(sources)
            makers = {self._places[name] for name in sources if name in self._places}
            taken = makers and any(_may_be_taken(each) for each in first)
            if taken or any(self._shares(place, other) for other in readers - {place}):
                found |= {place} | makers | readers
        return frozenset(found)

    def _shares(self, place: int, other: int) -> bool:
        own = {op for each in self.first[place] for _, op, _ in each.ops}
        return any(op in own for each in self.first[other] for _, op, _ in each.ops)

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {each.position.name: place for place, each in enumerate(self.built)}

    def _hands_on(self, place: int) -> bool:
        """Whether what is read here may be what others read there: nothing is done, or what others do as well."""
        passes = any(kind >= PASS for kind in self.wiring.possible_kinds(place))
        return passes or any(each.output is not None for each in self.first[place])

    def _sources(self, place: int) -> set[str]:
        """Names whose values may be read at a position, by any way."""
        found: set[str] = set()
        left = [*self.built[place].position.sources()]
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                if name in self._places and self._hands_on(self._places[name]):
                    left += self.built[self._places[name]].position.sources()
        return found

    def _readers(self, names: set[str]) -> set[int]:
        """Positions that may read these values, by any way."""
        found: set[int] = set()
        left = sorted(names)
        while left:
            for reader in self._direct_readers.get(left.pop(), ()):
                if reader not in found:
                    found.add(reader)
                    if self._hands_on(reader):
                        left.append(self.built[reader].position.name)
        return found

    @cached_property
    def _direct_readers(self) -> Mapping[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place, each in enumerate(self.built):
            for name in each.position.sources():
                found.setdefault(name, []).append(place)
        return found


def _may_be_taken(first: FirstOps) -> bool:
    """Whether the operator of some input can take an op along: not where the block itself reads that input otherwise.

    A relu of what is clamped already is nothing, whoever reads it.
    """
    readers: dict[int, int] = {}
    for reference, kind in first.reads:
        readers[reference] = together(readers.get(reference, UNREAD), kind)
    return any(kind == RELU for _, kind in first.reads) or any(kind in (RELU6, FOLDED) for kind in readers.values())


def _may_share(graph: OpGraph) -> bool:
    """Whether some op without a kernel reads inputs alone: quick, since most blocks begin with a convolution."""
    inputs = {name for name, _ in graph.inputs}
    return any(not node.op.traits.has_kernel and inputs.issuperset(node.inputs) for node in graph.nodes)
