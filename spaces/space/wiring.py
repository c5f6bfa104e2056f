"""Which positions of a space are nodes of a network, what they read, and which are read at all.

A position that is skipped passes on the value of its input; one that nothing reads on the way to an output is no part
of the network. All for many architectures at once: arrays over rows of options.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenas.spaces.space.position import InputSource
from edgenas.spaces.space.slot_builder import GONE, NODE, PASS, BuiltPosition
from edgenas.spaces.space.value_tables import UNKNOWN, Columns, ValueTable, lookup

Mask = NDArray[np.bool_]


def selected(source: InputSource, name: str, columns: Columns, count: int) -> Mask:
    """(count,) where an input comes from this name."""
    if source.decision is None:
        return np.full(count, source.names[0] == name)
    options = [option for option, offered in enumerate(source.names) if offered == name]
    return np.isin(columns[source.decision], options)


@dataclass(frozen=True)
class Values:
    """Rows of architectures, worked out.

    Attributes:
        kinds: (positions, rows) GONE, NODE or PASS and more.
        needed: (positions, rows) whether something reads the value on the way to an output.
        inputs: for each position, for each of its inputs, (rows,) the number of the value it reads: first the network's
            inputs, then the positions that are nodes; -1 where it is left out. Zeros read what they are like.
        outputs: for each output of the space, (rows,) the number of its value.
    """

    kinds: NDArray[np.int32]
    needed: Mask
    inputs: tuple[tuple[NDArray[np.intp], ...], ...]
    outputs: tuple[NDArray[np.intp], ...]


@dataclass(frozen=True)
class OneRow:
    """:class:`Values` of one architecture: plain numbers."""

    kinds: Sequence[int]
    needed: Sequence[bool]
    inputs: Sequence[tuple[int, ...]]
    outputs: Sequence[int]


class Wiring:
    """The positions of a space with what they read."""

    def __init__(self, inputs: Sequence[str], built: Sequence[BuiltPosition], outputs: Sequence[str]) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self._built = tuple(built)
        self._places = {each.position.name: place for place, each in enumerate(built)}
        self._kinds = [_possible_kinds(each) for each in built]
        self.always = self._always_needed()
        self._asked = self._decisions_of_need()

    def decisions(self, place: int) -> frozenset[int]:
        """Decisions that say whether a position is needed; none where it always is."""
        return self._asked[place]

    def possible_kinds(self, place: int) -> frozenset[int]:
        """What may become of a position: GONE, NODE or PASS and more."""
        return frozenset(self._kinds[place])

    def is_ever_gone(self, name: str) -> bool:
        """Whether some architectures have nothing at this position."""
        return name in self._places and GONE in self._kinds[self._places[name]]

    def kinds(self, columns: Columns, count: int) -> NDArray[np.int32]:
        """(positions, rows) what becomes of each."""
        found = np.empty((len(self._built), count), np.int32)
        for place, each in enumerate(self._built):
            found[place] = lookup(each.kinds, columns, count)
        return found

    def needed(self, columns: Columns, count: int, kinds: NDArray[np.int32] | None = None) -> Mask:
        """(positions, rows) which are read on the way to an output. Columns that say nothing of a position may lack."""
        kinds = self.kinds(columns, count) if kinds is None else kinds
        found = np.zeros((len(self._built), count), bool)
        for output in self.outputs:
            if output in self._places:
                found[self._places[output]] = True
        for place in reversed(range(len(self._built))):
            if place in self.always:
                found[place] = True
            position = self._built[place].position
            reads_any = np.zeros(count, bool)
            for number, source in enumerate(position.inputs):
                reads = found[place] & ((kinds[place] == NODE) | (kinds[place] == PASS + number))
                for name in dict.fromkeys(source.names):
                    if name is None:
                        continue
                    before = self._places.get(name)
                    chosen = self._selected(source, name, columns, count)
                    there = chosen if before is None else chosen & (kinds[before] != GONE)
                    reads_any |= there
                    if before is not None:
                        found[before] |= reads & there
            if position.zeros_like in self._places:
                found[self._places[position.zeros_like]] |= found[place] & (kinds[place] == NODE) & ~reads_any
        return found

    @staticmethod
    def _selected(source: InputSource, name: str, columns: Columns, count: int) -> Mask:
        if source.decision is not None and source.decision not in columns:
            return np.zeros(count, bool)
        return selected(source, name, columns, count)

    def values(self, columns: Columns, count: int, places: Collection[int] | None = None) -> Values:
        """Everything about rows of architectures; with ``places``, of these alone: the others are nodes.

        Columns that say nothing of ``places`` may lack.
        """
        kinds = self.kinds(columns, count)
        numbers: dict[str, NDArray[np.intp]] = {
            name: np.full(count, place, np.intp) for place, name in enumerate(self.inputs)
        }
        inputs: list[tuple[NDArray[np.intp], ...]] = []
        for place, each in enumerate(self._built):
            position = each.position
            if places is not None and place not in places:
                numbers[position.name] = np.full(count, len(self.inputs) + place, np.intp)
                inputs.append(())
                continue
            read = []
            for source in position.inputs:
                number = np.full(count, -1, np.intp)
                for name in dict.fromkeys(source.names):
                    if name is not None:
                        number = np.where(selected(source, name, columns, count), numbers[name], number)
                read.append(number)
            own = np.where(kinds[place] == NODE, len(self.inputs) + place, -1)
            for index, number in enumerate(read):
                own = np.where(kinds[place] == PASS + index, number, own)
            numbers[position.name] = own
            if position.zeros_like:
                empty = np.all([number < 0 for number in read], axis=0)
                read[0] = np.where(empty, numbers[position.zeros_like], read[0])
            inputs.append(tuple(read))
        needed = self.needed(columns, count, kinds)
        return Values(kinds, needed, tuple(inputs), tuple(numbers[name] for name in self.outputs))

    def of_one(self, choices: Sequence[int]) -> OneRow:
        """As :meth:`values` for a single architecture, in a fraction of the time."""
        kinds = [_kind(each.kinds, choices) for each in self._built]
        numbers: dict[str, int] = {name: place for place, name in enumerate(self.inputs)}
        inputs: list[tuple[int, ...]] = []
        names: list[list[str | None]] = []
        for place, each in enumerate(self._built):
            position, kind = each.position, kinds[place]
            chosen = [
                source.names[0 if source.decision is None else choices[source.decision]] for source in position.inputs
            ]
            read = [-1 if name is None else numbers[name] for name in chosen]
            numbers[position.name] = (
                len(self.inputs) + place if kind == NODE else read[kind - PASS] if kind >= PASS else -1
            )
            if position.zeros_like and all(number < 0 for number in read):
                read[0] = numbers[position.zeros_like]
            inputs.append(tuple(read))
            names.append(chosen)
        return OneRow(kinds, self._needed_of_one(kinds, names), inputs, [numbers[name] for name in self.outputs])

    def _needed_of_one(self, kinds: Sequence[int], names: Sequence[Sequence[str | None]]) -> list[bool]:
        needed = [place in self.always for place in range(len(self._built))]
        for output in self.outputs:
            if output in self._places:
                needed[self._places[output]] = True
        for place in reversed(range(len(self._built))):
            if not needed[place]:
                continue
            there = [
                name is not None and (name not in self._places or kinds[self._places[name]] != GONE)
                for name in names[place]
            ]
            for number, name in enumerate(names[place]):
                if there[number] and name in self._places and kinds[place] in (NODE, PASS + number):
                    needed[self._places[name]] = True
            like = self._built[place].position.zeros_like
            if like in self._places and kinds[place] == NODE and not any(there):
                needed[self._places[like]] = True
        return needed

    def _always_needed(self) -> frozenset[int]:
        always: set[int] = {self._places[name] for name in self.outputs if name in self._places}
        for place in reversed(range(len(self._built))):
            if place not in always:
                continue
            position = self._built[place].position
            for number, source in enumerate(position.inputs):
                reads = self._kinds[place] <= {NODE, PASS + number}
                if reads and source.decision is None and source.names[0] in self._places:
                    always.add(self._places[source.names[0]])
        return frozenset(always)

    def _decisions_of_need(self) -> list[frozenset[int]]:
        asked: list[set[int]] = [set() for _ in self._built]
        for place in reversed(range(len(self._built))):
            position = self._built[place].position
            kinds = {decision for table in self._built[place].kinds for decision in table.decisions}
            of_inputs = {source.decision for source in position.inputs if source.decision is not None}
            for name in position.sources():
                before = self._places.get(name)
                if before is None or before in self.always:
                    continue
                gone = {decision for table in self._built[before].kinds for decision in table.decisions}
                asked[before] |= asked[place] | kinds | of_inputs | gone
                if position.zeros_like == name:
                    for other in position.sources():
                        if other in self._places:
                            tables = self._built[self._places[other]].kinds
                            asked[before] |= {decision for table in tables for decision in table.decisions}
        return [frozenset() if place in self.always else frozenset(each) for place, each in enumerate(asked)]


def _kind(tables: Sequence[ValueTable], choices: Sequence[int]) -> int:
    return max((int(table.numbers[tuple(choices[d] for d in table.decisions)]) for table in tables), default=UNKNOWN)


def _possible_kinds(built: BuiltPosition) -> set[int]:
    return {int(kind) for table in built.kinds for kind in np.unique(table.numbers) if kind >= 0}


def columns_of(population: NDArray[np.int16]) -> Columns:
    """The options of a population by decision."""
    return _Columns(population)


class _Columns(Mapping[int, NDArray[np.intp]]):
    """Columns of a population, converted when they are asked for."""

    def __init__(self, population: NDArray[np.int16]) -> None:
        self._population = population
        self._known: dict[int, NDArray[np.intp]] = {}

    def __getitem__(self, decision: int) -> NDArray[np.intp]:
        if decision not in self._known:
            self._known[decision] = self._population[:, decision].astype(np.intp)
        return self._known[decision]

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._population.shape[1]))

    def __len__(self) -> int:
        return int(self._population.shape[1])
