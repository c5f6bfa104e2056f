"""Standalone blocks: each is a model of its own, in the same rounds as whole networks that they are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgenas.latency.measure.session import Session, by_key
from edgenas.latency.measure.visits import THOROUGH
from edgenas.latency.predict.calibration import Calibration, calibrate
from edgenas.latency.predict.wide_depthwise import wide_depthwise_bytes
from edgenas.latency.table.latency_table import Row
from edgenas.spaces.blocks import ConvBnAct
from edgenas.spaces.cost import graph_weight_bytes
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.network import Network

# So many models are on disk and in one set of rounds at once.
_BATCH = 1000
_EMPTY = "empty"


def measure_standalone(
    session: Session, blocks: Mapping[str, SlotEntry], networks: Sequence[Network]
) -> tuple[dict[str, Row], Calibration]:
    """Rows of these blocks, and the calibration with whole networks; an almost empty model goes along.

    The blocks of the networks are measured too, so that these are compared with numbers of the same minutes.
    """
    precision = session.precision
    wholes = by_key(networks, precision)
    session.visits.effort = dict.fromkeys(wholes, THOROUGH)
    graphs = {key: network.graph for key, network in wholes.items()}
    graphs[_EMPTY] = ConvBnAct(filters=8, kernel=1).lower((1, 1, 8))
    blocks = blocks_of(networks, precision) | dict(blocks)
    graphs |= {signature: entry.deployed for signature, entry in blocks.items()}
    session.measure(graphs, what="models", batch=_BATCH)
    rows = standalone_rows(session, blocks)
    return rows, _calibrated(session, rows, wholes)


def standalone_rows(session: Session, blocks: Mapping[str, SlotEntry]) -> dict[str, Row]:
    """Table rows of the blocks that were measured standalone."""
    latencies = session.visits.latencies(name for name in blocks if name not in session.errors)
    return {
        name: Row(
            float(f"{found.latency_ms:.5g}"),
            round(found.spread, 4),
            found.quiet_visits,
            found.visits,
            weight_bytes=graph_weight_bytes(blocks[name].deployed, session.precision),
            wide_bytes=wide_depthwise_bytes(blocks[name].deployed, session.precision),
        )
        for name, found in latencies.items()
    }


def blocks_of(networks: Sequence[Network], precision: str) -> dict[str, SlotEntry]:
    """The blocks of networks of which something runs, by signature."""
    return {entry.signature(precision): entry for network in networks for entry in network.running.values()}


def _calibrated(session: Session, rows: Mapping[str, Row], wholes: Mapping[str, Network]) -> Calibration:
    precision = session.precision
    seen = {name: found.latency_ms for name, found in session.visits.latencies(session.visits.by_model).items()}
    blocks_ms, networks_ms, used = [], [], []
    for key, network in wholes.items():
        signatures = network.signatures(precision).values()
        if key not in session.errors and key in seen and all(each in rows for each in signatures):
            blocks_ms.append([seen[each] for each in signatures])
            networks_ms.append(seen[key])
            used.append(network)
    weights, wide = (
        [count(network.graph, precision) for network in used] for count in (graph_weight_bytes, wide_depthwise_bytes)
    )
    fitted = calibrate(blocks_ms, networks_ms, seen.get(_EMPTY, 0.0), weights, wide)
    return session.with_deployed(fitted, used, networks_ms)
