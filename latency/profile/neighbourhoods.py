"""Networks to see blocks in: random ones of a space, or chains of blocks where there is no space."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, chain
from edgenas.spaces.ops import Shape
from edgenas.spaces.space.decision import Architecture
from edgenas.spaces.space.population import Population
from edgenas.spaces.space.search_space import SearchSpace

#: Random networks to choose from, and how often so many more are drawn while a block is too rare among them.
_POOL = 10_000
_MOST_POOLS = 10
#: Fast ones are the fastest so many of all that were drawn.
_FAST_POOLS, _FAST_POOL = 20, 2_000
_LONGEST_CHAIN = 40
#: Standard deviation of the logarithm of random factors.
_BLUR = 0.5


@dataclass(frozen=True)
class Neighbourhoods:
    """Random networks of a space, the same for the same seed."""

    space: SearchSpace
    precision: str
    seed: int = 0

    def around(self, signatures: Collection[str], times: int) -> list[Network]:
        """Few networks that hold each of these signatures of the space ``times`` times, or as often as can be.

        Greedy: the network with the most that is still lacking comes first, rare blocks counting more. Networks are
        different from each other.
        """
        if not signatures:
            return []
        rng = np.random.default_rng(self.seed)
        population = self.space.sample(rng, 0)
        for _ in range(_MOST_POOLS):
            population = np.unique(np.concatenate([population, self.space.sample(rng, _POOL)]), axis=0)
            blocks = self._blocks(population, signatures)
            if np.bincount(blocks.ravel(), minlength=len(signatures) + 1)[:-1].min() >= 2 * times:
                break
        return [self.space.decode(population[index]) for index in _cover(blocks, len(signatures), times)]

    def fast_around(self, signatures: Collection[str], latencies_ms: Mapping[str, float], most: int) -> list[Network]:
        """The same once for each signature that a fast network has: among the fastest of many random ones, when blocks
        take so long; at most ``most`` networks. Blocks without a latency are avoided.
        """
        if not signatures:
            return []
        rng = np.random.default_rng(self.seed + 1)
        costs = self.space.signature_arrays(self.precision, lambda name: latencies_ms.get(name, np.inf))
        population = self.space.sample(rng, 0)
        for _ in range(_FAST_POOLS):
            population = np.unique(np.concatenate([population, self.space.sample(rng, _POOL)]), axis=0)
            totals = self.space.population_cost(population, costs)
            population = population[np.argsort(totals, kind="stable")[:_FAST_POOL]]
        chosen = _cover(self._blocks(population, signatures), len(signatures), 1)
        return [self.space.decode(population[index]) for index in chosen[:most]]

    def fast(self, latencies_ms: Mapping[str, float], count: int) -> list[Network]:
        """At most ``count`` different networks that are among the fastest, when blocks take so long.

        Each is the fastest of all with latencies that are off by random factors. Blocks that are not named are avoided.
        """
        rng = np.random.default_rng(self.seed)
        costs = self.space.signature_arrays(self.precision, lambda name: latencies_ms.get(name, np.nan))
        found: dict[Architecture, None] = {}
        for _ in range(count):
            blurred = {slot: values * rng.lognormal(0.0, _BLUR, len(values)) for slot, values in costs.items()}
            with contextlib.suppress(InputError):  # each network has a block that is not named
                found[self.space.cheapest(blurred)[0]] = None
        return [self.space.decode(architecture) for architecture in found]

    def _blocks(self, population: Population, signatures: Collection[str]) -> NDArray[np.intp]:
        """(N, slots) which of the sorted signatures each slot holds; their number for an absent slot or another."""
        wanted = {signature: place for place, signature in enumerate(sorted(signatures))}
        return self.space.held(population, self.precision, wanted, len(wanted))


def _cover(blocks: NDArray[np.intp], count: int, times: int) -> list[int]:
    """Rows that together hold each of ``count`` blocks so many times, where rows have them; the best first."""
    # The last place stands for all other blocks.
    lacking = np.append(np.full(count, times), 0)
    worth = 1.0 / np.maximum(np.bincount(blocks.ravel(), minlength=count + 1), 1)
    chosen: list[int] = []
    while lacking.any():
        gains = np.where(lacking > 0, worth, 0.0)[blocks].sum(axis=1)
        gains[chosen] = 0.0
        best = int(np.argmax(gains))
        if not gains[best]:
            break
        chosen.append(best)
        held = np.unique(blocks[best])
        lacking[held] = np.maximum(lacking[held] - 1, 0)
    return chosen


def chains_through(blocks: Mapping[str, SlotEntry], wanted: Collection[str], rng: np.random.Generator) -> list[Network]:
    """Random networks of blocks one after the other that together hold each of the wanted ones, where shapes allow.

    Blocks follow each other where the output of one is the input of the next, from the first that no other leads to
    up to the last that leads to no other, as in the space that they come from; each is in a network once. Blocks of
    several inputs are left out.
    """
    following, leading = defaultdict(list), defaultdict(list)
    ends: dict[str, tuple[Shape, Shape]] = {}
    for signature, entry in sorted(blocks.items()):
        if len(entry.input_shapes) == 1:
            ends[signature] = entry.input_shapes[0], entry.graph.output_shapes[0]
            following[ends[signature][0]].append(signature)
            leading[ends[signature][1]].append(signature)

    def pick(candidates: list[str], there: int, taken: list[str]) -> str | None:
        """One that is not taken: first the shape that it leads to, so that chains get somewhere, then the block."""
        by_shape = defaultdict(list)
        for signature in candidates:
            if signature not in taken:
                by_shape[ends[signature][there]].append(signature)
        if not by_shape or len(taken) >= _LONGEST_CHAIN:
            return None
        shapes = sorted(by_shape)
        among = by_shape[shapes[rng.integers(len(shapes))]]
        return among[rng.integers(len(among))]

    networks: list[Network] = []
    lacking = [signature for signature in wanted if signature in ends]
    while lacking:
        taken = [lacking[0]]
        while (before := pick(leading[ends[taken[0]][0]], 0, taken)) is not None:
            taken.insert(0, before)
        while (after := pick(following[ends[taken[-1]][1]], 1, taken)) is not None:
            taken.append(after)
        lacking = [signature for signature in lacking if signature not in taken]
        parts = {f"block{place}": blocks[signature].block for place, signature in enumerate(taken)}
        networks.append(chain(f"chain{len(networks)}", ends[taken[0]][0], parts))
    return networks
