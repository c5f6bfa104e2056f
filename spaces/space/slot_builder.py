"""Builds the tables of each position of a space, and refuses spaces in which some combination cannot be built."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.spaces.block import Block
from edgenas.spaces.blocks.merges import Zeros
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.decision import Decision
from edgenas.spaces.space.population import Population, Populations
from edgenas.spaces.space.position import InputSource, Position, PositionChoice
from edgenas.spaces.space.slots import Slot, SlotTable
from edgenas.spaces.space.value_tables import UNKNOWN, Columns, ValueTable, constant, distinct_rows, lookup, merged
from edgenas.spaces.tensor import TensorSpec, format_shape
from edgenas.spaces.yaml_files import Scalar

_SHOWN_PROBLEMS = 4
#: Combinations of one table; a position with more has several tables, one for each option of a searched input.
_MOST_ROWS = 40_000
#: Beyond this a table is refused.
_MOST_PLACES = 8_000_000

#: What becomes of a position: nothing, a node, or (from here on) the value of its first, second, ... input.
GONE, NODE, PASS = 0, 1, 2


@dataclass(frozen=True, eq=False)
class BuiltPosition:
    """A position's tables: its slots, the numbers of the specs it puts out, and what becomes of it."""

    position: Position
    slots: tuple[SlotTable, ...]
    specs: tuple[ValueTable, ...]
    kinds: tuple[ValueTable, ...]


class SlotBuilder:
    """Tables of the positions of one space, in their order; entries that occur at several places are built once."""

    def __init__(self, decisions: Sequence[Decision], inputs: Mapping[str, TensorSpec], file: str) -> None:
        self._decisions = decisions
        self._sizes = [len(decision.options) for decision in decisions]
        self._file = file
        self._blocks: dict[tuple[Any, ...], Block] = {}
        self._entries: dict[tuple[Any, ...], SlotEntry] = {}
        self._distinct: dict[SlotEntry, SlotEntry] = {}
        self._specs: list[TensorSpec | None] = [None]  # the number 0 is GONE
        self._numbers: dict[TensorSpec, int] = {}
        self._values: dict[str, tuple[ValueTable, ...]] = {
            name: (constant(self.number(spec)),) for name, spec in inputs.items()
        }

    def build(self, position: Position) -> BuiltPosition:
        """The tables of a position, whose inputs have been built.

        Raises InputError naming the key and the widths when an allowed combination does not fit, and when two
        combinations build the same block, so that one network would have two architectures.
        """
        parts = [_Part(self, position, fixed, needed) for fixed, needed in self._splits(position, {})]
        slots = []
        for number, part in enumerate(parts, start=1):
            slots.append(part.table(position.name if number == 1 else f"{position.name}/{number}"))
            self._refuse_duplicates(position, slots[-1])
        specs = merged([part.value_table(part.specs) for part in parts], self._sizes, _MOST_ROWS)
        kinds = merged([part.value_table(part.kinds) for part in parts], self._sizes, _MOST_ROWS)
        self._values[position.name] = specs
        return BuiltPosition(position, tuple(slots), specs, kinds)

    def rows(self, needed: tuple[int, ...], fixed: Mapping[int, int] | None = None) -> Population:
        """Every combination of these decisions (and only these) that architectures have."""
        places = {index: place for place, index in enumerate(needed)}
        return Populations(self._local(needed)).enumerate(
            _MOST_PLACES, {places[index]: option for index, option in (fixed or {}).items()}
        )

    def closure(self, needed: set[int]) -> tuple[int, ...]:
        """These decisions and those that their conditions refer to, ascending."""
        found, frontier = set(needed), list(needed)
        while frontier:
            for condition in self._decisions[frontier.pop()].conditions():
                if condition.decision not in found:
                    found.add(condition.decision)
                    frontier.append(condition.decision)
        return tuple(sorted(found))

    def strides(self, needed: tuple[int, ...]) -> tuple[NDArray[np.intp], int]:
        """What an option of each decision counts in a dense table, and the table's size."""
        sizes = [self._sizes[index] for index in needed]
        strides = [int(np.prod(sizes[place + 1 :], dtype=np.float64)) for place in range(len(sizes))]
        return np.array(strides, np.intp), int(np.prod(sizes, dtype=np.float64))

    def shape(self, needed: tuple[int, ...]) -> tuple[int, ...]:
        """Options of each of these decisions."""
        return tuple(self._sizes[index] for index in needed)

    def spec_of(self, number: int) -> TensorSpec:
        spec = self._specs[number]
        assert spec is not None
        return spec

    def source_numbers(self, source: str, columns: Columns, count: int) -> NDArray[np.int32]:
        """(count,) numbers of the specs of a source."""
        return lookup(self._values[source], columns, count)

    def number(self, spec: TensorSpec) -> int:
        number = self._numbers.setdefault(spec, len(self._specs))
        if number == len(self._specs):
            self._specs.append(spec)
        return number

    def _splits(self, position: Position, fixed: dict[int, int]) -> Iterator[tuple[dict[int, int], tuple[int, ...]]]:
        """Options of searched inputs and blocks that are fixed for one table, and that table's decisions."""
        needed = self.closure(self._needed(position, fixed))
        rows = np.prod([self._sizes[index] for index in needed if index not in fixed], dtype=np.float64)
        split = self._split(position, fixed) if rows > _MOST_ROWS else None
        if split is None:
            if np.prod([self._sizes[index] for index in needed], dtype=np.float64) > _MOST_PLACES:
                raise InputError(
                    f"{self._file}: at {position.name}: what may stand here depends on {len(needed)} decisions with "
                    f"more than {_MOST_PLACES} combinations: {', '.join(self._decisions[i].name for i in needed)}. "
                    "Let it depend on fewer"
                )
            yield fixed, needed
            return
        for option in range(self._sizes[split]):
            yield from self._splits(position, {**fixed, split: option})

    def _needed(self, position: Position, fixed: Mapping[int, int]) -> set[int]:
        needed = set(fixed) | ({position.presence.decision} if position.presence else set())
        for source in position.inputs:
            needed |= set() if source.decision is None else {source.decision}
            for name in _offered(source, fixed):
                needed |= self._decisions_of(name, fixed)
        if position.zeros_like:
            needed |= self._decisions_of(position.zeros_like, fixed)
        if position.block.decision is not None:
            needed.add(position.block.decision)
        chosen = fixed.get(-1 if position.block.decision is None else position.block.decision)
        for number, choice in enumerate(position.choices):
            if chosen is None or number == position.block.values[chosen]:
                needed |= {source.decision for source in choice.fields.values() if source.decision is not None}
        return needed

    def _decisions_of(self, name: str, fixed: Mapping[int, int]) -> set[int]:
        tables = (table for table in self._values[name] if not table.contradicts(fixed))
        return {decision for table in tables for decision in table.decisions}

    def _split(self, position: Position, fixed: Mapping[int, int]) -> int | None:
        asked = [source.decision for source in position.inputs] + [position.block.decision]
        for name in position.sources():
            asked += [decision for table in self._values[name] for decision in table.guard]
        return next((decision for decision in asked if decision is not None and decision not in fixed), None)

    def _local(self, needed: tuple[int, ...]) -> list[Decision]:
        """The needed decisions, with conditions that refer to their places in this list."""
        places = {index: place for place, index in enumerate(needed)}

        def moved(conditions: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(dataclasses.replace(c, decision=places[c.decision]) for c in conditions)

        return [
            dataclasses.replace(
                decision,
                active_when=moved(decision.active_when),
                valid_when=tuple(moved(conditions) for conditions in decision.valid_when),
            )
            for decision in (self._decisions[index] for index in needed)
        ]

    def entry(self, block: type[Block], fields: Mapping[str, Scalar], specs: tuple[TensorSpec, ...]) -> SlotEntry:
        """A block on its inputs. Raises InputError when it does not fit them."""
        of_block = (block, tuple([(name, type(value), value) for name, value in fields.items()]))
        key = (of_block, specs)
        entry = self._entries.get(key)
        if entry is None:
            made = self._blocks.get(of_block)
            if made is None:
                made = self._blocks[of_block] = block(**fields)
            entry = SlotEntry(made, specs)
            entry = self._distinct.setdefault(entry, entry)
            entry.block.check_count(len(specs))
            if len(entry.graph.output_shapes) != 1:
                raise InputError(f"block {block.kind!r} has {len(entry.graph.output_shapes)} outputs, expected one")
            self._entries[key] = entry
        return entry

    def at(self, position: Position) -> str:
        """The beginning of a message about a position."""
        return f"{self._file}: at {position.name}"

    def _refuse_duplicates(self, position: Position, table: SlotTable) -> None:
        searched = {position.block.decision} - {None}
        for choice in position.choices:
            options = choice.spec.options if choice.spec else {}
            searched |= {source.decision for name, source in choice.fields.items() if name in options} - {None}
        if not searched:
            return
        given = [place for place, index in enumerate(table.slot.decisions) if index not in searched]
        seen: dict[tuple[Any, ...], Block] = {}
        for row, place in zip(table.rows.tolist(), table.row_indices.tolist(), strict=True):
            entry = table.entry(place)
            if entry is None:
                continue
            key = (*(row[place] for place in given), entry.canonical)
            if key in seen:
                shapes = " and ".join(format_shape(spec) for spec in entry.input_shapes)
                raise InputError(
                    f"{self.at(position)}: {seen[key].describe()} and {entry.block.describe()} build the same on "
                    f"{shapes}, so a network would have two architectures. Remove one of the options, or offer it "
                    "elsewhere with 'when'"
                )
            seen[key] = entry.block


def _offered(source: InputSource, fixed: Mapping[int, int]) -> list[str]:
    names = source.names
    if source.decision is not None and source.decision in fixed:
        names = (names[fixed[source.decision]],)
    return [name for name in names if name is not None]


class _Part:
    """One table of a position: for every combination, the pair that is built, its output, and what becomes of it."""

    def __init__(
        self, builder: SlotBuilder, position: Position, fixed: Mapping[int, int], needed: tuple[int, ...]
    ) -> None:
        self._builder = builder
        self._position = position
        self._fixed = fixed
        self._needed = needed
        try:
            self.rows = builder.rows(needed, fixed)
        except InputError as error:
            raise InputError(f"{builder.at(position)}: {error}") from None
        self._entries: list[SlotEntry] = []
        self._places: dict[int, int] = {}
        """Of each entry among them, by its identity: equal ones are the same, see :meth:`SlotBuilder.entry`."""
        self._problems: dict[int, dict[str, None]] = {}
        self._work_out()
        for number, texts in self._problems.items():
            self._refuse(position.choices[number], list(texts))

    def table(self, name: str) -> SlotTable:
        strides, size = self._builder.strides(self._needed)
        index = np.full(size, -1, np.int32)
        index[self.rows.astype(np.intp) @ strides] = self.pairs
        slot = Slot(name, self._needed)
        return SlotTable(slot, self._position.name, strides, index, tuple(self._entries), self.rows)

    def value_table(self, numbers: NDArray[np.int32]) -> ValueTable:
        strides, size = self._builder.strides(self._needed)
        dense = np.full(size, UNKNOWN, np.int32)
        dense[self.rows.astype(np.intp) @ strides] = numbers
        return ValueTable(self._needed, dense.reshape(self._builder.shape(self._needed)), dict(self._fixed))

    def _work_out(self) -> None:
        position, rows, count = self._position, self.rows, len(self.rows)
        columns = {index: rows[:, place].astype(np.intp) for place, index in enumerate(self._needed)}
        own = sorted(
            {s.decision for choice in position.choices for s in choice.fields.values() if s.decision is not None}
            & set(self._needed)
        )
        present = np.ones(count, bool)
        if position.presence:
            present = np.isin(columns[position.presence.decision], list(position.presence.options))
        block = np.full(count, position.block.values[0], np.intp)
        if position.block.decision is not None:
            block = np.array(position.block.values, np.intp)[columns[position.block.decision]]
        inputs = [self._input_numbers(source, columns, count) for source in position.inputs]
        if position.zeros_like:
            inputs.append(self._builder.source_numbers(position.zeros_like, columns, count))
        different, which = distinct_rows([present, block, *(columns[index] for index in own), *inputs])
        found = [self._outcome(key, own) for key in different.tolist()]
        self.kinds, self.specs, self.pairs = (
            np.array([each[place] for each in found], np.int32).reshape(len(found))[which] for place in range(3)
        )

    def _input_numbers(self, source: InputSource, columns: Columns, count: int) -> NDArray[np.int32]:
        numbers = np.full(count, GONE, np.int32)
        for option, name in enumerate(source.names):
            chosen = np.ones(count, bool) if source.decision is None else columns[source.decision] == option
            if name is not None and chosen.any():
                numbers = np.where(chosen, self._builder.source_numbers(name, columns, count), numbers)
        return numbers

    def _outcome(self, key: list[int], own: list[int]) -> tuple[int, int, int]:
        """What becomes of the position, the number of what it puts out, and the number of the pair that is built."""
        position, builder = self._position, self._builder
        present, number, options = key[0], key[1], dict(zip(own, key[2 : 2 + len(own)], strict=True))
        numbers = key[2 + len(own) :]
        zeros_like = numbers.pop() if position.zeros_like else GONE
        if not present:
            return (PASS, numbers[0], -1) if numbers[0] != GONE else (GONE, GONE, -1)
        choice = position.choices[number]
        if choice.block is None:
            return GONE, GONE, -1
        left = [place for place, each in enumerate(numbers) if each != GONE]
        if not left and zeros_like != GONE:
            return self._node(builder.entry(Zeros, {}, (builder.spec_of(zeros_like),)))
        if not left or (len(left) < len(numbers) and choice.block.input_count is not None):
            return GONE, GONE, -1
        fields = {
            name: source.values[0 if source.decision is None else options[source.decision]]
            for name, source in choice.fields.items()
        }
        try:
            entry = builder.entry(choice.block, fields, tuple(builder.spec_of(numbers[place]) for place in left))
        except InputError as error:
            self._problems.setdefault(number, {})[str(error)] = None
            return GONE, GONE, -1
        if entry.graph.is_identity:
            names = [name for name, _ in entry.graph.inputs]
            place = left[names.index(entry.graph.outputs[0])]
            return PASS + place, numbers[place], -1
        return self._node(entry)

    def _node(self, entry: SlotEntry) -> tuple[int, int, int]:
        output = self._builder.number(entry.graph.output_shapes[0])
        place = self._places.setdefault(id(entry), len(self._entries))
        if place == len(self._entries):
            self._entries.append(entry)
        return NODE, output, place

    def _refuse(self, choice: PositionChoice, problems: list[str]) -> None:
        position = self._position
        more = f" (and {len(problems) - _SHOWN_PROBLEMS} more)" if len(problems) > _SHOWN_PROBLEMS else ""
        told = f"cannot be built for every choice at {position.name}: {'; '.join(problems[:_SHOWN_PROBLEMS])}{more}"
        if choice.spec is None:
            raise InputError(f"{self._builder.at(position)}: {told}")
        named = [name for name in choice.spec.options if name in problems[0]]
        entry = choice.spec.entry
        if named:
            entry = dataclasses.replace(entry, path=f"{entry.path}.{named[-1]}", value=entry.value[named[-1]])
        entry.refuse(
            f"found {entry.value!r}, which {told}. Offer the option or the block only where it fits, with 'when', or "
            "change it"
        )
