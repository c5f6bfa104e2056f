"""Meters on trees and programs with the real formats: found, summed, wrapped around, and refused in words."""

from __future__ import annotations

import ast
import itertools
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.devices.energy_conformance import MeterConformance
from edgenas.devices.on_device import energy
from edgenas.devices.on_device.energy import Meter, MeterError, average_watts, find_meter
from edgenas.devices.on_device.energy.command import Command, parse_watts
from edgenas.devices.on_device.energy.ina import Ina
from edgenas.devices.on_device.energy.odpm import Odpm, parse_energy_value
from edgenas.devices.on_device.energy.pmic import Pmic, parse_rails
from edgenas.devices.on_device.energy.rapl import Rapl

RANGE_UJ = 262_143_328_850
PMIC_OUTPUT = """\
 3V7_WL_SW_A current(0)=0.09466522A
   3V3_SYS_A current(1)=0.08197812A
  VDD_CORE_A current(7)=1.11625000A
   0V8_AON_A current(16)=0.00274725A
 3V7_WL_SW_V volt(8)=3.62925200V
   3V3_SYS_V volt(9)=3.31652900V
  VDD_CORE_V volt(15)=0.74944980V
   0V8_AON_V volt(19)=0.79794790V
     EXT5V_V volt(24)=5.08530000V
      BATT_V volt(25)=0.00000000V
"""
ODPM_OUTPUT = """\
t={t}
CH0(T={t})[S10M_VDD_TPU], 5578756
CH1(T={t})[VSYS_PWR_MODEM], 29110940
CH3(T={t})[S2M_VDD_CPUCL2], {cpu}
"""


def write(folder: Path, **files: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(f"{content}\n")
    return folder


def settings(root: Path, *rails: str) -> dict[str, Any]:
    return {"root": str(root), "rails": list(rails), "command": None}


def rapl_tree(root: Path) -> dict[str, Path]:
    zones = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:0:1": "dram", "intel-rapl:1": "psys"}
    power = root / "sys/class/powercap"
    write(power / "intel-rapl", enabled=1)
    return {
        label: write(power / zone, name=label, energy_uj=RANGE_UJ - 1_000_000, max_energy_range_uj=RANGE_UJ)
        for zone, label in zones.items()
    }


def move(zone: Path, microjoules: int) -> None:
    value = (int((zone / "energy_uj").read_text()) + microjoules) % RANGE_UJ
    (zone / "energy_uj").write_text(f"{value}\n")


class TestRapl(MeterConformance):
    @pytest.fixture(autouse=True)
    def _tree(self, tmp_path: Path) -> None:
        self.root = tmp_path / "machine"
        self.zones = rapl_tree(self.root)

    def meter(self) -> Meter | None:
        return Rapl.find(settings(self.root))

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        for zone in self.zones.values():
            move(zone, 100_000)

    def test_sums_packages_and_dram_across_the_wrap_around(self) -> None:
        meter = self._found()
        assert meter.name == "rapl: package-0, dram"
        for _ in range(3):
            move(self.zones["package-0"], 700_000)
            move(self.zones["dram"], 50_000)
            move(self.zones["core"], 600_000)
            reading = meter.read()
        assert reading.joules == pytest.approx(3 * 0.75)

    def test_takes_the_zones_that_are_asked_for(self) -> None:
        meter = Rapl.find(settings(self.root, "psys"))
        assert meter is not None
        assert meter.name == "rapl: psys"
        with pytest.raises(MeterError, match=r"no rail 'gpu': it has core, dram, package-0, psys"):
            Rapl.find(settings(self.root, "gpu"))

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_no_permission_is_explained(self) -> None:
        (self.zones["package-0"] / "energy_uj").chmod(0)
        with pytest.raises(MeterError, match=r"only root may read it.*chmod a"):
            self.meter()

    def test_no_permission_is_explained_to_whoever_asks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(path: str, *_: Any) -> Any:
            raise PermissionError(13, "Permission denied", path)

        monkeypatch.setattr("edgenas.devices.on_device.energy.rapl.open", refuse, raising=False)
        meter, words = find_meter({"root": str(self.root)})
        assert meter is None
        assert "RAPL is there" in words
        assert "sudo chmod a+r" in words


def jetson(root: Path) -> Path:
    """Jetson Orin Nano: one INA3221; in7 is the sum of shunt voltages, channel 3 is switched off."""
    return write(
        root / "sys/class/hwmon/hwmon1",
        name="ina3221",
        update_interval=40,
        **{"in1_label": "VDD_IN", "in1_input": 5064, "curr1_input": 1000, "in1_enable": 1},
        **{"in2_label": "VDD_CPU_GPU_CV", "in2_input": 5064, "curr2_input": 400, "in2_enable": 1},
        **{"in3_label": "VDD_SOC", "in3_input": 5064, "curr3_input": 200, "in3_enable": 0},
        **{"in7_label": "sum of shunt voltages", "in7_input": 20, "curr7_input": 5},
    )


class TestIna(MeterConformance):
    @pytest.fixture(autouse=True)
    def _tree(self, tmp_path: Path) -> None:
        self.root = tmp_path / "machine"
        write(self.root / "sys/class/hwmon/hwmon0", name="coretemp", temp1_input=40000, curr1_input=1)
        jetson(self.root)

    def meter(self) -> Meter | None:
        return Ina.find(settings(self.root))

    def test_the_boards_input_is_the_total(self) -> None:
        meter = self._found()
        assert meter.name == "ina: VDD_IN"
        assert meter.read().watts == pytest.approx(5.064)
        assert meter.period_seconds == 0.04

    def test_rails_are_summed_where_none_is_the_total(self) -> None:
        meter = Ina.find(settings(self.root, "VDD_CPU_GPU_CV"))
        assert meter is not None
        assert meter.read().watts == pytest.approx(5.064 * 0.4)
        (self.root / "sys/class/hwmon/hwmon1/in1_label").write_text("VDD_GPU_SOC\n")
        summed = self._found()
        assert summed.rails == ("VDD_GPU_SOC", "VDD_CPU_GPU_CV")
        assert summed.read().watts == pytest.approx(5.064 * 1.4)

    def test_a_sensor_that_computes_power_is_believed(self) -> None:
        root = self.root / "other"
        files = {"name": "ina226", "in0_input": 2, "in1_input": 5000, "curr1_input": 900, "power1_input": 4_475_000}
        write(root / "sys/class/hwmon/hwmon3", **files)
        meter = Ina.find(settings(root))
        assert meter is not None
        assert meter.name == "ina: ina226@hwmon3"
        assert meter.read().watts == pytest.approx(4.475)

    def test_older_jetsons(self) -> None:
        root = self.root / "old"
        files = {
            "rail_name_0": "POM_5V_IN",
            "in_power0_input": 2131,
            "rail_name_1": "POM_5V_GPU",
            "in_power1_input": 41,
        }
        write(root / "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0", **files)
        meter = Ina.find(settings(root))
        assert meter is not None
        assert meter.name == "ina: POM_5V_IN"
        assert meter.read().watts == pytest.approx(2.131)

    def test_a_sensor_that_falls_silent_is_named(self) -> None:
        meter = self._found()
        (self.root / "sys/class/hwmon/hwmon1/in1_input").write_text("")
        with pytest.raises(MeterError, match=r"VDD_IN.*does not answer"):
            meter.read()


def program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


class TestPmic(MeterConformance):
    @pytest.fixture(autouse=True)
    def _tree(self, tmp_path: Path) -> None:
        self.root = tmp_path / "machine"
        (tmp_path / "output").write_text(PMIC_OUTPUT)
        self.say(f'test "$1" = pmic_read_adc && cat {tmp_path}/output')

    def say(self, script: str) -> None:
        program(self.root / "usr/bin/vcgencmd", script)

    def meter(self) -> Meter | None:
        return Pmic.find(settings(self.root))

    def test_sums_rails_with_current_and_voltage(self) -> None:
        rails = parse_rails(PMIC_OUTPUT)
        assert set(rails) == {"3V7_WL_SW", "3V3_SYS", "VDD_CORE", "0V8_AON"}
        assert rails["VDD_CORE"] == pytest.approx(1.11625 * 0.7494498)
        assert self._found().read().watts == pytest.approx(sum(rails.values()))

    def test_one_rail(self) -> None:
        meter = Pmic.find(settings(self.root, "VDD_CORE"))
        assert meter is not None
        assert meter.read().watts == pytest.approx(1.11625 * 0.7494498)

    def test_no_permission_is_explained(self) -> None:
        self.say('echo "Can\'t open device file: /dev/vcio"; exit 255')
        with pytest.raises(MeterError, match="usermod -aG video"):
            self.meter()

    def test_an_older_board_has_no_such_chip(self) -> None:
        self.say('echo "error=1 error_msg=\\"Command not registered\\""')
        assert self.meter() is None

    def test_a_firmware_that_fails_later_is_quoted(self) -> None:
        meter = self._found()
        self.say("echo out of order")
        with pytest.raises(MeterError, match="printed no rails: 'out of order'"):
            meter.read()


class TestOdpm(MeterConformance):
    @pytest.fixture(autouse=True)
    def _tree(self, tmp_path: Path) -> None:
        self.root = tmp_path / "phone"
        self.t, self.cpu = 349_894, 30_203_502
        write(self.root / "sys/bus/iio/devices/iio:device1", energy_value="t=1\nCH0(T=1)[S2S_VDD_G3D], 7000000")
        self.advance(0)

    def meter(self) -> Meter | None:
        return Odpm.find(settings(self.root))

    def advance(self, seconds: float) -> None:
        self.t += 250
        self.cpu += 500_000
        content = ODPM_OUTPUT.format(t=self.t, cpu=self.cpu)
        write(self.root / "sys/bus/iio/devices/iio:device0", energy_value=content)

    def test_power_is_by_the_counters_own_clock(self) -> None:
        meter = self._found()
        readings = [meter.read()]
        for _ in range(4):
            self.advance(0)
            readings.append(meter.read())
        assert set(meter.rails) == {"S10M_VDD_TPU", "VSYS_PWR_MODEM", "S2M_VDD_CPUCL2", "S2S_VDD_G3D"}
        assert average_watts(readings) == pytest.approx(2.0)

    def test_one_rail(self) -> None:
        assert parse_energy_value(ODPM_OUTPUT.format(t=1000, cpu=1), ["S10M_VDD_TPU"]) == (
            1.0,
            {"S10M_VDD_TPU": 5.578756},
        )

    @given(st.text(max_size=60))
    def test_garbage_is_refused_in_words(self, text: str) -> None:
        with pytest.raises(MeterError, match="no counters"):
            parse_energy_value(text)


PRINTS = f"exec {sys.executable} -u -c 'import time\nwhile True: print({{}}); time.sleep(0.02)'"


class TestCommand(MeterConformance):
    def meter(self) -> Meter | None:
        return Command.find({"root": "/", "rails": [], "command": PRINTS.format("4.25")})

    def test_watts_and_period_are_the_commands(self) -> None:
        meter = self._found()
        try:
            assert meter.read().watts == 4.25
            assert 0.01 <= meter.period_seconds < 0.5
        finally:
            meter.close()

    def test_it_is_ended(self) -> None:
        meter = self._found()
        assert isinstance(meter, Command)
        meter.close()
        assert meter._process.poll() is not None
        with pytest.raises(MeterError, match="ended with exit code"):
            meter.read()

    @pytest.mark.parametrize(
        ("command", "words"),
        [
            ("echo 3; echo 4", "ended with exit code 0, but is to print watts until it is stopped: echo 3"),
            ("no-such-meter-program", "printed .*not found.*: expected watts"),
            (PRINTS.format('"hello"'), "printed 'hello': expected watts"),
        ],
    )
    def test_what_is_no_meter_is_refused_in_words(self, command: str, words: str) -> None:
        meter, found = find_meter({"command": command})
        assert meter is None
        assert re.search(words, found), found


@given(st.floats(0, 1e6))
def test_lines_of_a_command(watts: float) -> None:
    assert parse_watts(repr(watts)) == watts
    assert parse_watts(f'{{"watts": {watts!r}, "ok": true}}\n') == watts
    assert parse_watts(f'{{"volts": 2, "amps": {watts!r}}}') == 2 * watts


@pytest.mark.parametrize("line", ["", "-1", "nan", "true", "[1]", '{"amps": 1}', '{"watts": "much"}', "4 W"])
def test_other_lines_are_refused(line: str) -> None:
    with pytest.raises(MeterError, match="expected watts as a number from 0"):
        parse_watts(line)


def test_the_first_meter_that_works_is_taken(tmp_path: Path) -> None:
    root = tmp_path / "both"
    rapl_tree(root)
    jetson(root)
    for asked, found in (("auto", "rapl: package-0, dram"), ("ina", "ina: VDD_IN"), ("rapl", "rapl: package-0, dram")):
        meter, _ = find_meter({"root": str(root), "meter": asked})
        assert meter is not None
        assert meter.name == found


def test_it_says_what_to_do_without_a_meter(tmp_path: Path) -> None:
    for asked, words in (
        ("auto", "USB power meter"),
        ("none", "switched off"),
        ("odpm", "no meter 'odpm' was found"),
        ("voltmeter", "no meter 'voltmeter': expected auto, none, one of "),
    ):
        meter, found = find_meter({"root": str(tmp_path), "meter": asked})
        assert meter is None
        assert words in found


def test_a_meter_of_the_users_own_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bench_supply.py").write_text(
        "from edgenas.devices.on_device.energy import Meter, Reading, register_meter\n"
        "import time\n"
        "@register_meter('bench_supply')\n"
        "class Supply(Meter):\n"
        "    rails = ('output',)\n"
        "    @classmethod\n"
        "    def find(cls, settings): return cls()\n"
        "    def read(self): return Reading(time.perf_counter(), watts=1.5)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    meter, words = find_meter({"meter": "bench_supply"})
    assert meter is not None, words
    assert meter.name == "bench_supply: output"


def test_it_needs_python_3_7_and_nothing_else() -> None:
    for path in Path(energy.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text(), feature_version=(3, 7))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names), path


class Instrument(Meter):
    """Tells 2 W, and 5 W while ``busy``; ``drift`` is added at every reading."""

    rails = ("all",)
    period_seconds = 0.002
    busy = False
    drift = 0.0

    @classmethod
    def find(cls, settings: dict[str, Any]) -> Instrument:
        return cls()

    def read(self) -> energy.Reading:
        self.base = getattr(self, "base", 2.0) + self.drift
        return energy.Reading(time.perf_counter(), watts=self.base + (3.0 if self.busy else 0.0))


def run_for(meter: Instrument, seconds: float) -> None:
    meter.busy = True
    time.sleep(seconds)
    meter.busy = False


def test_idle_is_subtracted_and_both_are_kept() -> None:
    meter = Instrument()

    def invoke() -> None:
        meter.busy = True
        time.sleep(0.002)

    def sleep(seconds: float) -> None:
        meter.busy = False
        time.sleep(seconds)

    said: list[str] = []
    session = energy.EnergySession(meter, least_seconds=0.1, sleep=sleep, say=said.append)
    answer = session.measure(invoke, batch=3)
    assert answer["idle_watts"] == pytest.approx(2.0)
    assert answer["active_watts"] == pytest.approx(5.0, rel=0.05)
    per_run = answer["seconds"] / answer["runs"] * 1e3
    assert answer["energy_mj"] == pytest.approx(3.0 * per_run, rel=0.1)
    assert answer["total_mj"] == pytest.approx(5.0 * per_run, rel=0.05)
    assert answer["seconds"] >= 0.1
    assert answer["runs"] % 3 == 0
    assert "note" not in answer
    assert said == ["measuring the idle device's power", "measuring energy", "measuring the idle device's power"]
    session.measure(invoke)
    assert len(said) == 5, "the pause between two models counts for both"


def test_a_device_that_was_not_at_rest_is_noted() -> None:
    meter = Instrument()
    meter.drift = 0.05
    answer = energy.EnergySession(meter, least_seconds=0.05).measure(lambda: time.sleep(0.001))
    assert "was not at rest" in answer["note"]


def test_a_meter_that_breaks_is_an_error_in_words() -> None:
    class Breaks(Instrument):
        count = itertools.count()

        def read(self) -> energy.Reading:
            if next(self.count) > 30:
                raise OSError("unplugged")
            return super().read()

    with pytest.raises(MeterError, match="the meter failed: unplugged"):
        energy.EnergySession(Breaks(), least_seconds=0.3).measure(lambda: time.sleep(0.001))
