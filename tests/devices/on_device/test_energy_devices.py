"""Energy through the runner: measured beside a meter that sees the process, on this machine and on a board."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from edgenas.devices import Measurement, MeasureSettings, Power
from edgenas.devices.device import DeviceSpec, device_from_spec
from edgenas.devices.kinds.client import meters_archive
from edgenas.devices.kinds.ssh import SshDevice
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.blocks import ConvBnAct

SETTINGS = MeasureSettings(warmup_seconds=0.01, min_runs=10, max_seconds=0.05, energy=True)
#: Prints 1 W and 10 W more for every CPU that the runner (its parent's parent, behind a shell, or its parent) uses.
USAGE = """\
import os, sys, time
def parent(pid):
    return int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
def is_runner(pid):
    return b"runner.py" in open(f"/proc/{pid}/cmdline", "rb").read()
pid = os.getppid()
while not is_runner(pid):
    pid = parent(pid)
def used():
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
before, start = used(), time.perf_counter()
while True:
    time.sleep(0.03)
    now, end = used(), time.perf_counter()
    print(1 + 10 * (now - before) / (end - start), flush=True)
    before, start = now, end
"""

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the false meter reads /proc")


@pytest.fixture
def usage(tmp_path: Path) -> str:
    path = tmp_path / "usage.py"
    path.write_text(textwrap.dedent(USAGE))
    return f"{sys.executable} {path}"


def model() -> bytes:
    return write_tflite(ConvBnAct(filters=32).lower((32, 32, 16)), "int8")


@needs_proc
def test_a_command_measures_this_machine(usage: str) -> None:
    device = device_from_spec(DeviceSpec("here", "local", power=Power(command=usage)))
    found = device.meter()
    assert found.name == f"command: {usage}"
    measurement = device.measure(model(), settings=SETTINGS)
    energy = measurement.energy
    assert energy is not None, measurement.energy_problem
    assert energy.kind == "measured"
    assert energy.seconds >= 20 * 0.03
    # On a busy machine the loop gets a part of a CPU only.
    assert 0.9 <= energy.idle_watts < 3.5
    assert energy.active_watts > energy.idle_watts + 0.2
    per_run_ms = energy.seconds / energy.runs * 1e3
    assert energy.total_mj == pytest.approx(energy.active_watts * per_run_ms, rel=0.01)
    assert energy.energy_mj == pytest.approx((energy.active_watts - energy.idle_watts) * per_run_ms, rel=0.01)
    document = measurement.to_json()
    assert document["energy_mj"] == energy.energy_mj
    assert document["energy"]["meter"] == found.name


def test_a_meter_that_fails_says_so_and_the_latency_is_there() -> None:
    device = device_from_spec(DeviceSpec("here", "local", power=Power(command="echo broken meter")))
    measurement = device.measure(model(), settings=SETTINGS)
    assert measurement.min > 0
    assert measurement.energy is None
    assert "printed 'broken meter'" in (measurement.energy_problem or "")


def test_watts_stand_in_for_a_meter_and_are_labelled() -> None:
    device = device_from_spec(DeviceSpec("here", "local", power=Power(1.0, 3.0, meter="none")))
    measurement = device.measure(model(), settings=SETTINGS)
    assert measurement.energy is not None
    assert measurement.energy.kind == "modelled"
    assert measurement.energy_mj == pytest.approx(2.0 * measurement.median)
    assert "switched off" in (measurement.energy_problem or "")


def test_a_meter_of_the_users_own_is_imported_by_the_runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bench_supply_meter.py").write_text(
        "from energy import Meter, Reading, register_meter\n"
        "import time\n"
        "@register_meter('bench_supply_meter')\n"
        "class Supply(Meter):\n"
        "    rails = ('output',)\n"
        "    period_seconds = 0.01\n"
        "    @classmethod\n"
        "    def find(cls, settings): return cls()\n"
        "    def read(self): return Reading(time.perf_counter(), watts=1.5)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    device = device_from_spec(DeviceSpec("here", "local", power=Power(meter="bench_supply_meter")))
    energy = device.measure(model(), settings=SETTINGS).energy
    assert energy is not None
    assert energy.meter == "bench_supply_meter: output"
    assert (energy.idle_watts, energy.active_watts) == (1.5, 1.5)


def test_the_hosts_meters_are_not_taken_for_an_accelerators() -> None:
    device = device_from_spec(DeviceSpec("stick", "edgetpu", precisions=("int8",)))
    assert device.meter().name is None
    assert "do not see the accelerator" in device.meter().words


def test_what_goes_to_boards_is_always_the_same() -> None:
    assert meters_archive() == meters_archive()


@needs_proc
def test_a_board_measures_with_the_meters_that_go_over(make_board, board_python, usage: str) -> None:  # type: ignore[no-untyped-def]
    options = make_board(python=board_python).spec.options
    board = SshDevice(DeviceSpec("pi", "ssh", options=options, power=Power(command=usage)))
    try:
        assert board.meter().name == f"command: {usage}"
        outcome = board.measure_many({"model": model()}, SETTINGS)["model"]
    finally:
        board.close()
    assert isinstance(outcome, Measurement)
    assert outcome.energy is not None, outcome.energy_problem
    assert outcome.energy.active_watts > outcome.energy.idle_watts + 0.2
