"""Energies of tables: metered once and resumable, or made of watts; added up to networks; refused where unknown."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgenas.devices import DeviceLostError, Energy, MeterFound, Power, get_device
from edgenas.devices.device import MeasurementOutcome
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.measure.visits import QuietSettings
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.profile.energies import modelled_energies
from edgenas.latency.profile.profiler import ProfileResult, profile_space
from edgenas.latency.profile.reference_networks import CALIBRATION_NETWORKS
from edgenas.latency.table.energy_header import TableEnergy
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.space.search_space import SearchSpace

FEW = QuietSettings(visits=3, max_visits=6)
Server = Callable[..., Any]


_TABLE: list[str] = []


@pytest.fixture
def path(tmp_path: Path, space: SearchSpace, server: Server) -> Path:
    """A table without energies, profiled once for all tests."""
    path = tmp_path / "t.csv"
    if not _TABLE:
        assert profiled(space, server(), path).table.energy is None
        _TABLE.append(path.read_text())
    path.write_text(_TABLE[0])
    return path


def profiled(space: SearchSpace, device: Any, path: Path) -> ProfileResult:
    return profile_space(space, device, precision="int8", table_path=path, settings=FEW)


def with_power(device: Any, power: Power) -> Any:
    device.spec = dataclasses.replace(device.spec, power=power)
    return device


def metered(device: Any, *, extra_watts: float = 0.0, above_idle: float = 4.0) -> Any:
    """Gives a device a meter: 4 W above 1.5 W idle, ``extra_watts`` more in models of more than 4 kB."""
    plain = device.measure_many
    device.metered: list[str] = []
    device.meter = lambda: MeterFound("rapl: package-0")

    def measure_many(
        models: Mapping[str, Any], settings: Any = None, on_result: Any = None
    ) -> dict[str, MeasurementOutcome]:
        if not (settings and settings.energy):
            return plain(models, settings, on_result)
        outcomes: dict[str, MeasurementOutcome] = {}
        for name, model in models.items():
            device.metered.append(name)
            outcome = plain({name: model}, settings)[name]
            watts = above_idle + extra_watts * (len(model) > 4000)
            latency_ms = device.true_ms(model)
            energy = Energy(
                watts * latency_ms, (watts + 1.5) * latency_ms, 1.5, watts + 1.5, 9, 0.5, "rapl: package-0", "measured"
            )
            outcomes[name] = dataclasses.replace(outcome, energy=energy)
        return outcomes

    device.measure_many = measure_many
    return device


def test_a_meter_gives_every_block_its_energy(path: Path, space: SearchSpace, server: Server) -> None:
    device = metered(server())
    result = profiled(space, device, path)
    entries = space.signatures("int8")
    for signature, entry in entries.items():
        true = 4.0 * device.true_ms(write_tflite(entry.graph, "int8"))
        assert result.table.rows[signature].energy_mj == pytest.approx(true)
    energy = result.table.energy
    assert energy is not None
    assert (energy.kind, energy.meter) == ("measured", "rapl: package-0")
    assert (energy.idle_watts, energy.active_watts) == (1.5, 5.5)
    assert energy.networks == CALIBRATION_NETWORKS
    assert energy.mape is not None
    assert energy.mape < 0.02
    assert LatencyTable.load(result.path) == result.table


def test_networks_are_predicted_from_metered_blocks(path: Path, space: SearchSpace, server: Server) -> None:
    device = metered(server())
    predictor = Predictor(profiled(space, device, path).table)
    population = space.sample(np.random.default_rng(5), 20)
    energies = predictor.population_energy(space, population)
    for row, energy_mj in zip(population, energies, strict=True):
        network = space.decode(row)
        prediction = predictor.predict(network)
        assert prediction.energy_mj == pytest.approx(energy_mj)
        assert prediction.energy_mj == pytest.approx(
            4.0 * device.true_ms(write_tflite(network.graph, "int8")), rel=0.05
        )
        assert set(prediction.energy_per_node) == {node.name for node in network.nodes}
        provenance = prediction.energy_provenance
        assert provenance is not None
        assert (provenance["kind"], provenance["table_kind"]) == ("modelled", "measured")
        assert "rapl: package-0" in provenance["summary"]
    architecture, least = predictor.cheapest_energy(space)
    assert least == pytest.approx(predictor.predict(space.decode(architecture)).energy_mj)
    assert least <= energies.min() + 1e-12


def test_what_whole_networks_draw_otherwise_becomes_a_scale(path: Path, space: SearchSpace, server: Server) -> None:
    # Networks have more than 4 kB, blocks of this space mostly less.
    device = metered(server(), extra_watts=1.0)
    energy = profiled(space, device, path).table.energy
    assert energy is not None
    assert 1.05 < energy.scale < 1.3


def test_energies_are_measured_once(path: Path, space: SearchSpace, server: Server) -> None:
    device = metered(server())
    first = profiled(space, device, path)
    count = len(device.metered)
    assert profiled(space, device, path).table == first.table
    assert len(device.metered) == count


def test_an_interrupted_meter_goes_on_where_it_stopped(path: Path, space: SearchSpace, server: Server) -> None:
    device = metered(server())
    measure = device.measure_many

    def unplugged(models: Mapping[str, Any], settings: Any = None, on_result: Any = None) -> Any:
        if settings and settings.energy and len(device.metered) >= 25:
            raise DeviceLostError("the cable")
        return measure(models, settings, on_result)

    device.measure_many = unplugged
    with pytest.raises(WorkError, match=r"the cable\. All latencies and 25 energies are kept in .*t\.csv"):
        profiled(space, device, path)
    half = LatencyTable.load(path)
    known = [signature for signature, row in half.rows.items() if row.energy_mj is not None]
    assert len(known) == 25
    device.measure_many = measure
    before = set(device.metered)
    device.metered.clear()
    table = profiled(space, device, path).table
    assert not before & set(known) & set(device.metered)
    assert all(row.energy_mj is not None for row in table.rows.values())


def test_a_table_from_before_gets_its_energies(path: Path, space: SearchSpace, server: Server) -> None:
    plain = LatencyTable.load(path)
    device = metered(server())
    table = profiled(space, device, path).table
    assert all(row.energy_mj is not None for row in table.rows.values())
    assert table.with_energies({}, None) == plain


def test_measured_energies_outlive_their_meter(path: Path, space: SearchSpace, server: Server) -> None:
    table = profiled(space, metered(server()), path).table
    assert profiled(space, with_power(server(), Power(1.0, 2.0)), path).table == table


def test_watts_make_energies_that_say_so(path: Path, space: SearchSpace, server: Server) -> None:
    table = profiled(space, with_power(server(), Power(2.0, 5.0)), path).table
    assert table.energy is not None
    assert table.energy.kind == "modelled"
    assert table.energy.mape is None
    predictor = Predictor(table)
    network = space.decode(space.sample(np.random.default_rng(1), 1)[0])
    prediction = predictor.predict(network)
    assert prediction.energy_mj == pytest.approx(3.0 * prediction.latency_ms, rel=1e-4)
    assert prediction.energy_provenance is not None
    assert prediction.energy_provenance["table_kind"] == "modelled"
    # Other watts: made anew, without measuring.
    device = with_power(server(), Power(2.0, 8.0, pj_per_byte=100.0))
    again = profiled(space, device, path).table
    assert device.visits == 0
    entries = space.signatures("int8")
    for signature, entry in entries.items():
        row = again.rows[signature]
        moved = device.bytes_moved(write_tflite(entry.graph, "int8"))
        assert moved > 0
        assert row.energy_mj == pytest.approx(6.0 * row.latency_ms + moved * 100e-9, rel=1e-4)
    assert profiled(space, with_power(server(), Power()), path).table.energy is None


def test_modelled_energies_of_other_spaces_hold_while_the_watts_do(
    path: Path, space: SearchSpace, server: Server
) -> None:
    device = with_power(server(), Power(2.0, 8.0, pj_per_byte=100.0))
    entries = space.signatures("int8")
    table = modelled_energies(LatencyTable.load(path), entries, device, path)
    one = dict([next(iter(entries.items()))])
    assert modelled_energies(table, one, device, path) == table
    other = modelled_energies(table, one, with_power(server(), Power(2.0, 9.0, pj_per_byte=100.0)), path)
    assert [name for name, row in other.rows.items() if row.energy_mj is not None] == list(one)
    assert LatencyTable.load(path) == other


def test_energy_that_nobody_knows_is_refused_with_what_to_do(path: Path, space: SearchSpace, server: Server) -> None:
    predictor = Predictor(profiled(space, server(), path).table)
    population = space.sample(np.random.default_rng(0), 3)
    assert predictor.predict(space.decode(population[0])).energy_mj is None
    with pytest.raises(InputError, match=r"energy of device 'server'.*idle_watts.*edgenas profile"):
        predictor.population_energy(space, population)
    with pytest.raises(InputError, match="idle_watts"):
        predictor.cheapest_energy(space)


def test_blocks_whose_energy_was_not_measured_are_named(path: Path, space: SearchSpace, server: Server) -> None:
    table = profiled(space, metered(server()), path).table
    left_out = next(iter(space.signatures("int8")))
    energies = {name: row.energy_mj for name, row in table.rows.items() if name != left_out and row.energy_mj}
    predictor = Predictor(table.with_energies(energies, table.energy))
    with pytest.raises(InputError, match=r"lacks the energy of 1 signatures.*such as"):
        predictor.cheapest_energy(space)


def test_simulated_energies_meet_whole_networks(tmp_path: Path, space: SearchSpace) -> None:
    device, path = get_device("edgetpu-sim"), tmp_path / "t.csv"
    table = profiled(space, device, path).table
    assert isinstance(table.energy, TableEnergy)
    assert table.energy.kind == "simulated"
    predictor = Predictor(table)
    for row in space.sample(np.random.default_rng(3), 4):
        network = space.decode(row)
        whole = device.measure(write_tflite(network.graph, "int8"))
        assert predictor.predict(network).energy_mj == pytest.approx(whole.energy_mj, rel=0.03)
    # Other watts: another table.
    device.spec = dataclasses.replace(device.spec, power=Power(0.0, 4.0))
    again = profiled(space, device, path)
    assert again.measured == again.signatures
    assert again.table.energy is not None
    assert again.table.energy.active_watts == 4.0
