"""Tables of positions that some architectures do not read: nothing is built there, so nothing costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgenas.spaces.space.slot_builder import BuiltPosition, SlotBuilder
from edgenas.spaces.space.slots import Slot, SlotTable
from edgenas.spaces.space.wiring import Wiring

#: Combinations up to which being read is worked into the tables; beyond it is worked out for each population.
_MOST_ROWS = 70_000


def fold_need(
    builder: SlotBuilder, wiring: Wiring, built: Sequence[BuiltPosition]
) -> tuple[tuple[SlotTable, ...], frozenset[str]]:
    """All tables, with nothing where a position is not read, and the names of positions that this was too much for."""
    tables: list[SlotTable] = []
    unfolded: set[str] = set()
    known: dict[tuple[int, ...], tuple[NDArray[np.int16], NDArray[np.bool_]]] = {}
    for place, each in enumerate(built):
        asked = wiring.decisions(place)
        for table in each.slots:
            needed = builder.closure({*table.slot.decisions, *asked})
            if place in wiring.always or each.position.name in unfolded:
                tables.append(table)
                continue
            strides, size = builder.strides(needed)
            if size > _MOST_ROWS:
                unfolded.add(each.position.name)
                tables.append(table)
                continue
            if needed not in known:
                rows = builder.rows(needed)
                columns = {index: rows[:, column].astype(np.intp) for column, index in enumerate(needed)}
                known[needed] = rows, wiring.needed(columns, len(rows))
            rows, read = known[needed]
            places = rows[:, [needed.index(index) for index in table.slot.decisions]].astype(np.intp) @ table.strides
            index = np.full(size, -1, np.int32)
            index[rows.astype(np.intp) @ strides] = np.where(read[place], table.index[places], -1)
            kept, numbers = np.unique(index[index >= 0], return_inverse=True)
            index[index >= 0] = numbers
            slot = Slot(table.slot.name, needed)
            entries = tuple(table.entries[number] for number in kept.tolist())
            tables.append(
                dataclasses.replace(table, slot=slot, strides=strides, index=index, entries=entries, rows=rows)
            )
    return tuple(tables), frozenset(unfolded)
