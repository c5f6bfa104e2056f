"""Blocks measured in whole networks, operator by operator.

A block that runs by itself over and over finds its weights in the cache and its tensors where they were; in a network
of many megabytes it does not, and takes up to a third longer. So where networks are slow and the runtime tells the time
of each operator, no block is measured standalone: random networks that together hold each block twice are, and a
block's latency is what its operators took in them, in fast networks and in slow ones
(:mod:`edgenas.latency.predict.cache_misses`). A network is then the sum of its blocks, times a scale near 1. It is
faster, too: one visit to a network is one to all its blocks.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from edgenas.latency.measure.session import Session, by_key
from edgenas.latency.predict.cache_misses import CacheMisses, Sighting, fit_cache_misses
from edgenas.latency.predict.calibration import Calibration, calibrate_in_networks
from edgenas.latency.predict.wide_depthwise import wide_depthwise_bytes
from edgenas.latency.profile.neighbourhoods import Neighbourhoods
from edgenas.latency.profile.operator_counts import OperatorCounts
from edgenas.latency.profile.standalone import standalone_rows
from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.spaces.cost import graph_weight_bytes
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.graph import OpGraph
from edgenas.spaces.network import Network

#: A block is seen in so many networks, where its space has them.
_TIMES = 2
#: So many of the fastest networks are looked at.
_FAST = 30
#: Where these tell that it matters, at most so many more, with blocks that were seen in slow ones.
_MOST_FAST = 200
#: Networks are visited in two rounds, minutes apart: what neighbours leave of a shared cache changes. In each of them
#: so many times as often as standalone blocks, since there are many of them.
_EFFORT = 0.125
#: What fast ones find in the cache differs more, and few tell it: the fastest, and those that are nearly as fast.
_FASTEST_EFFORT, _FAST_EFFORT = 0.5, 0.25
#: Those that were quiet in fewer visits are visited again after all others.
_LEAST_QUIET = 2
# Networks can have 100 MB: so many are on disk at once.
_BATCH = 60


def measure_in_networks(
    session: Session,
    blocks: Mapping[str, SlotEntry],
    table: LatencyTable,
    networks: Sequence[Network],
    neighbourhoods: Neighbourhoods,
    counts: OperatorCounts,
) -> tuple[dict[str, Row], Calibration]:
    """Rows of these blocks, seen in other networks, and the calibration with ``networks``.

    Random networks with each block come first. Where ``table`` has no such rows yet, some of the fastest networks
    follow, which tell what slow ones add. A block that no network told is measured standalone.
    """
    visits, precision = session.visits, session.precision
    standalone_settings = visits.settings
    visits.settings = dataclasses.replace(standalone_settings, operators_above=0.0)
    around = by_key(neighbourhoods.around(blocks, _TIMES), precision)
    wholes = by_key(networks, precision)
    visits.effort = dict.fromkeys(wholes | around, _EFFORT)
    _measure(session, wholes | around)
    before = table.calibration
    if before is not None and any(row.networks for row in table.rows.values()):
        cache_misses: CacheMisses | None = before.cache_misses
    else:
        cache_misses = None
        around |= _fast_networks(session, blocks, around, neighbourhoods, counts)
    visits.effort = {key: 2 * effort for key, effort in visits.effort.items()} | dict.fromkeys(wholes, 1.0)
    _measure(session, _shuffled(wholes | around, session.seed), "networks again")
    _measure_disturbed(session, wholes | around)
    seen = _sightings(session, around, counts)
    if cache_misses is None:
        cache_misses = _cache_misses(session, seen, blocks)
    rows = {
        name: _row(seen[name], entry.deployed, precision, cache_misses)
        for name, entry in blocks.items()
        if name in seen
    }
    left = {name: entry for name, entry in blocks.items() if name not in rows}
    if left:
        visits.settings = standalone_settings
        session.measure({name: entry.deployed for name, entry in left.items()}, what="standalone blocks", batch=_BATCH)
        rows |= standalone_rows(session, left)
    session.errors = {name: error for name, error in session.errors.items() if name in left}
    return rows, _calibrated(session, {**table.rows, **rows}, wholes, cache_misses, before or Calibration())


def sightings_in(
    session: Session, networks: Mapping[str, Network], counts: OperatorCounts
) -> dict[str, list[Sighting]]:
    """Visits networks; what was seen of blocks in them, by signature.

    A block comes once for each time that a network holds it. What does not run, or does not add up, tells nothing.
    """
    _measure(session, networks)
    return _sightings(session, networks, counts)


def _measure(session: Session, networks: Mapping[str, Network], what: str = "networks") -> None:
    session.measure({key: network.graph for key, network in networks.items()}, what=what, batch=_BATCH)


def _shuffled(networks: Mapping[str, Network], seed: int) -> dict[str, Network]:
    keys = list(networks)
    return {keys[place]: networks[keys[place]] for place in np.random.default_rng(seed).permutation(len(keys))}


def _measure_disturbed(session: Session, networks: Mapping[str, Network]) -> None:
    """Visits those again that were disturbed nearly whenever they were visited: minutes later, they may not be."""
    visits = session.visits
    if visits.is_quiet:
        return

    def is_disturbed(key: str) -> bool:
        enough = visits.effort.get(key, 1.0) * visits.settings.visits
        return key not in session.errors and visits.quiet_visits(key) < min(_LEAST_QUIET, enough)

    disturbed = {key: network for key, network in networks.items() if is_disturbed(key)}
    if disturbed:
        visits.effort = {**visits.effort, **{key: 2 * visits.effort.get(key, 1.0) for key in disturbed}}
        _measure(session, disturbed, "disturbed networks again")


def _fast_networks(
    session: Session,
    blocks: Mapping[str, SlotEntry],
    around: Mapping[str, Network],
    neighbourhoods: Neighbourhoods,
    counts: OperatorCounts,
) -> dict[str, Network]:
    """Fast networks that were visited, besides those ``around`` blocks: a few, and more where these differ."""
    seen = _sightings(session, around, counts)
    typical = {name: float(np.mean([each.latency_ms for each in found])) for name, found in seen.items()}
    fast: dict[str, Network] = {}

    def visit(networks: Sequence[Network], effort: float) -> None:
        new = {key: each for key, each in by_key(networks, session.precision).items() if key not in {**around, **fast}}
        session.visits.effort = {**session.visits.effort, **dict.fromkeys(new, effort)}
        _measure(session, new)
        fast.update(new)

    visit(neighbourhoods.fast(typical, _FAST), _FASTEST_EFFORT)
    if _cache_misses(session, _sightings(session, {**around, **fast}, counts), blocks).ms_per_mb:
        others = neighbourhoods.fast_around([name for name in typical if name in blocks], typical, _MOST_FAST)
        visit(others, _FAST_EFFORT)
    return fast


def _sightings(session: Session, networks: Mapping[str, Network], counts: OperatorCounts) -> dict[str, list[Sighting]]:
    seen = defaultdict(list)
    for key, found in session.visits.operators(networks).items():
        parts = None if key in session.errors else counts.split(networks[key], found.operators_ms)
        if parts is None:
            continue
        for signature, latency in zip(networks[key].signatures(session.precision).values(), parts, strict=True):
            seen[signature].append(Sighting(latency, found.latency_ms, found.visits))
    return dict(seen)


def _cache_misses(
    session: Session, seen: Mapping[str, Sequence[Sighting]], blocks: Mapping[str, SlotEntry]
) -> CacheMisses:
    weights = {name: graph_weight_bytes(blocks[name].deployed, session.precision) for name in seen if name in blocks}
    return fit_cache_misses({name: seen[name] for name in weights}, weights)


def _row(seen: Sequence[Sighting], graph: OpGraph, precision: str, cache_misses: CacheMisses) -> Row:
    weight_bytes = graph_weight_bytes(graph, precision)
    seen = cache_misses.undisturbed(seen, weight_bytes)
    latency, missed = cache_misses.split(seen, weight_bytes)
    warm = np.array([each.latency_ms - missed * cache_misses.share(each.network_ms) for each in seen])
    low, high = np.quantile(warm, (0.25, 0.75))
    visits = sum(each.visits for each in seen)
    return Row(
        float(f"{latency:.5g}"),
        round(float(high - low) / latency, 4),
        visits,
        visits,
        weight_bytes=weight_bytes,
        wide_bytes=wide_depthwise_bytes(graph, precision),
        networks=len(seen),
        cache_miss_ms=float(f"{missed:.5g}"),
    )


def _calibrated(
    session: Session,
    rows: Mapping[str, Row],
    wholes: Mapping[str, Network],
    cache_misses: CacheMisses,
    before: Calibration,
) -> Calibration:
    """``before`` says what standalone blocks add, for a space of fast networks."""
    plain_of = dataclasses.replace(before, in_network_scale=1.0)
    seen = session.visits.latencies(wholes)
    sums_ms, networks_ms, used = [], [], []
    for key, network in wholes.items():
        signatures = network.signatures(session.precision).values()
        if key in seen and all(signature in rows for signature in signatures):
            blocks = [rows[signature] for signature in signatures]
            plain, missed = float(plain_of.parts(blocks).sum()), sum(block.cache_miss_ms for block in blocks)
            sums_ms.append(float(cache_misses.network_ms(plain, missed)))
            networks_ms.append(seen[key].latency_ms)
            used.append(network)
    fitted = dataclasses.replace(
        calibrate_in_networks(sums_ms, networks_ms),
        cache_miss_ms_per_mb=cache_misses.ms_per_mb,
        cache_miss_decay_ms=cache_misses.decay_ms,
    )
    return session.with_deployed(fitted, used, networks_ms)
