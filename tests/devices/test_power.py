"""Watts of a device's file: read, refused with the key's name, written back; and the model of energy made of them."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edgenas.devices import Device, DeviceSpec, Measurement, MeasureSettings, Power, Provenance, get_device
from edgenas.devices.device import MeasurementOutcome, Model, device_files, read_device_spec
from edgenas.devices.own import save_device
from edgenas.devices.power import read_power
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.blocks import ConvBnAct
from edgenas.spaces.errors import InputError

watts = st.floats(0, 1e3)


@given(
    st.builds(
        lambda idle, more, pj, meter, command, rails: Power(idle, idle + more, pj, meter, command, tuple(rails)),
        watts,
        st.floats(0.1, 1e3),
        watts,
        st.sampled_from(["auto", "none", "rapl"]),
        st.none() | st.just("meter --watts"),
        st.lists(st.sampled_from(["VDD_IN", "GPU"]), unique=True),
    )
)
def test_reads_back_what_it_wrote(power: Power) -> None:
    assert read_power(yaml.safe_load(yaml.safe_dump(power.to_yaml())), "x.yaml") == power


def test_energy_is_the_watts_above_idle_and_the_bytes() -> None:
    energy = Power(2.0, 5.0, pj_per_byte=100.0).energy(10.0, 1_000_000)
    assert energy is not None
    assert energy.energy_mj == pytest.approx(3 * 10 + 1e6 * 100e-12 * 1e3)
    assert energy.total_mj == pytest.approx(5 * 10 + 0.1)
    assert energy.kind == "modelled"
    assert Power().energy(10.0) is None


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([1], "power must be a mapping"),
        ({"watts": 3}, r"unknown key power\.watts: expected one of idle_watts"),
        ({"idle_watts": 1}, "given together"),
        ({"idle_watts": 5, "active_watts": 4}, "must be above idle_watts"),
        ({"idle_watts": "few", "active_watts": 4}, r"power\.idle_watts must be a number from 0, found 'few'"),
        ({"idle_watts": -1, "active_watts": 4}, "number from 0"),
        ({"idle_watts": {"watts": 1}, "active_watts": 4}, "value: NUMBER"),
        ({"command": ["usb"]}, r"power\.command must be a text"),
        ({"rails": "VDD_IN"}, "list of names"),
    ],
)
def test_wrong_files_are_refused_by_file_and_key(raw: object, words: str) -> None:
    with pytest.raises(InputError, match=rf"mine\.yaml.*{words}"):
        read_power(raw, "mine.yaml")


def test_every_figure_of_the_catalog_tells_its_source() -> None:
    specs = [read_device_spec(path) for path in device_files().values()]
    assert any(spec.power.has_watts for spec in specs)
    for spec in specs:
        figures = {name: spec.power.to_yaml().get(name) for name in ("idle_watts", "active_watts", "pj_per_byte")}
        assert all(value is None or isinstance(value, dict) for value in figures.values()), spec.name


def test_a_device_of_ones_own_keeps_its_watts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGENAS_HOME", str(tmp_path))
    save_device(DeviceSpec("laptop", "local", power=Power(3.0, 9.0)))
    assert get_device("laptop").spec.power == Power(3.0, 9.0)


def _model(filters: int = 16, side: int = 32) -> bytes:
    return write_tflite(ConvBnAct(filters=filters, stride=2).lower((side, side, 3)), "int8")


def test_simulated_energy_is_labelled_and_counts_the_bus() -> None:
    device = get_device("edgetpu-sim")
    measurement = device.measure(_model())
    power = device.spec.power
    assert measurement.energy is not None
    assert measurement.energy.kind == "simulated"
    moved = 32 * 32 * 3 + 16 * 16 * 16
    assert measurement.energy_mj == pytest.approx(2.0 * measurement.min + moved * power.pj_per_byte * 1e-9)
    assert measurement.to_json()["energy"]["idle_watts"] == 0


class Slow(Device):
    """Everything takes 2 ms."""

    def identity(self, *, threads: int = 1) -> Provenance:
        return Provenance("measured", self.name, "none", "0")

    def measure_many(
        self,
        models: Mapping[str, Model],
        settings: MeasureSettings | None = None,
        on_result: Callable[[str, MeasurementOutcome], None] | None = None,
    ) -> dict[str, MeasurementOutcome]:
        return {name: Measurement((2.0,), self.identity()) for name in models}


def test_watts_without_a_meter_model_the_median() -> None:
    device = Slow(DeviceSpec("slow", "stand-in", power=Power(1.0, 3.0, pj_per_byte=1000.0)))
    measurement = device.measure(_model())
    weights = 16 * 3 * 3 * 3 + 4 * 16
    assert measurement.energy is not None
    assert measurement.energy.kind == "modelled"
    moved = weights + 32 * 32 * 3 + 16 * 16 * 16
    assert measurement.energy_mj == pytest.approx(2.0 * 2.0 + moved * 1000e-9)
    assert Slow(DeviceSpec("slow", "stand-in")).measure(_model()).energy_mj is None
