"""Whether the numbers of a table hold for a device as it is now, in words: what to refuse, and what to warn about."""

from __future__ import annotations

from datetime import datetime, timezone

from edgenas.devices import Device
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.spaces.errors import WorkError

_OLD_DAYS = 90


def warn_about(table: LatencyTable, device: Device, source: str = "the latency table") -> list[str]:
    """What a user of a table should know: another runtime, its version or processor; age; no calibration.

    A device that cannot be reached is no reason to refuse a prediction, so it is a warning too.
    """
    warnings = []
    try:
        differences = table.differences(device.identity(threads=table.threads))
    except WorkError as error:
        warnings.append(f"{device.name!r} cannot be asked whether {source} still holds: {error}")
    else:
        if differences:
            warnings.append(
                f"{source} does not hold for {device.name!r} as it is: {'; '.join(differences)}; measure again with "
                f"`edgenas profile --device {device.name} --fresh`"
            )
    if table.calibration is None or table.calibration.mape is None:
        warnings.append(f"{source} was not calibrated with whole networks: its error is not known")
    days = _age_days(table.created) if table.networks_kind == "measured" else None  # what is computed does not age
    if days is not None and days > _OLD_DAYS:
        warnings.append(f"{source} is {days} days old: `edgenas table drift` tells whether it still holds")
    return warnings


def _age_days(created: str) -> int | None:
    try:
        then = datetime.strptime(created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return (datetime.now(timezone.utc) - then).days
