"""Which operators of a running network are which block's.

That follows from how many the runtime makes of each block, in order. It is counted on one block of each structure, and
has to add up in every network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenas.devices import Device
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.measure.operator_visits import OperatorVisit
from edgenas.latency.measure.quiet import visit_in_rounds
from edgenas.latency.measure.visits import QuietSettings, Visits
from edgenas.spaces.graph import OpGraph
from edgenas.spaces.network import Network
from edgenas.spaces.space.slots import SlotEntry

# So many networks tell whether networks are slow, and whether operators add up.
_TRIED = 3
# What an operator does, not how large it is.
_SIZES = {"filters", "units"}

Structure = tuple[object, ...]


@dataclass(frozen=True)
class OperatorCounts:
    """How many operators the runtime makes of a block, by the block's structure."""

    by_structure: Mapping[Structure, int]

    def of(self, network: Network) -> list[int] | None:
        """For each node of a network; None when a structure is not known."""
        structures = [structure_of(graph) for graph in network.blocks_lowered.values()]
        known = all(structure in self.by_structure for structure in structures)
        return [self.by_structure[structure] for structure in structures] if known else None

    def split(self, network: Network, operators_ms: NDArray[np.float64]) -> list[float] | None:
        """What each node of a network takes in ms; None when operators do not add up to its blocks'."""
        counts = self.of(network)
        if counts is None or sum(counts) != len(operators_ms):
            return None
        ends = np.cumsum(counts)
        return [float(part.sum()) for part in np.split(operators_ms, ends[:-1])]


def count_operators(
    device: Device,
    networks: Sequence[Network],
    blocks: Iterable[SlotEntry],
    *,
    precision: str,
    threads: int,
    settings: QuietSettings,
) -> OperatorCounts | None:
    """How many operators the device's runtime makes of blocks; None where blocks are to be measured alone.

    That is where networks like these run for less than ``settings.operators_above``, where the device does not tell
    the times of operators, and where they do not add up. Raises DeviceLostError.
    """

    def looks(graphs: Mapping[str, OpGraph], settings: QuietSettings) -> dict[str, int]:
        """The number of operators that one short visit to each model tells."""
        models = {name: write_tflite(graph, precision) for name, graph in graphs.items()}
        once = dataclasses.replace(settings, visits=1, least_visits=1, max_visits=1, operator_seconds=0.001)
        visits = Visits(once)
        visit_in_rounds(device, models, visits, rng=np.random.default_rng(0), threads=threads)
        return {
            name: len(visit.operators_us[0])
            for name, (visit, *_) in visits.by_model.items()
            if isinstance(visit, OperatorVisit)
        }

    tried = {str(place): network for place, network in enumerate(networks[:_TRIED])}
    seen = looks({name: network.graph for name, network in tried.items()}, settings)
    if not tried or len(seen) < len(tried):
        return None
    structures = {structure_of(entry.graph): entry.graph for entry in blocks}
    told = looks(
        {str(place): graph for place, graph in enumerate(structures.values())},
        dataclasses.replace(settings, operators_above=0.0),
    )
    counts = OperatorCounts(
        {structure: told[str(place)] for place, structure in enumerate(structures) if str(place) in told}
    )
    adds_up = all(sum(counts.of(network) or ()) == seen[name] for name, network in tried.items())
    return counts if adds_up else None


def structure_of(graph: OpGraph) -> Structure:
    """What a block does, step by step, whatever the sizes of its tensors."""
    return tuple(
        (type(node.op).__name__, *(item for item in vars(node.op).items() if item[0] not in _SIZES), node.inputs)
        for node in graph.nodes
    )
