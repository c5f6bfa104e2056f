"""Which ops of a network's blocks run elsewhere once it is deployed, for many networks at once.

A block alone runs all of its ops. In a network the converter merges those that do the same as ops of other blocks (two
that pool one tensor, two that begin with a ReLU of it), and operators take along what comes after them: a ReLU that a
block begins with runs in the convolution or addition before it (:mod:`edgenas.spaces.deployment` has the rules). Such
ops are *given* to the block.

All arrays are over *rows*, one network each, whose nodes stand at common *places*. A *value* is a number: what a
network input, a node, or a mergeable op at the start of a block puts out. Ops that do the same have the number of the
first of them in the row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgenas.spaces.deployment import KERNEL, OPEN, OTHERS, UNREAD, FirstOps, Surroundings, given_ops, together
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.ops import Op
from edgenas.spaces.space.value_tables import distinct_rows

if TYPE_CHECKING:
    from edgenas.spaces.network import Network

Values = NDArray[np.intp]
Mask = NDArray[np.bool_]
_TOGETHER = np.array([[together(a, b) for b in range(OTHERS + 1)] for a in range(OTHERS + 1)], np.uint8)
_NONE = -1
#: Surroundings of one entry that are looked at.
_MOST_CASES = 5_000


@dataclass(frozen=True)
class PlacedNodes:
    """The nodes at one place: the number of each row's entry (-1: no node there), and the values that it reads.

    ``inputs`` has (rows,) numbers for each input, counted as in :class:`Sharing`; -1 where one is left out.
    """

    chosen: NDArray[np.intp]
    inputs: Sequence[Values]


@dataclass(frozen=True)
class _OpSlot:
    """A mergeable op that the nodes of a place begin with in some rows, and the value that it has where it is first."""

    op: Op
    value: int
    there: Mask
    read: tuple[Values, ...]
    #: Different values that it reads first.
    first: frozenset[int]

    def may_do_as(self, other: _OpSlot) -> bool:
        """Whether both do the same in some rows."""
        return self.op == other.op and len(self.read) == len(other.read) and not self.first.isdisjoint(other.first)


@dataclass(frozen=True)
class _Place:
    """The nodes of a place: what they read (inputs that are left out come last), and the values of their first ops.

    ``ops`` has (rows,) values for each first op in order; -1 where the row's entry has fewer.
    """

    chosen: NDArray[np.intp]
    inputs: tuple[Values, ...]
    ops: tuple[Values, ...]

    def value(self, reference: int) -> Values:
        """Values by a reference of :class:`edgenas.spaces.deployment.FirstOps`."""
        return self.inputs[reference] if reference >= 0 else self.ops[-1 - reference]


class Sharing:
    """Entries at places, and what is given to them.

    Values are numbered: network inputs, then places, then first ops. ``variants`` collects entries with what is given
    to them; their numbers are those that :meth:`given` returns.
    """

    def __init__(self, inputs: int, entries: Sequence[SlotEntry]) -> None:
        self.variants: list[SlotEntry] = []
        self._inputs = inputs
        self._entries = entries
        self._first: dict[int, FirstOps] = {}
        self._numbers: dict[SlotEntry, int] = {}
        self._known: dict[tuple[object, ...], tuple[int, dict[str, int]]] = {}

    def first_ops(self, entry: int) -> FirstOps:
        """The first ops of an entry, by its number."""
        if entry not in self._first:
            self._first[entry] = FirstOps.of(self._entries[entry].deployed)
        return self._first[entry]

    def given(self, places: Sequence[PlacedNodes], outputs: Sequence[Values], rows: int) -> NDArray[np.int32]:
        """(places, rows) the variant at each place, -1 where there is no node. ``outputs`` are the network's."""
        return _Rows(self, self._inputs, places, outputs, rows).variants()

    def variant(
        self, entry: int, inputs: Sequence[tuple[int, int]], ops: Sequence[tuple[int, int, int, int]]
    ) -> tuple[int, dict[str, int]]:
        """The number of an entry with what is given to it, and what the operators of its values can take along.

        ``inputs``: state and readers of each. ``ops``: state, readers, whether it is made elsewhere, and the place of
        the first op here that does the same, of each first op.
        """
        key = (entry, tuple(inputs), tuple(ops))
        if key not in self._known:
            plain, names = self._entries[entry], [name for name, _, _ in self.first_ops(entry).ops]
            around = Surroundings(
                states=tuple(state for state, _ in inputs),
                readers=tuple(who for _, who in inputs),
                made={name: each[0] for name, each in zip(names, ops, strict=True) if each[2]},
                readers_of_ops={name: each[1] for name, each in zip(names, ops, strict=True)},
                repeats={name: names[each[3]] for name, each in zip(names, ops, strict=True) if names[each[3]] != name},
            )
            given, states = given_ops(plain.deployed, around)
            found = SlotEntry(plain.block, plain.input_shapes, given) if given else plain
            number = self._numbers.setdefault(found, len(self._numbers))
            if number == len(self.variants):
                self.variants.append(found)
            self._known[key] = number, states
        return self._known[key]

    def possible(self) -> None:
        """Collects all variants of all entries, whatever may be around them."""
        for entry, plain in enumerate(self._entries):
            first = self.first_ops(entry)
            kinds = {kind for _, kind in first.reads} - {OTHERS}
            inputs = [
                [
                    (0, OTHERS),
                    *((OPEN | KERNEL, kind) for reference, kind in first.reads if reference == place and kind in kinds),
                ]
                for place in range(len(plain.deployed.inputs))
            ]
            ops = [
                [
                    (OPEN, who, made, place)
                    for who in {OTHERS, *(kind for reference, kind in first.reads if reference == -1 - place)}
                    for made in (0, 1)
                ]
                for place in range(len(first.ops))
            ]
            for case in itertools.islice(itertools.product(*inputs, *ops), _MOST_CASES):
                self.variant(entry, case[: len(inputs)], case[len(inputs) :])  # type: ignore[arg-type]

    def graph_inputs(self, entry: int) -> Sequence[object]:
        """The inputs of an entry's graph."""
        return self._entries[entry].deployed.inputs

    def output(self, entry: int) -> str:
        """The op that makes an entry's output."""
        return self._entries[entry].deployed.outputs[0]


class _Rows:
    """The networks of some rows, worked out place by place."""

    def __init__(
        self, sharing: Sharing, inputs: int, places: Sequence[PlacedNodes], outputs: Sequence[Values], rows: int
    ) -> None:
        self._sharing = sharing
        self._rows = np.arange(rows)
        self._first_place = inputs
        self._slots: list[_OpSlot] = []
        self._values = np.repeat(np.arange(inputs + len(places))[:, None], rows, axis=1)
        self._places = [self._read(place, nodes) for place, nodes in enumerate(places)]
        self._readers = np.full((len(self._values) + len(self._slots), rows), UNREAD, np.uint8)
        self._states = np.zeros(self._readers.shape, np.uint8)
        self._made = np.zeros(self._readers.shape, bool)
        for place, each in enumerate(self._places):
            self._note_readers(inputs + place, each)
        for output in outputs:
            self._readers[self._values[output, self._rows], self._rows] = OTHERS

    def variants(self) -> NDArray[np.int32]:
        found = np.full((len(self._places), len(self._rows)), _NONE, np.int32)
        for place, each in enumerate(self._places):
            here = np.flatnonzero(each.chosen >= 0)
            if len(here):
                found[place, here] = self._at(self._first_place + place, each, here)
        return found

    # What is read, and which values are the same ----------------------------------------------------------------------

    def _entries(self, chosen: NDArray[np.intp]) -> Iterator[tuple[FirstOps, Mask]]:
        """What the entries of a place begin with, and the rows that have them."""
        by_form: dict[FirstOps, list[int]] = {}
        for entry in np.flatnonzero(np.bincount(chosen + 1)[1:]).tolist():
            by_form.setdefault(self._sharing.first_ops(entry), []).append(entry)
        for first, entries in by_form.items():
            yield first, chosen == entries[0] if len(entries) == 1 else np.isin(chosen, entries)

    def _read(self, place: int, nodes: PlacedNodes) -> _Place:
        read = np.array([np.where(each >= 0, self._values[each, self._rows], _NONE) for each in nodes.inputs], np.intp)
        if len(read) > 1 and (read < 0).any():
            read = np.take_along_axis(read, np.argsort(read < 0, axis=0, kind="stable"), axis=0)
        ops: list[Values] = []
        found = _Place(nodes.chosen, tuple(read), ())
        for first, there in self._entries(nodes.chosen):
            for number, (_, op, references) in enumerate(first.ops):
                if number == len(ops):
                    ops.append(np.full(len(self._rows), _NONE))
                    found = _Place(nodes.chosen, found.inputs, tuple(ops))
                slot = self._slot(op, found, references, there)
                ops[number][there] = self._merged(slot)[there]
                self._slots.append(slot)
            if first.output is not None:
                self._values[self._first_place + place, there] = found.value(first.output)[there]
        return found

    def _slot(self, op: Op, place: _Place, references: Sequence[int], there: Mask) -> _OpSlot:
        read = tuple(place.value(reference).copy() for reference in references)
        if op.traits.commutes:
            read = tuple(np.sort(np.array(read), axis=0))
        value = len(self._values) + len(self._slots)
        return _OpSlot(op, value, there, read, frozenset(np.flatnonzero(np.bincount(read[0][there])).tolist()))

    def _merged(self, slot: _OpSlot) -> Values:
        """(rows,) the value of an op: that of the first op before that does the same, else its own."""
        value = np.full(len(self._rows), slot.value)
        for before in reversed(self._slots):
            if before.may_do_as(slot):
                same = before.there & slot.there
                for one, other in zip(before.read, slot.read, strict=True):
                    same &= one == other
                value = np.where(same, before.value, value)
        return value

    def _note_readers(self, own: int, place: _Place) -> None:
        for first, there in self._entries(place.chosen):
            rows = np.flatnonzero(there)
            for reference, kind in first.reads:
                at = (place.value(reference)[rows], rows)
                self._readers[at] = _TOGETHER[self._readers[at], kind]
            if first.output_is_read:
                self._readers[own, rows] = OTHERS

    # What is given ----------------------------------------------------------------------------------------------------

    def _at(self, own: int, place: _Place, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """(rows,) the variants at a place; notes what its operators can take along, and which ops they do."""
        columns: list[NDArray[Any]] = [place.chosen[rows]]
        for number, value in enumerate((*place.inputs, *place.ops)):
            at = (np.maximum(value[rows], 0), rows)
            columns += [self._states[at], self._readers[at]]
            if number >= len(place.inputs):
                # The place among the first ops here of the first one that has this value.
                same = np.argmax(np.array([each[rows] for each in place.ops]) == value[rows], axis=0)
                columns += [self._made[at], same]
        different, which = distinct_rows(columns)
        numbers = np.empty(len(different), np.intp)
        for number, row in enumerate(different.tolist()):
            numbers[number] = self._case(own, place, row, rows[which == number])
        return numbers[which]

    def _case(self, own: int, place: _Place, row: Sequence[int], rows: NDArray[np.intp]) -> int:
        entry, inputs, ops = row[0], row[1 : 1 + 2 * len(place.inputs)], row[1 + 2 * len(place.inputs) :]
        first = self._sharing.first_ops(entry)
        count = len(self._sharing.graph_inputs(entry))
        seen = [(inputs[2 * turn], inputs[2 * turn + 1]) for turn in range(count)]
        seen_ops = [
            (ops[4 * turn], ops[4 * turn + 1], ops[4 * turn + 2], ops[4 * turn + 3]) for turn in range(len(first.ops))
        ]
        number, states = self._sharing.variant(entry, seen, seen_ops)
        for (name, _, _), values, (_, _, is_made, _) in zip(first.ops, place.ops, seen_ops, strict=False):
            if not is_made:
                self._states[values[rows], rows] = states[name]
                self._made[values[rows], rows] = True
        if first.output is None:
            self._states[own, rows] = states[self._sharing.output(entry)]
        return number


def entries_of(network: Network) -> dict[str, SlotEntry]:
    """The entry of every node of a network, with what is given to it."""
    entries = {node.name: SlotEntry(node.block, network.input_shapes(node)) for node in network.nodes}
    for name, entry in entries.items():
        entry.__dict__["graph"] = network.blocks_lowered[name]  # what the property would lower again
    sharing = Sharing(len(network.inputs), list(entries.values()))
    if not any(sharing.first_ops(number).matters for number in range(len(entries))):
        return entries
    numbers = {name: number for number, name in enumerate([*(name for name, _ in network.inputs), *entries])}
    one = {name: np.array([number]) for name, number in numbers.items()}
    places = [
        PlacedNodes(np.array([place]), [one[source] for source in node.inputs])
        for place, node in enumerate(network.nodes)
    ]
    variants = sharing.given(places, [one[name] for name in network.outputs], 1)[:, 0]
    return {name: sharing.variants[number] for name, number in zip(entries, variants.tolist(), strict=True)}
