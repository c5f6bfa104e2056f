"""What the shipped file costs on one device: measured there, counted from the file, predicted before it existed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgenas.export.figure import Figure, kind_of
from edgenas.export.micro.interpreter import allocate
from edgenas.run.choose import measure_deployed
from edgenas.run.records import DeviceRecord
from edgenas.run.shipping import quiet_latency
from edgenas.spaces.cost import peak_activation_bytes
from edgenas.study.cost_names import MEMORY_COSTS
from edgenas.study.objectives import within

if TYPE_CHECKING:
    from edgenas.devices.measurement import Measurement
    from edgenas.run.context import RunContext
    from edgenas.run.device import RunDevice
    from edgenas.spaces.network import Network


@dataclass(frozen=True)
class DeviceFigures:
    """One device's view of the shipped file. ``costs`` by name with the unit in the name, as budgets have them."""

    device: RunDevice
    model: bytes
    measurement: Measurement
    costs: dict[str, float]
    predicted: dict[str, Any]
    quiet: dict[str, Any]

    @property
    def name(self) -> str:
        return self.device.name

    @property
    def latency_kind(self) -> str:
        return self.measurement.provenance.kind

    @property
    def energy_kind(self) -> str | None:
        return None if self.measurement.energy is None else self.measurement.energy.kind

    @property
    def statistics(self) -> dict[str, Any]:
        """The latency as ``metrics.json`` has it."""
        return self.measurement.statistics() | {"quiet": self.quiet}

    @property
    def provenance(self) -> dict[str, Any]:
        energy = None if self.measurement.energy is None else self.measurement.energy.to_json()
        return self.measurement.provenance.to_json() | {"energy": energy}

    @property
    def kinds(self) -> dict[str, str]:
        """How the costs are known that are not counted from the file."""
        kinds = {"latency_ms": self.latency_kind, "energy_mj": self.energy_kind or "predicted"}
        return kinds | dict.fromkeys(MEMORY_COSTS, self.latency_kind)

    def over(self) -> list[str]:
        """What is over the device's budget, in words."""
        kinds = self.kinds
        return [
            f"{name} is {self.costs[name]:.6g}{f' ({kinds[name]})' if name in kinds else ''}, over the budget of "
            f"{limit:.6g}"
            for name, limit in self.device.budget.items()
            if not within(self.costs, {name: limit})
        ]

    def words(self) -> str:
        """Median and quiet latency, and where."""
        return (
            f"{Figure(self.measurement.median, 'ms', self.latency_kind, 'median')}, "
            f"{Figure(self.quiet.get('quiet_ms'), 'ms', kind_of(self.quiet), 'quiet')} on {self.name}"
        )

    @property
    def record(self) -> DeviceRecord:
        """What the run keeps."""
        measured = dict(self.costs)
        if "quiet_ms" in self.quiet:
            measured["latency_quiet_ms"] = self.quiet["quiet_ms"]
        return DeviceRecord(measured=measured, latency_kind=self.latency_kind, energy_kind=self.energy_kind)


def measure_on(context: RunContext, device: RunDevice, model: bytes, network: Network) -> DeviceFigures:
    """Measures the shipped file on a device, without the quiet visits, which only what is shipped gets."""
    measurement = measure_deployed(context, device, model, device.budget.get("latency_ms"))
    prediction = None if device.known_table is None else device.predictor.predict(network)
    costs: dict[str, float] = {
        "latency_ms": measurement.median,
        "size_bytes": len(model),
        "peak_activation_bytes": peak_activation_bytes(network, context.precision),
        "macs": network.macs,
        "params": network.params,
    }
    # What an energy budget is held against: measured or modelled with the file, else the table's prediction.
    energy_mj = measurement.energy_mj
    if energy_mj is None and prediction is not None:
        energy_mj = prediction.energy_mj
    if energy_mj is not None:
        costs["energy_mj"] = energy_mj
    if "arena_bytes" in device.budget:
        costs["arena_bytes"] = allocate(model).total_bytes
    costs |= {name: measurement.memory[name] for name in MEMORY_COSTS if name in measurement.memory}
    if prediction is None:
        return DeviceFigures(device, model, measurement, costs, {}, {})
    predicted = {
        "kind": "predicted",
        "latency_ms": prediction.latency_ms,
        "energy_mj": prediction.energy_mj,
        "provenance": device.table.provenance.to_json() | {"statistic": device.table.statistic},
        "energy_provenance": prediction.energy_provenance,
        **prediction.memory,
    }
    if device.behind is not None:
        predicted["post_processing_ms"] = device.behind_ms
    return DeviceFigures(device, model, measurement, costs, predicted, {})


def with_quiet(context: RunContext, figures: DeviceFigures) -> DeviceFigures:
    """The same figures with the latency of quiet visits."""
    quiet = quiet_latency(context, figures.device, figures.model)
    return DeviceFigures(figures.device, figures.model, figures.measurement, figures.costs, figures.predicted, quiet)
