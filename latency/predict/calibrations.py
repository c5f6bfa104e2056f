"""The calibrations of a table: one for each space that was profiled, and which of them a network is predicted with.

A calibration is kept as it was fitted: what is profiled later adds one and changes none. Networks of a space are
predicted with the space's own. Other networks are predicted with that of the space that most of their blocks were
profiled for; where several have as many, with the one that was fitted first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from edgenas.latency.predict.calibration import Calibration


def default_calibration(calibrations: Mapping[str, Calibration]) -> Calibration | None:
    """That of networks that nothing is known of: the first whose error is known, else the one of most networks."""
    known = [each for each in calibrations.values() if each.mape is not None]
    if known:
        return known[0]
    return max(calibrations.values(), key=lambda each: each.networks, default=None)


def calibration_of_blocks(
    calibrations: Mapping[str, Calibration], profiled_for: Iterable[tuple[str, ...]]
) -> Calibration | None:
    """The calibration of a network, from the names of the calibrations that each of its blocks was profiled for."""
    counts: Counter[str] = Counter()
    for names in profiled_for:
        counts.update(name for name in names if name in calibrations)
    usable = {name: each for name, each in calibrations.items() if each.mape is not None} or calibrations
    most = max((counts[name] for name in usable), default=0)
    if not most:
        return default_calibration(calibrations)
    return next(each for name, each in usable.items() if counts[name] == most)
