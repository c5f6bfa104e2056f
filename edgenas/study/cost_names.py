"""Names of costs: what is counted (``macs``), and what depends on a device (``latency_ms``).

A run for one device calls its latency ``latency_ms``. A run for several names the device behind it:
``latency_ms@local-cpu`` and ``latency_ms@edgetpu-sim`` are two costs, each with a limit of its own, and the search
knows no difference between them and ``macs`` and ``params``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: Costs that can be budgeted, with the unit in the name; all are predicted without training anything.
COSTS = (
    *("latency_ms", "energy_mj", "sram_bytes", "flash_bytes"),
    *("size_bytes", "arena_bytes", "peak_activation_bytes", "macs", "params"),
)
#: What training costs on this machine; not of the deployed model, so it has no budget, but may count in a reward.
STEP_MS = "step_ms"
#: Those of memory that only a device's own compiler can tell.
MEMORY_COSTS = ("sram_bytes", "flash_bytes")
#: Those that differ from device to device.
DEVICE_COSTS = ("latency_ms", "energy_mj", *MEMORY_COSTS)
UNITS = {"latency_ms": "ms", STEP_MS: "ms", "energy_mj": "mJ"} | {
    name: "bytes" for name in COSTS if name.endswith("_bytes")
}


def cost_name(cost: str, device: str = "") -> str:
    """The name of a cost on a device; no device where there is only one.

    >>> cost_name("latency_ms", "local-cpu"), cost_name("latency_ms"), cost_name("macs", "local-cpu")
    ('latency_ms@local-cpu', 'latency_ms', 'macs')
    """
    return f"{cost}@{device}" if device and cost in DEVICE_COSTS else cost


def split_name(name: str) -> tuple[str, str]:
    """The cost and the device of a name.

    >>> split_name("latency_ms@local-cpu"), split_name("macs")
    (('latency_ms', 'local-cpu'), ('macs', ''))
    """
    cost, _, device = name.partition("@")
    return cost, device


def unit_of(name: str) -> str:
    """The unit of a cost, empty for plain counts."""
    return UNITS.get(split_name(name)[0], "")


def by_device(costs: Mapping[str, Any], devices: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Costs as each device sees them: its own, and those that no device changes.

    >>> by_device({"latency_ms@a": 1.0, "latency_ms@b": 2.0, "macs": 7}, ["a", "b"])
    {'a': {'latency_ms': 1.0, 'macs': 7}, 'b': {'latency_ms': 2.0, 'macs': 7}}
    """
    found: dict[str, dict[str, Any]] = {device: {} for device in devices}
    for name, value in costs.items():
        cost, device = split_name(name)
        for one in found:
            if device in ("", one):
                found[one][cost] = value
    return found


def nested(costs: Mapping[str, Any]) -> dict[str, Any]:
    """Costs for documents: by device when the names have devices, as they are otherwise.

    >>> nested({"latency_ms": 1.0}), nested({"latency_ms@a": 1.0, "macs": 7})
    ({'latency_ms': 1.0}, {'a': {'latency_ms': 1.0, 'macs': 7}})
    """
    devices = list(dict.fromkeys(device for _, device in map(split_name, costs) if device))
    return by_device(costs, devices) if devices else dict(costs)
