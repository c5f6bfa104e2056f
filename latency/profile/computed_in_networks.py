"""Blocks seen in networks on a device that tells every operator's share without running anything.

A vendor's compiler plans a network as a whole: it fetches the weights of an operator while the one before it computes,
keeps tensors where the next one finds them, and chooses formats by neighbours. So a block by itself costs something
else than in a network. Chains that together hold every block are compiled whole, and a block's cost is what its
operators took there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from edgenas.devices import Device, Measurement, MeasurementError
from edgenas.devices.measurement import OperatorShare
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.reader import read_operators
from edgenas.latency.measure.session import by_key
from edgenas.latency.profile.chains import AROUND, natural_chains, returning_chains
from edgenas.latency.profile.neighbourhoods import Neighbourhoods
from edgenas.latency.profile.operator_counts import OperatorCounts, running_graphs, structure_of
from edgenas.latency.profile.progress import ProgressCallback, Reporter
from edgenas.latency.table.latency_table import Row
from edgenas.spaces.cost import graph_weight_bytes
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.graph import OpGraph
from edgenas.spaces.network import Network

_BATCH = 20
#: No block is free: one whose work another does along still has to be told from one that lacks.
_LEAST_MS = 1e-9
#: So many bytes of weights are compiled for the sake of seeing blocks beside several neighbours.
_WEIGHT_BYTES, _MOST_ROUNDS = 10e6, 3


@dataclass
class InNetworks:
    """What was seen: rows by signature, and the device's words about networks that it cannot run."""

    rows: dict[str, Row] = field(default_factory=dict)
    failed: list[MeasurementError] = field(default_factory=list)
    networks: int = 0


def compute_in_networks(
    wanted: Mapping[str, SlotEntry],
    blocks: Mapping[str, SlotEntry],
    device: Device,
    precision: str,
    neighbourhoods: Neighbourhoods | None,
    progress: ProgressCallback | None = None,
) -> InNetworks:
    """Rows of the wanted blocks out of all ``blocks`` of a space; none of one that the device does not count wholly.

    Blocks of one input are seen in chains that hold each of them a few times, or once where they are large; others in
    random networks of their space, if that is known.
    """
    rng = np.random.default_rng(0 if neighbourhoods is None else neighbourhoods.seed)
    rounds = _rounds(wanted, precision)
    chains_of = natural_chains if _rounds(blocks, precision) > 1 else returning_chains
    chains = [each for _ in range(rounds) for each in chains_of(wanted, blocks, rng, precision)]
    joins = {name: entry for name, entry in wanted.items() if len(entry.input_shapes) != 1}
    around = [] if neighbourhoods is None else neighbourhoods.around(joins, 1)
    networks = by_key([*chains, *around], precision)
    report = Reporter(progress, f"compiling {len(networks)} networks for {len(wanted)} blocks", len(networks))
    seen: dict[str, list[OperatorShare]] = defaultdict(list)
    graphs: dict[str, OpGraph] = {}
    counts, found, keys = WrittenCounts(precision), InNetworks(networks=len(networks)), list(networks)
    batches = [{key: networks[key] for key in keys[first : first + _BATCH]} for first in range(0, len(keys), _BATCH)]
    done = 0
    for batch, models in zip(batches, _written(batches, precision), strict=True):
        for key, outcome in device.measure_many(models).items():
            if isinstance(outcome, MeasurementError):
                found.failed.append(outcome)
                continue
            shares = node_shares(batch[key], outcome, counts) or {}
            signatures = batch[key].signatures(precision)
            for name, share in shares.items():
                if share.counted and not name.startswith(AROUND):
                    seen[signatures[name]].append(share)
                    graphs[signatures[name]] = batch[key].running[name].deployed
        done += len(batch)
        report(done)
    found.rows = {name: _row(each, graphs[name], precision) for name, each in seen.items() if name in wanted}
    return found


def _written(batches: Sequence[Mapping[str, Network]], precision: str) -> Iterator[dict[str, bytes]]:
    """The files of each batch; those of the next one are written while this one is compiled.

    Kernels of one shape are equal in them: a compiler's time goes by weights, and it need not encode those again.
    """

    def write(batch: Mapping[str, Network]) -> dict[str, bytes]:
        return {key: write_tflite(each.graph, precision, equal_kernels=True) for key, each in batch.items()}

    with ThreadPoolExecutor(1) as writer:
        ahead = None
        for place in range(len(batches)):
            models = (ahead or writer.submit(write, batches[place])).result()
            ahead = writer.submit(write, batches[place + 1]) if place + 1 < len(batches) else None
            yield models


def _rounds(blocks: Mapping[str, SlotEntry], precision: str) -> int:
    """How often each block is seen: more than once where that is cheap."""
    total = sum(graph_weight_bytes(entry.graph, precision) for entry in blocks.values())
    return max(1, min(_MOST_ROUNDS, round(_WEIGHT_BYTES / max(total, 1))))


class WrittenCounts:
    """How many operators of a file each block becomes, by the block's structure; counted once each."""

    def __init__(self, precision: str) -> None:
        self._precision = precision
        self._found: dict[tuple[object, ...], int] = {}

    def of(self, network: Network) -> OperatorCounts:
        """The counts for the blocks of a network."""
        for graph in running_graphs(network).values():
            structure = structure_of(graph)
            if structure not in self._found:
                self._found[structure] = len(read_operators(write_tflite(graph, self._precision)))
        return OperatorCounts(self._found)


def node_shares(network: Network, whole: Measurement, counts: WrittenCounts) -> dict[str, OperatorShare] | None:
    """What each node adds to a network; None when the file's operators do not add up to its blocks'."""
    per_node = counts.of(network).of(network)
    if per_node is None or sum(per_node) != len(whole.shares):
        return None
    ends = np.cumsum(per_node)
    parts = [whole.shares[end - count : end] for end, count in zip(ends, per_node, strict=True)]
    return dict(zip(network.running, map(_sum, parts), strict=True))


def _sum(shares: Sequence[OperatorShare]) -> OperatorShare:
    return OperatorShare(
        sum(share.latency_ms for share in shares),
        max((share.sram_bytes for share in shares), default=0),
        sum(share.flash_bytes for share in shares),
        all(share.counted for share in shares),
    )


def _row(seen: Sequence[OperatorShare], graph: OpGraph, precision: str) -> Row:
    latencies = np.array([share.latency_ms for share in seen])
    low, middle, high = np.quantile(latencies, (0.25, 0.5, 0.75))
    return Row(
        max(float(f"{latencies.mean():.6g}"), _LEAST_MS),
        round(float((high - low) / middle), 4) if middle > 0 else 0.0,
        len(seen),
        len(seen),
        weight_bytes=graph_weight_bytes(graph, precision),
        networks=len(seen),
        sram_bytes=max(share.sram_bytes for share in seen),
        flash_bytes=round(float(np.mean([share.flash_bytes for share in seen]))),
    )
