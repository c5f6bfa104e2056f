"""Which costing a device has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgenas.devices import Device
from edgenas.devices.device import CostingName
from edgenas.latency.costing.computed import ComputedCosting
from edgenas.latency.costing.measured import MeasuredCosting
from edgenas.latency.costing.protocol import Costing

_COSTINGS: Mapping[CostingName, Callable[[Device], Costing]] = {
    "measured": MeasuredCosting,
    "computed": ComputedCosting,
}


def costing_of(device: Device) -> Costing:
    """How the costs of a device come to be."""
    return _COSTINGS[device.costing](device)
