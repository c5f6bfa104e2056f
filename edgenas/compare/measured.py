"""Files of one network on one device of a run, side by side, as its table was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgenas.compare.side_by_side import measure_side_by_side

if TYPE_CHECKING:
    from edgenas.run.device import RunDevice


def measured_on(device: RunDevice, files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """What :func:`measure_side_by_side` tells of each file, at the clock of the run's table where there is one."""
    table = device.known_table
    return measure_side_by_side(
        device.device,
        files,
        threads=device.threads,
        anchor_ms=None if table is None else table.anchor_ms,
        settings=None if table is None else table.visit_settings(),
    )
