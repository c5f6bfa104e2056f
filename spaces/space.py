"""Search spaces: named decisions, and the network that each combination of answers stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.spaces.decision import Architecture, Decision, check_canonical, parse_architecture
from edgenas.spaces.encoding import encode_network
from edgenas.spaces.errors import InputError
from edgenas.spaces.frontier import AdditiveCost, cheapest_architecture, count_architectures
from edgenas.spaces.network import Network, Node
from edgenas.spaces.population import Population, Populations
from edgenas.spaces.slot_builder import SlotBuilder
from edgenas.spaces.slots import Slot, SlotEntry, SlotTable
from edgenas.spaces.space_builder import SpaceBuilder
from edgenas.spaces.space_spec import SpaceSpec, load_spec

CostArrays = Mapping[str, NDArray[np.float64]]
#: Rows of a population that are looked up at once: few enough for a processor's cache.
_CHUNK = 4096


class SearchSpace:
    """A family of networks that differ in finitely many decisions. Immutable.

    >>> space = SearchSpace.load("tiny_edge")
    >>> population = space.sample(np.random.default_rng(0), 3)
    >>> network = space.decode(population[0])
    >>> space.encode(network) == space.architecture(population[0])
    True
    """

    def __init__(
        self, spec: SpaceSpec, *, input_shape: Sequence[int] | None = None, classes: int | None = None
    ) -> None:
        self.name = spec.name
        self.task = spec.task
        self.input_shape = _checked_shape(spec.input_shape if input_shape is None else input_shape)
        self.classes = spec.classes if classes is None else classes
        self.decisions: tuple[Decision, ...]
        self.decisions, positions = SpaceBuilder(spec, self.input_shape, self.classes).build()
        self._populations = Populations(self.decisions)
        builder = SlotBuilder(self.decisions, spec.file)
        tables = [builder.build(position) for position in positions]
        self.slots: tuple[Slot, ...] = tuple(table.slot for table in tables)
        self._tables = {table.slot.name: table for table in tables}

    @classmethod
    def load(
        cls, name_or_path: str | Path, *, input_shape: Sequence[int] | None = None, classes: int | None = None
    ) -> SearchSpace:
        """A space of the catalog by name, or of a YAML file.

        ``input_shape`` (height, width, channels) and ``classes`` replace those of the file: the data decide them.
        Raises InputError naming file, key, found, expected and fix; also when some allowed combination cannot be built.
        """
        return cls(load_spec(name_or_path), input_shape=input_shape, classes=classes)

    def __repr__(self) -> str:
        return f"SearchSpace({self.name!r}, input_shape={self.input_shape}, classes={self.classes})"

    @cached_property
    def size(self) -> int:
        """The exact number of architectures."""
        return count_architectures(self.decisions)

    # Architectures -------------------------------------------------------------------------------------------------

    def parse(self, text: str) -> Architecture:
        """Reads ``str(architecture)``. Raises InputError for any other text (see ``edgenas.spaces.decision``)."""
        try:
            return parse_architecture(text, self.decisions)
        except InputError as error:
            raise InputError(f"space {self.name!r}: {error}") from None

    def decode(self, architecture: Architecture | NDArray[Any] | Sequence[int]) -> Network:
        """The network of an architecture or of a population's row; its nodes are named as the slots.

        Raises InputError when the choices are not an architecture of this space.
        """
        choices = self.architecture(architecture).choices
        nodes, source = [], "image"
        for table in self._tables.values():
            index = sum(choices[d] * int(s) for d, s in zip(table.slot.decisions, table.strides, strict=True))
            entry = table.entries[index]
            if entry is not None:
                nodes.append(Node(table.slot.name, entry.block, (source,)))
                source = table.slot.name
        name = f"{self.name}:{Architecture(choices)}"
        return Network(name, (("image", self.input_shape),), tuple(nodes), (source,))

    def encode(self, network: Network) -> Architecture:
        """The inverse of :meth:`decode`, for any network of this space wherever it comes from.

        Blocks are compared by what they build (canonical form), without options that cost nothing (dropout). Raises
        InputError naming the first node that the space does not offer.
        """
        return encode_network(self, network)

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
        present = (entry for table in self._tables.values() for entry in table.entries if entry is not None)
        return tuple(dict.fromkeys(present))

    def signatures(self, precision: str) -> dict[str, SlotEntry]:
        """Every latency-table key of the space with one block that has it, sorted by text."""
        found: dict[str, SlotEntry] = {}
        for entry in self.entries:
            found.setdefault(entry.signature(precision), entry)
        return dict(sorted(found.items()))

    def cost_arrays(self, cost: Callable[[SlotEntry], float]) -> dict[str, NDArray[np.float64]]:
        """By slot name, the cost of each entry of its table; 0 where the slot is absent. ``cost`` may return NaN."""
        known: dict[int, float] = {id(None): 0.0}
        for table in self._tables.values():
            for entry in table.entries:
                if entry is not None and id(entry) not in known:
                    known[id(entry)] = float(cost(entry))
        return {
            name: np.array([known[id(entry)] for entry in table.entries], np.float64)
            for name, table in self._tables.items()
        }

    def population_cost(self, population: Population, cost_arrays: CostArrays) -> NDArray[np.float64]:
        """(N,) sums of a per-block cost over each architecture's blocks."""
        return self.population_costs(population, cost_arrays)[0]

    def population_costs(self, population: Population, *costs: CostArrays) -> list[NDArray[np.float64]]:
        """The sums of several costs, in less time than one after the other."""
        totals = [np.zeros(len(population), np.float64) for _ in costs]
        values = [np.concatenate([np.zeros(0), *(arrays[name] for name in self._tables)]) for arrays in costs]
        for start in range(0, len(population), _CHUNK):
            rows = slice(start, start + _CHUNK)
            places = self._slot_places(population[rows])
            for total, of_entries in zip(totals, values, strict=True):
                total[rows] = of_entries.take(places).sum(axis=1)
        return totals

    def _slot_places(self, population: Population) -> NDArray[np.intp]:
        """(N, slots) indices into all slots' entries, one table after the other."""
        strides, starts = self._slot_strides
        # A product of floats, which is quick, and exact for indices below 2 ** 24: nobody holds as many entries.
        return (population.astype(np.float32) @ strides + starts).astype(np.intp)

    @cached_property
    def _slot_strides(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(decisions, slots) what an option counts in a slot's index, and (slots,) where its entries begin."""
        strides = np.zeros((len(self.decisions), len(self._tables)), np.float32)
        for place, table in enumerate(self._tables.values()):
            strides[list(table.slot.decisions), place] = table.strides
        sizes = [len(table.entries) for table in self._tables.values()]
        return strides, np.cumsum([0, *sizes[:-1]]).astype(np.float32)

    def cheapest(self, cost_arrays: CostArrays) -> tuple[Architecture, float]:
        """The architecture with the least sum of block costs, exactly, and that sum.

        Blocks whose cost is NaN are never chosen; raises InputError when every architecture has one.
        """
        costs = [
            AdditiveCost(table.slot.decisions, tuple(table.strides.tolist()), cost_arrays[name])
            for name, table in self._tables.items()
        ]
        return cheapest_architecture(self.decisions, costs)


def _checked_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    if len(shape) != 3 or any(not isinstance(side, (int, np.integer)) or side < 1 for side in shape):
        raise InputError(f"input_shape must be (height, width, channels) of whole numbers, not {tuple(shape)}")
    return int(shape[0]), int(shape[1]), int(shape[2])
