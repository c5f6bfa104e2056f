"""The random networks that a space's table is calibrated with.

They are the same whenever a space is profiled, and the table keeps how long each took. So they tell later how the
device differs from what it was when the table was made: by what neighbours leave of a shared cache and of the memory's
bandwidth, which no look at the CPU's clock shows.
"""

from __future__ import annotations

import numpy as np

from edgenas.latency.measure.session import by_key, digest
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.spaces.network import Network
from edgenas.spaces.space.search_space import SearchSpace

CALIBRATION_NETWORKS = 24
#: Apart from the seeds that people validate with.
CALIBRATION_SEED = 20_240_001
#: Fewer tell the networks' own noise.
_FEWEST = 6


def calibration_networks(space: SearchSpace) -> list[Network]:
    """The networks; a small space may give one of them twice."""
    rng = np.random.default_rng(CALIBRATION_SEED)
    return [space.decode(row) for row in space.sample(rng, CALIBRATION_NETWORKS)]


def table_for(table: LatencyTable, space: SearchSpace) -> LatencyTable:
    """The table as it speaks about networks of a space: with the calibration of that space, where it has one.

    A space that was not profiled itself gets that of the space that most of its blocks were profiled for.
    """
    of = digest(calibration_networks(space), table.precision)
    if of in table.calibrations:
        return table.for_calibration(of)
    return table.for_blocks(space.signatures(table.precision))


def reference_networks(space: SearchSpace, table: LatencyTable) -> list[tuple[Network, float]]:
    """The networks that the table was calibrated with, and how long each took then, in ms at the table's clock.

    Empty where the calibration is that of another space, or of other networks, or some of them could not be measured.
    """
    networks = calibration_networks(space)
    calibration = table.calibrations.get(digest(networks, table.precision))
    if calibration is None:
        return []
    distinct = by_key(networks, table.precision).values()
    if not _FEWEST <= len(distinct) == len(calibration.pairs):
        return []
    return [(network, then) for network, (_, then) in zip(distinct, calibration.pairs, strict=True)]
