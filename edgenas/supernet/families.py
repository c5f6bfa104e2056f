"""Which architectures a training of the supernet takes: the largest, the smallest, random ones, in balance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.space.decision import Architecture
from edgenas.spaces.space.search_space import SearchSpace

#: Largest and smallest networks that are made in advance, each with a draw of blocks of its own.
_EXTREMES = 24
#: A cost that no sum of others reaches: of a block that is not wanted at its place.
_FORBIDDEN = 1e18
#: Networks that those within a budget are picked from, and how often, before any network will do.
_DRAWN, _DRAWS = 32, 32
#: Fields of blocks that say how wide a layer is.
_WIDTHS = frozenset({"filters", "expansion"})

Population = npt.NDArray[np.int16]


def macs(entry: SlotEntry) -> float:
    return float(entry.graph.macs)


@dataclass(frozen=True)
class Extremes:
    """Architectures at one end of a space, with different blocks, so that all blocks get trained at that end."""

    rows: Population

    def draw(self, rng: np.random.Generator) -> npt.NDArray[np.int16]:
        return self.rows[int(rng.integers(len(self.rows)))]


class Families:
    """The decisions of a space by what they decide, and populations made from that.

    Attributes:
        block_decisions: indices of decisions for a block among several.
    """

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self.space = space
        self._seed = seed
        blocks: set[int] = set()
        self._widest: dict[int, int] = {}
        for position in space.positions:
            if position.block.decision is not None:
                blocks.add(position.block.decision)
            for choice in position.choices:
                for name, source in choice.fields.items():
                    if name in _WIDTHS and source.decision is not None:
                        self._widest[source.decision] = int(np.argmax(np.array(source.values, np.float64)))
        self.block_decisions = sorted(blocks)

    @cached_property
    def macs(self) -> Callable[[Population], npt.NDArray[np.float64]]:
        """Multiply-accumulates of a population."""
        arrays = self.space.cost_arrays(macs)
        return lambda population: self.space.population_cost(population, arrays)

    @cached_property
    def largest(self) -> Extremes:
        """Networks with the most multiply-accumulates: one of all, and others with blocks that were drawn for them."""
        return Extremes(self._extremes(-1.0))

    @cached_property
    def smallest(self) -> Extremes:
        return Extremes(self._extremes(1.0))

    def _extremes(self, sign: float) -> Population:
        costs = self.space.cost_arrays(lambda entry: sign * macs(entry))
        found: list[Architecture] = [self.space.cheapest(costs)[0]]
        if self.block_decisions:
            rng = np.random.default_rng([self._seed, 17])
            for _ in range(_EXTREMES - 1):
                wanted = {
                    decision: int(rng.integers(len(self.space.decisions[decision].options)))
                    for decision in self.block_decisions
                }
                found.append(self.space.cheapest(self._with_blocks(wanted, costs))[0])
        return self.space.to_population(dict.fromkeys(found))

    def _with_blocks(
        self, wanted: dict[int, int], costs: dict[str, npt.NDArray[np.float64]]
    ) -> dict[str, npt.NDArray[np.float64]]:
        """The costs, with other blocks than those wanted forbidden."""
        changed = {}
        for slot in self.space.slots:
            table = self.space.slot_table(slot)
            array = costs[slot.name].copy()
            for place, decision in enumerate(slot.decisions):
                if decision in wanted:
                    options = (
                        np.arange(len(array)) // table.strides[place] % len(self.space.decisions[decision].options)
                    )
                    array[(options != wanted[decision]) & (table.index >= 0)] = _FORBIDDEN
            changed[slot.name] = array
        return changed

    def widest(self, row: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """The row with the largest option of every width that is asked for."""
        wide = row.copy()
        for decision, option in self._widest.items():
            wide[decision] = option
        return self._repaired(wide[None])[0]

    def covering(self, rng: np.random.Generator, rows: Population) -> Population:
        """The rows with their blocks dealt anew, so that together they have as many different ones as they can."""
        dealt = rows.copy()
        for decision in self.block_decisions:
            count = len(self.space.decisions[decision].options)
            dealt[:, decision] = (np.arange(len(rows)) + rng.integers(count)) % count
        return self._repaired(dealt)

    def balanced_within(
        self, rng: np.random.Generator, count: int, allowed: Callable[[Population], npt.NDArray[np.bool_]]
    ) -> Population:
        """The same of those that are allowed, as far as balance goes then; any where hardly one is."""
        found = np.zeros((0, len(self.space.decisions)), np.int16)
        for _ in range(_DRAWS):
            rows = self.balanced(rng, max(count, _DRAWN))
            found = np.concatenate([found, rows[allowed(rows)]])
            if len(found) >= count:
                return found[:count]
        return np.concatenate([found, self.balanced(rng, count - len(found))])

    def balanced(self, rng: np.random.Generator, count: int) -> Population:
        """Random architectures which, together, have every option of a decision equally often, as far as it goes."""
        rows = np.zeros((count, len(self.space.decisions)), np.int16)
        for decision, found in enumerate(self.space.decisions):
            options = len(found.options)
            whole = [rng.permutation(options) for _ in range(-(-count // options))]
            rows[:, decision] = rng.permutation(np.concatenate(whole)[:count])
        return self._repaired(rows)

    def _repaired(self, rows: Population) -> Population:
        # A row crossed with itself is the row, with what its choices make inactive or forbid put right.
        return self.space.crossover(np.random.default_rng(0), rows, rows)
