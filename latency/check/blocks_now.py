"""What blocks of a table take now on a device that is measured, in the way in which each row was made.

Blocks that were seen in networks are seen in networks again: chains of the table's blocks, since a table does not know
its space.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from edgenas.devices import Device
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.costing.protocol import BlocksNow
from edgenas.latency.measure.quiet import measure_quiet
from edgenas.latency.measure.session import Session, by_key
from edgenas.latency.measure.visits import QuietLatency, QuietSettings, Visits
from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.profile.in_networks import sightings_in
from edgenas.latency.profile.neighbourhoods import chains_through
from edgenas.latency.profile.operator_counts import count_operators
from edgenas.latency.profile.standalone import blocks_of
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.latency.table.rebuild import blocks_from
from edgenas.spaces.entry import SlotEntry


def measure_blocks_now(
    device: Device, table: LatencyTable, blocks: Mapping[str, SlotEntry], settings: QuietSettings, seed: int
) -> BlocksNow:
    """What blocks take now, at the table's clock."""
    in_networks = {name: entry for name, entry in blocks.items() if table.rows[name].networks}
    standalone = {name: entry for name, entry in blocks.items() if name not in in_networks}
    now = _standalone(device, table, standalone, settings, seed)
    return now | _in_networks(device, table, in_networks, settings, seed) if in_networks else now


def _standalone(
    device: Device, table: LatencyTable, blocks: Mapping[str, SlotEntry], settings: QuietSettings, seed: int
) -> BlocksNow:
    models = {name: write_tflite(entry.deployed, table.precision) for name, entry in blocks.items()}
    outcomes = measure_quiet(
        device, models, settings=settings, seed=seed, threads=table.threads, anchor_ms=table.anchor_ms
    )
    found = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, QuietLatency)}
    return BlocksNow(
        {name: latency.latency_ms for name, latency in found.items()},
        {name: str(outcome) for name, outcome in outcomes.items() if name not in found},
        frozenset(name for name, latency in found.items() if not latency.quiet_visits),
    )


def _in_networks(
    device: Device, table: LatencyTable, blocks: Mapping[str, SlotEntry], settings: QuietSettings, seed: int
) -> BlocksNow:
    neighbours = blocks_from(name for name, row in table.rows.items() if row.networks)
    networks = chains_through(neighbours, blocks, np.random.default_rng(seed))
    by_operator = dataclasses.replace(settings, operators_above=0.0)
    counts = count_operators(
        device,
        networks,
        blocks_of(networks, table.precision).values(),
        precision=table.precision,
        threads=table.threads,
        settings=by_operator,
    )
    if counts is None:
        return BlocksNow(failed=_not_told(blocks))
    session = Session(device, table.precision, table.threads, Visits(by_operator, table.anchor_ms), seed=seed)
    seen = sightings_in(session, by_key(networks, table.precision), counts)
    cache_misses = (table.calibration or Calibration()).cache_misses

    def now_ms(name: str) -> float:
        """As the row is: without what slow networks add."""
        missed = table.rows[name].cache_miss_ms
        return float(np.mean([each.latency_ms - missed * cache_misses.share(each.network_ms) for each in seen[name]]))

    return BlocksNow(
        {name: now_ms(name) for name in blocks if name in seen},
        _not_told(name for name in blocks if name not in seen),
        frozenset(name for name in blocks if name in seen and not any(each.visits for each in seen[name])),
    )


def _not_told(names: Iterable[str]) -> dict[str, str]:
    return dict.fromkeys(names, "not told apart in networks any more")
