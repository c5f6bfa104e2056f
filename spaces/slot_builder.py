"""Builds the table of each slot of a space, and refuses spaces in which some combination cannot be built."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgenas.spaces.block import Block
from edgenas.spaces.decision import Decision
from edgenas.spaces.errors import InputError
from edgenas.spaces.ops import Shape
from edgenas.spaces.population import Population, Populations
from edgenas.spaces.slots import Slot, SlotEntry, SlotTable
from edgenas.spaces.space_builder import Position, PositionChoice
from edgenas.spaces.yaml_files import Scalar

_SHOWN_PROBLEMS = 4


class SlotBuilder:
    """Tables of the positions of one space; entries that occur at several places are built once."""

    def __init__(self, decisions: Sequence[Decision], file: str) -> None:
        self._decisions = decisions
        self._file = file
        self._entries: dict[tuple[Any, ...], SlotEntry] = {}
        self._distinct: dict[SlotEntry, SlotEntry] = {}

    def build(self, position: Position) -> SlotTable:
        """The table of a position.

        Raises InputError naming the key and the widths when an allowed combination does not fit, and when two
        combinations build the same block, so that one network would have two architectures.
        """
        needed = self._closure(position.decisions())
        try:
            rows = Populations(self._local(needed)).enumerate()
        except InputError as error:
            raise InputError(f"{self._file}: at {position.name}: {error}") from None
        sizes = [len(self._decisions[index].options) for index in needed]
        strides = np.array([int(np.prod(sizes[place + 1 :])) for place in range(len(sizes))], np.intp)
        entries: list[SlotEntry | None] = [None] * int(np.prod(sizes))
        for index, entry in zip(
            (rows.astype(np.intp) @ strides).tolist(), self._row_entries(position, needed, rows), strict=True
        ):
            entries[index] = entry
        table = SlotTable(Slot(position.name, needed), strides, tuple(entries), rows)
        self._refuse_duplicates(position, table)
        return table

    def _closure(self, needed: set[int]) -> tuple[int, ...]:
        found, frontier = set(needed), list(needed)
        while frontier:
            for condition in self._decisions[frontier.pop()].conditions():
                if condition.decision not in found:
                    found.add(condition.decision)
                    frontier.append(condition.decision)
        return tuple(sorted(found))

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

    def _row_entries(self, position: Position, needed: tuple[int, ...], rows: Population) -> list[SlotEntry | None]:
        places = {index: place for place, index in enumerate(needed)}
        problems: dict[int, dict[str, None]] = {}
        entries: list[SlotEntry | None] = []
        for row in rows.tolist():
            if position.presence and row[places[position.presence.decision]] not in position.presence.options:
                entries.append(None)
                continue

            def chosen(source: Any, row: list[int] = row) -> Any:
                return source.values[0 if source.decision is None else row[places[source.decision]]]

            number = chosen(position.block)
            choice = position.choices[number]
            fields = {name: chosen(source) for name, source in choice.fields.items()}
            shape = (*position.sides, chosen(position.input_filters))
            try:
                entries.append(self._entry(choice.block, fields, shape))
            except InputError as error:
                problems.setdefault(number, {})[str(error)] = None
                entries.append(None)
        for number, texts in problems.items():
            self._refuse(position, position.choices[number], list(texts))
        return entries

    def _entry(self, block: type[Block], fields: dict[str, Scalar], shape: Shape) -> SlotEntry:
        key = (block, shape, tuple((name, type(value), value) for name, value in fields.items()))
        entry = self._entries.get(key)
        if entry is None:
            entry = SlotEntry(block(**fields), (shape,))
            entry = self._distinct.setdefault(entry, entry)
            entry.graph.output_shapes  # noqa: B018  (refuses what does not fit)
            self._entries[key] = entry
        return entry

    @staticmethod
    def _refuse(position: Position, choice: PositionChoice, problems: list[str]) -> None:
        named = [name for name in choice.spec.options if name in problems[0]]
        entry = choice.spec.entry
        if named:
            entry = dataclasses.replace(entry, path=f"{entry.path}.{named[-1]}", value=entry.value[named[-1]])
        more = f" (and {len(problems) - _SHOWN_PROBLEMS} more)" if len(problems) > _SHOWN_PROBLEMS else ""
        entry.refuse(
            f"found {entry.value!r}, which cannot be built for every choice at {position.name}: "
            f"{'; '.join(problems[:_SHOWN_PROBLEMS])}{more}. Offer the option or the block only where it fits, with "
            "'when', or change it"
        )

    def _refuse_duplicates(self, position: Position, table: SlotTable) -> None:
        own = {position.block.decision} | {
            source.decision
            for choice in position.choices
            for name, source in choice.fields.items()
            if name in choice.spec.options
        }
        given = [place for place, index in enumerate(table.slot.decisions) if index not in own]
        seen: dict[tuple[Any, ...], Block] = {}
        for row, index in zip(table.rows.tolist(), table.row_indices.tolist(), strict=True):
            entry = table.entries[index]
            if entry is None:
                continue
            key = (*(row[place] for place in given), entry.canonical)
            if key in seen:
                raise InputError(
                    f"{self._file}: at {position.name}: {seen[key].describe()} and {entry.block.describe()} build the "
                    f"same on {'x'.join(map(str, entry.input_shapes[0]))}, so a network would have two architectures. "
                    "Remove one of the options, or offer it elsewhere with 'when'"
                )
            seen[key] = entry.block
