"""``edgenas predict --space S --architectures FILE.txt``: what many architectures would take on a device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.cli.output import print_json, print_table, remark
from edgenas.spaces.errors import InputError

if TYPE_CHECKING:
    from edgenas.devices import Device
    from edgenas.latency.table.latency_table import LatencyTable
    from edgenas.spaces.space.decision import Architecture
    from edgenas.spaces.space.search_space import SearchSpace

#: Latency in ms and energy in mJ of each architecture; None where it is not known.
Costs = list[tuple[float | None, float | None]]
#: Networks that a simulated device is asked for at a time.
_BATCH = 100


def predict_architectures(
    space: SearchSpace, file: Path, device: str, precision: str, table: Path | None, as_json: bool
) -> None:
    """Prints one prediction for each line of the file, in its order.

    From the device's table where there is one; a simulated device without one is asked directly. Raises InputError
    naming the line, or the command that makes the table.
    """
    from edgenas.latency.transfer.figures import read_architectures

    given = read_architectures(file, space)
    costs = _costs(space, [architecture for _, architecture in given], device, precision, table)
    rows = [(text, *found) for (text, _), found in zip(given, costs, strict=True)]
    if as_json:
        print_json([dict(zip(("architecture", "latency_ms", "energy_mj"), row, strict=True)) for row in rows])
        return
    print_table(("architecture", "latency ms", "energy mJ"), rows, f"{space.name}, predicted for {device}")


def _costs(
    space: SearchSpace, architectures: Sequence[Architecture], device: str, precision: str, path: Path | None
) -> Costs:
    from edgenas.devices.device import device_names, get_device
    from edgenas.latency.costing.devices import costing_of
    from edgenas.latency.predict.predictor import Predictor
    from edgenas.latency.profile.reference_networks import table_for
    from edgenas.latency.table.checks import warn_about
    from edgenas.latency.table.latency_table import LatencyTable, default_table_path

    where = path or default_table_path(device, precision)
    target = None
    if device in device_names() or not where.exists():  # the refusal of an unknown device names the known ones
        target = get_device(device)
        found = costing_of(target).table_path(path, precision, space)
        if found is None:
            return _ask(space, architectures, target, precision)
        where = found
    table = LatencyTable.load(where, device=device, precision=precision)
    for warning in [] if target is None or table.is_adapted else warn_about(table, target, str(where)):
        remark(f"warning: {warning}")
    table = table_for(table, space)
    remark(Predictor(table).describe_error())
    return _add_up(space, architectures, table)


def _add_up(space: SearchSpace, architectures: Sequence[Architecture], table: LatencyTable) -> Costs:
    from edgenas.latency.predict.predictor import Predictor

    predictor = Predictor(table)
    population = space.to_population(architectures)
    none: list[None] = [None] * len(population)
    latencies = predictor.population(space, population).tolist() if table.knows_latency else none
    energies = predictor.population_energy(space, population).tolist() if table.energy is not None else none
    return list(zip(latencies, energies, strict=True))


def _ask(space: SearchSpace, architectures: Sequence[Architecture], device: Device, precision: str) -> Costs:
    """The device's own answer for each network."""
    from edgenas.devices import Measurement
    from edgenas.export.tflite.flatbuffer import write_tflite

    if precision not in device.precisions:
        raise InputError(f"device {device.name!r} runs {', '.join(device.precisions)}, not {precision}")
    costs: Costs = []
    for first in range(0, len(architectures), _BATCH):
        batch = architectures[first : first + _BATCH]
        models = {str(place): write_tflite(space.decode(row).graph, precision) for place, row in enumerate(batch)}
        outcomes = device.measure_many(models)
        for place, architecture in enumerate(batch):
            outcome = outcomes[str(place)]
            if not isinstance(outcome, Measurement):
                raise InputError(f"{device.name!r} cannot run {architecture}: {outcome}")
            costs.append((outcome.min, outcome.energy_mj))
    return costs
