"""Which operators of a running network are which block's.

That follows from how many the runtime makes of each block, in order. It is counted on one block of each structure, and
has to add up in every network. Where blocks stand side by side, nobody knows the order: a runtime that hands some
operators to a delegate runs those first that the delegate takes. So such networks do not tell their blocks.

A structure includes the ReLU of a following block that the block's last operator takes along: it costs next to
nothing, but some runtimes make an operator of it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenas.devices import Device
from edgenas.export.deployed import deploy
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.measure.operator_visits import OperatorVisit
from edgenas.latency.measure.quiet import visit_in_rounds
from edgenas.latency.measure.visits import QuietSettings, Visits
from edgenas.spaces.deployment import FUSABLE_ACTIVATIONS
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.graph import OpGraph, OpNode
from edgenas.spaces.network import Network
from edgenas.spaces.ops import Activation

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
        """For each node of a network of which something runs; None when a structure is not known."""
        structures = [structure_of(graph) for graph in running_graphs(network).values()]
        known = all(structure in self.by_structure for structure in structures)
        return [self.by_structure[structure] for structure in structures] if known else None

    def split(self, network: Network, operators_ms: NDArray[np.float64]) -> list[float] | None:
        """What each node that runs takes in ms; None when operators do not add up to its blocks', or may run in another
        order.
        """
        counts = self.of(network) if runs_in_order(network) else None
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
    """How many operators the device's runtime makes of blocks; None where blocks are to be measured standalone.

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
    blocks = list(blocks)
    graphs = [graph for entry in blocks for graph in _forms(entry, _taken_kinds(blocks))]
    structures = {structure_of(graph): graph for graph in graphs}
    told = looks(
        {str(place): graph for place, graph in enumerate(structures.values())},
        dataclasses.replace(settings, operators_above=0.0),
    )
    counts = OperatorCounts(
        {structure: told[str(place)] for place, structure in enumerate(structures) if str(place) in told}
    )
    adds_up = all(
        runs_in_order(network) and sum(counts.of(network) or ()) == seen[name] for name, network in tried.items()
    )
    return counts if adds_up else None


def runs_in_order(network: Network) -> bool:
    """Whether the nodes can run in no other order: each reads what the one before puts out."""
    return all(before.name in node.inputs for before, node in itertools.pairwise(network.nodes))


def running_graphs(network: Network) -> dict[str, OpGraph]:
    """What runs of each node where it stands, with an activation that its operator takes along from others."""
    running = {name: entry.deployed for name, entry in network.running.items()}
    if not any(entry.given for entry in network.entries.values()):
        return running
    owners = {f"{node}.{op.name}": node for node, graph in network.blocks_lowered.items() for op in graph.nodes}
    taken: dict[str, list[str]] = {}
    for operator in deploy(network.graph).nodes:
        taken.setdefault(owners[operator.name.partition("/")[0]], []).append(operator.activation)
    return {name: _taking(graph, taken.get(name, [])[-1:]) for name, graph in running.items()}


def _taking(graph: OpGraph, kinds: Sequence[str]) -> OpGraph:
    """The graph with an activation at its end, unless it has that already."""
    kind = next(iter(kinds), "linear")
    if kind == "linear" or not graph.nodes or deploy(graph).nodes[-1].activation == kind:
        return graph
    last = OpNode("taken along", Activation(kind), graph.outputs)
    return OpGraph(graph.inputs, (*graph.nodes, last), (last.name,))


def _taken_kinds(blocks: Sequence[SlotEntry]) -> set[str]:
    """Activations that blocks begin with and others run for them."""
    given = [node.op for entry in blocks for node in entry.graph.nodes if node.name in entry.given]
    return {op.kind for op in given if isinstance(op, Activation) and op.kind in FUSABLE_ACTIVATIONS}


def _forms(entry: SlotEntry, kinds: Collection[str]) -> list[OpGraph]:
    """A block as it is, and with each activation that it may take along."""
    if entry.is_given:
        return []
    return [entry.deployed, *(_taking(entry.deployed, [kind]) for kind in sorted(kinds))]


def structure_of(graph: OpGraph) -> Structure:
    """What a block does, step by step, whatever the sizes of its tensors."""
    return tuple(
        (type(node.op).__name__, *(item for item in vars(node.op).items() if item[0] not in _SIZES), node.inputs)
        for node in graph.nodes
    )
