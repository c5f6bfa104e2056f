"""Search spaces: named decisions, and the network that each combination of answers stands for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.spaces.block import Block
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import InputError
from edgenas.spaces.input_size import complete_shape
from edgenas.spaces.network import Network, Node
from edgenas.spaces.space.builder import SpaceBuilder
from edgenas.spaces.space.decision import Architecture, Decision, check_canonical, parse_architecture
from edgenas.spaces.space.encoding import Encoder
from edgenas.spaces.space.ending import with_beginning, with_ending
from edgenas.spaces.space.frontier import AdditiveCost, cheapest_architecture, count_architectures
from edgenas.spaces.space.given import fold_given
from edgenas.spaces.space.liveness import fold_need
from edgenas.spaces.space.memory import ActivationMemory
from edgenas.spaces.space.population import Population, Populations
from edgenas.spaces.space.position import Position
from edgenas.spaces.space.slot_builder import NODE, SlotBuilder
from edgenas.spaces.space.slots import Slot, SlotTable
from edgenas.spaces.space.spec import SpaceSpec, load_spec
from edgenas.spaces.space.wiring import Wiring, columns_of
from edgenas.spaces.tensor import TensorSpec

#: Name beside those of the slots, where tables do not tell what is given to blocks.
GIVEN = "given"
CostArrays = Mapping[str, NDArray[np.float64]]
#: Rows of a population that are looked up at once: few enough for a processor's cache.
_CHUNK = 4096


class SearchSpace:
    """A family of networks that differ in finitely many decisions. Immutable.

    ``positions`` are the places of its networks with who decides what stands there, in the order in which they run.

    >>> space = SearchSpace.load("tiny_edge")
    >>> population = space.sample(np.random.default_rng(0), 3)
    >>> network = space.decode(population[0])
    >>> space.encode(network) == space.architecture(population[0])
    True
    """

    def __init__(
        self, spec: SpaceSpec, *, input_shape: Sequence[int] | None = None, classes: int | None = None
    ) -> None:
        self._spec = spec
        #: The space of what is trained: this one, unless its networks end in what runs when deployed only.
        self.learned = self
        self.name = spec.name
        self.task = spec.task
        self.description = spec.description
        self.inputs: tuple[tuple[str, TensorSpec], ...] = _checked_inputs(spec, input_shape)
        self.classes = spec.classes if classes is None else classes
        self.decisions: tuple[Decision, ...]
        self.positions: tuple[Position, ...]
        self.decisions, self.positions, self.outputs = SpaceBuilder(spec, self.inputs, self.classes).build()
        self._populations = Populations(self.decisions)
        builder = SlotBuilder(self.decisions, dict(self.inputs), spec.file)
        self._built = [builder.build(position) for position in self.positions]
        self._wiring = Wiring([name for name, _ in self.inputs], self._built, self.outputs)
        for name in self.outputs:
            if self._wiring.is_ever_gone(name):
                raise InputError(
                    f"{spec.file}: the output {name!r} has nothing to read in some architectures. Say 'zeros_like', or "
                    "keep one of its inputs"
                )
        tables, unfolded = fold_need(builder, self._wiring, self._built)
        #: The tables whatever is given to blocks: what stands where.
        self.structure: tuple[SlotTable, ...] = tables
        tables, self._given = fold_given(builder, self._wiring, self._built, tables)
        self.slots: tuple[Slot, ...] = tuple(table.slot for table in tables)
        self._tables = {table.slot.name: table for table in tables}
        self._of_position: dict[str, list[SlotTable]] = {}
        for table in tables:
            self._of_position.setdefault(table.position, []).append(table)
        self._unfolded = [place for place, table in enumerate(tables) if table.position in unfolded]

    @property
    def wiring(self) -> Wiring:
        """Which positions are nodes of an architecture's network, what they read, and which are read at all."""
        return self._wiring

    @property
    def input_shape(self) -> TensorSpec:
        """The spec of the first input."""
        return self.inputs[0][1]

    @classmethod
    def load(
        cls, name_or_path: str | Path, *, input_shape: Sequence[int] | None = None, classes: int | None = None
    ) -> SearchSpace:
        """A space of the catalog by name, or of a YAML file.

        ``input_shape`` (height, width, channels) and ``classes`` replace those of the file: the data decide them. An
        image may be given by height and width or by one side, see :func:`~edgenas.spaces.input_size.complete_shape`.
        Raises InputError naming file, key, found, expected and fix; also when some allowed combination cannot be built.
        """
        return cls(load_spec(name_or_path), input_shape=input_shape, classes=classes)

    def ending_in(self, block: Block) -> SearchSpace:
        """The space whose networks go on with ``block`` after their only output; it has the same architectures.

        Where the block runs in deployed networks only, ``learned`` of the result is this space.
        """
        spec = with_ending(self._spec, block, self.positions[-1].name, self.outputs)
        shape = self.input_shape if len(self.inputs) == 1 else None
        found = SearchSpace(spec, input_shape=shape, classes=self.classes)
        found.learned = self.learned if block.only_deployed else found
        return found

    def beginning_with(self, block: Block, input_shape: Sequence[int]) -> SearchSpace:
        """The space whose networks take ``input_shape``, which ``block`` turns into what these here take.

        It has the same architectures. Where the block runs in deployed networks only, ``learned`` of the result is
        that of this space. Raises InputError for a block that does not fit.
        """
        (made,) = block.lower(TensorSpec(tuple(input_shape))).output_shapes
        if len(self.inputs) == 1 and made != self.input_shape:
            raise InputError(f"space {self.name!r} takes {self.input_shape}, {block.kind!r} makes {made}")
        spec = with_beginning(self._spec, block, len(self.inputs))
        spec = dataclasses.replace(spec, inputs=((self.inputs[0][0], TensorSpec(tuple(input_shape))),))
        found = SearchSpace(spec, classes=self.classes)
        found.learned = self.learned if block.only_deployed else found
        return found

    def __repr__(self) -> str:
        return f"SearchSpace({self.name!r}, input_shape={self.input_shape}, classes={self.classes})"

    @cached_property
    def size(self) -> int:
        """The exact number of architectures."""
        return count_architectures(self.decisions)

    # Architectures -------------------------------------------------------------------------------------------------

    def parse(self, text: str) -> Architecture:
        """Reads ``str(architecture)``. Raises InputError for any other text (see ``spaces.space.decision``)."""
        try:
            return parse_architecture(text, self.decisions)
        except InputError as error:
            raise InputError(f"space {self.name!r}: {error}") from None

    def decode(self, architecture: Architecture | NDArray[Any] | Sequence[int]) -> Network:
        """The network of an architecture or of a population's row; its nodes are named as the slots.

        Raises InputError when the choices are not an architecture of this space.
        """
        choices = self.architecture(architecture).choices
        values = self._wiring.of_one(choices)
        names = [*self._wiring.inputs, *(position.name for position in self.positions)]
        nodes = []
        for place, position in enumerate(self.positions):
            if values.kinds[place] != NODE or not values.needed[place]:
                continue
            entry = self._entry_of(position.name, choices)
            assert entry is not None
            read = values.inputs[place]
            nodes.append(Node(position.name, entry.block, tuple(names[number] for number in read if number >= 0)))
        outputs = tuple(names[number] for number in values.outputs)
        name = f"{self.name}:{Architecture(choices)}" if self.decisions else self.name
        return Network(name, self.inputs, tuple(nodes), outputs)

    def entry_at(self, position: str, row: Population) -> SlotEntry | None:
        """What one architecture (a population of one) has at a position; None where that is nothing."""
        return self._entry_of(position, row[0].tolist())

    def _entry_of(self, position: str, choices: Sequence[int]) -> SlotEntry | None:
        for table in self._of_position[position]:
            entry = table.entry_of(choices)
            if entry is not None:
                return entry
        return None

    def encode(self, network: Network) -> Architecture:
        """The inverse of :meth:`decode`, for any network of this space wherever it comes from.

        Blocks are compared by what they build (canonical form), without options that cost nothing (dropout). Raises
        InputError naming the first node that the space does not offer.
        """
        choices = Encoder(f"space {self.name!r}", self.inputs, self._built, self.outputs, self._wiring).encode(network)
        return self.architecture([choices.get(index, 0) for index in range(len(self.decisions))])

    def architecture(self, choices: Architecture | NDArray[Any] | Sequence[int]) -> Architecture:
        """An architecture from a population's row. Raises InputError when it is not one of this space."""
        if not isinstance(choices, Architecture):
            choices = Architecture(tuple(int(choice) for choice in choices))
        check_canonical(choices.choices, self.decisions)
        return choices

    # Populations ---------------------------------------------------------------------------------------------------

    def to_population(self, architectures: Iterable[Architecture]) -> Population:
        """(N, decisions) array of architectures. Raises InputError when one is not of this space."""
        rows = [architecture.choices for architecture in architectures]
        for row in rows:
            check_canonical(row, self.decisions)
        return np.array(rows, np.int16).reshape(len(rows), len(self.decisions))

    def contains(self, population: NDArray[Any]) -> NDArray[np.bool_]:
        """(N,) mask of the rows that are architectures of this space."""
        return self._populations.is_canonical(population)

    def sample(self, rng: np.random.Generator, count: int) -> Population:
        """``count`` random architectures: each active decision uniform over its allowed options."""
        return self._populations.sample(rng, count)

    def mutate(self, rng: np.random.Generator, population: Population, rate: float | None = None) -> Population:
        """Changes one active decision of each row (each with probability ``rate``, at least one), and repairs."""
        return self._populations.mutate(rng, population, rate)

    def crossover(self, rng: np.random.Generator, first: Population, second: Population) -> Population:
        """One child per pair of rows, each decision from either parent."""
        return self._populations.crossover(rng, first, second)

    def active(self, population: Population) -> NDArray[np.bool_]:
        """(N, decisions) which decisions are asked after the choices before them."""
        return self._populations.active(population)

    def one_hot(self, population: Population) -> NDArray[np.float32]:
        """(N, sum of option counts); inactive decisions are all zeros."""
        return self._populations.one_hot(population)

    def enumerate(self, limit: int = 1_000_000) -> Population:
        """All architectures of a small space. Raises InputError when there are more than ``limit``."""
        return self._populations.enumerate(limit)

    # Costs ---------------------------------------------------------------------------------------------------------

    def slot_table(self, slot: Slot | str) -> SlotTable:
        """The blocks and input shapes of a slot under one dense index."""
        return self._tables[slot if isinstance(slot, str) else slot.name]

    @cached_property
    def entries(self) -> tuple[SlotEntry, ...]:
        """Every different block on its input shape that some architecture contains, in the order of the slots."""
        found = [entry for table in self._tables.values() for entry in table.entries]
        return tuple(dict.fromkeys([*found, *(self._given.entries if self._given else ())]))

    def signatures(self, precision: str) -> dict[str, SlotEntry]:
        """Every latency-table key of the space with one block that has it, sorted by text. None where nothing runs."""
        found: dict[str, SlotEntry] = {}
        for entry in self.entries:
            if not entry.is_given:
                found.setdefault(entry.signature(precision), entry)
        return dict(sorted(found.items()))

    def cost_arrays(self, cost: Callable[[SlotEntry], float]) -> dict[str, NDArray[np.float64]]:
        """By slot name, the cost at each place of its table; 0 where nothing is built. ``cost`` may return NaN.

        Where tables do not tell what is given to blocks, :data:`GIVEN` has what each variant costs more than the block
        alone.
        """
        known: dict[int, float] = {}
        arrays = {}
        for name, table in self._tables.items():
            for entry in table.entries:
                if id(entry) not in known:
                    known[id(entry)] = float(cost(entry))
            costs = np.array([*(known[id(entry)] for entry in table.entries), 0.0], np.float64)
            arrays[name] = costs[table.index]
        if self._given:
            alone = {entry: float(cost(dataclasses.replace(entry, given=()))) for entry in self._given.entries}
            arrays[GIVEN] = np.array([float(cost(entry)) - alone[entry] for entry in self._given.entries] + [0.0])
        return arrays

    def signature_arrays(self, precision: str, cost: Callable[[str], float]) -> dict[str, NDArray[np.float64]]:
        """As :meth:`cost_arrays`, of costs by latency-table key: what runs nothing costs 0."""
        return self.cost_arrays(lambda entry: 0.0 if entry.is_given else cost(entry.signature(precision)))

    def population_cost(self, population: Population, cost_arrays: CostArrays) -> NDArray[np.float64]:
        """(N,) sums of a per-block cost over each architecture's blocks."""
        return self.population_costs(population, cost_arrays)[0]

    def population_most(self, population: Population, cost_arrays: CostArrays) -> NDArray[np.float64]:
        """(N,) the largest of a per-block cost, of 0 or more, over each architecture's blocks."""
        return self.population_costs(population, cost_arrays, most=True)[0]

    def population_costs(
        self, population: Population, *costs: CostArrays, most: bool = False
    ) -> list[NDArray[np.float64]]:
        """The sums of several costs, in less time than one after the other; or the ``most`` that one block has."""
        totals = [np.zeros(len(population), np.float64) for _ in costs]
        values = [np.concatenate([np.zeros(0), *(arrays[name] for name in self._tables)]) for arrays in costs]
        for start in range(0, len(population), _CHUNK):
            rows = slice(start, start + _CHUNK)
            places = self._slot_places(population[rows])
            unread = self._unread(population[rows])
            for total, of_entries in zip(totals, values, strict=True):
                found = of_entries.take(places)
                if unread is not None:
                    found[unread] = 0.0
                total[rows] = found.max(axis=1, initial=0.0) if most else found.sum(axis=1)
            if not most:
                self._add_given(totals, costs, population, rows)
        return totals

    def _add_given(
        self, totals: Sequence[NDArray[np.float64]], costs: Sequence[CostArrays], population: Population, rows: slice
    ) -> None:
        """Adds what blocks cost more than alone, where tables do not tell it."""
        if self._given is None or not any(GIVEN in arrays and arrays[GIVEN].any() for arrays in costs):
            return
        variants = self._given.of_population(population[rows])
        for total, arrays in zip(totals, costs, strict=True):
            if GIVEN in arrays:
                total[rows] += arrays[GIVEN][variants].sum(axis=0)

    def held(self, population: Population, precision: str, numbers: Mapping[str, int], other: int) -> NDArray[np.intp]:
        """(N, slots) the numbers of the latency-table keys that architectures have; ``other`` for none of these."""
        arrays = self.signature_arrays(precision, lambda name: numbers.get(name, other) - other)
        columns = [arrays[slot.name][self.slot_table(slot).indices(population)] for slot in self.slots]
        if self._given:
            own = [
                0 if entry.is_given else numbers.get(entry.signature(precision), other) - other
                for entry in self._given.entries
            ]
            variants = self._given.of_population(population)
            columns += list(np.array([*own, 0])[variants])
        return np.stack(columns, axis=1).astype(np.intp) + other

    def _unread(self, population: Population) -> NDArray[np.bool_] | None:
        """(N, slots) where a position is not read, of positions whose tables do not say it; None when all do."""
        if not self._unfolded:
            return None
        needed = self._wiring.needed(columns_of(population), len(population))
        places = {position.name: place for place, position in enumerate(self.positions)}
        unread = np.zeros((len(population), len(self._tables)), bool)
        tables = list(self._tables.values())
        for slot in self._unfolded:
            unread[:, slot] = ~needed[places[tables[slot].position]]
        return unread

    def _slot_places(self, population: Population) -> NDArray[np.intp]:
        """(N, slots) indices into all slots' tables, one after the other."""
        strides, starts = self._slot_strides
        # A product of floats, which is quick, and exact: see below.
        return (population.astype(strides.dtype) @ strides + starts).astype(np.intp)

    @cached_property
    def _slot_strides(self) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
        """(decisions, slots) what an option counts in a slot's index, and (slots,) where its table begins."""
        sizes = [len(table.index) for table in self._tables.values()]
        exact = np.float32 if sum(sizes) < 2**24 else np.float64
        strides = np.zeros((len(self.decisions), len(self._tables)), exact)
        for place, table in enumerate(self._tables.values()):
            strides[list(table.slot.decisions), place] = table.strides
        return strides, np.cumsum([0, *sizes[:-1]]).astype(exact)

    def population_peak(self, population: Population, precision: str = "int8") -> NDArray[np.float64]:
        """(N,) the most bytes of activations alive at once, as :func:`edgenas.spaces.cost.peak_activation_bytes`
        says.
        """
        return self._memory.peaks(population, precision)

    @cached_property
    def _memory(self) -> ActivationMemory:
        return ActivationMemory(dict(self.inputs), self.positions, self._wiring, self._of_position)

    def cheapest(self, cost_arrays: CostArrays) -> tuple[Architecture, float]:
        """The architecture with the least sum of block costs, exactly, and that sum.

        Blocks whose cost is NaN are never chosen; raises InputError when every architecture has one. Where what is
        read depends on more decisions than a table holds, unread positions count as well, and the sum is a bound.
        """
        costs = [
            AdditiveCost(table.slot.decisions, tuple(table.strides.tolist()), cost_arrays[name])
            for name, table in self._tables.items()
        ]
        return cheapest_architecture(self.decisions, costs)


def _checked_inputs(spec: SpaceSpec, input_shape: Sequence[int] | None) -> tuple[tuple[str, TensorSpec], ...]:
    if input_shape is None:
        return spec.inputs
    if len(spec.inputs) > 1:
        raise InputError(
            f"space {spec.name!r} has the inputs {', '.join(name for name, _ in spec.inputs)}: one input_shape does "
            "not say which"
        )
    name, own = spec.inputs[0]
    return ((name, TensorSpec(complete_shape(input_shape, own, f"space {spec.name!r}"), own.dtype)),)
