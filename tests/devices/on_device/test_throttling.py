"""A board whose clock is held down: recognised from the system's files, waited for, measured again."""

from __future__ import annotations

import pytest

from edgenas.devices.device import MeasureSettings
from edgenas.devices.kinds.client import outcome_of
from edgenas.devices.measurement import Measurement
from edgenas.devices.on_device import machine

CPU = "/sys/devices/system/cpu/cpu0/cpufreq"
THERMAL = "/sys/class/thermal"


@pytest.fixture
def files(monkeypatch):
    """The files of a board; change them while the test runs."""
    content = {
        f"{CPU}/scaling_governor": "performance",
        f"{CPU}/scaling_max_freq": "1800000",
        f"{CPU}/scaling_cur_freq": "1800000",
        f"{THERMAL}/thermal_zone0/temp": "48312",
        f"{THERMAL}/thermal_zone1/temp": "61000",
        f"{THERMAL}/cooling_device0/type": "thermal-cpufreq-0",
        f"{THERMAL}/cooling_device0/cur_state": "0",
        f"{THERMAL}/cooling_device1/type": "pwm-fan",
        f"{THERMAL}/cooling_device1/cur_state": "3",
        machine.FIRMWARE_FLAGS: "50000",
    }
    monkeypatch.setattr(machine, "read_text", content.get)
    entries = ["cooling_device0", "cooling_device1", "thermal_zone0", "thermal_zone1"]
    monkeypatch.setattr(machine.os, "listdir", lambda folder: entries if folder == THERMAL else [])
    return content


def test_clock_and_temperature(files):
    watch = machine.Watch(0, 60.0)
    assert watch.state() == {"frequency_mhz": 1800.0, "temperature_c": 61.0}
    assert watch.throttled() is None  # a fan that turns, and troubles since boot that are over, are none now


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (machine.FIRMWARE_FLAGS, "50004", "firmware"),
        (machine.FIRMWARE_FLAGS, "80008", "firmware"),
        (f"{THERMAL}/cooling_device0/cur_state", "2", "cooling_device0"),
        (f"{CPU}/scaling_cur_freq", "1500000", "1500 of 1800 MHz"),
    ],
)
def test_a_clock_that_is_held_down(files, path, value, said):
    watch = machine.Watch(0, 60.0)
    files[path] = value
    assert said in watch.throttled()


def test_a_governor_that_saves_power_is_not_throttling(files):
    files[f"{CPU}/scaling_governor"] = "ondemand"
    watch = machine.Watch(0, 60.0)
    files[f"{CPU}/scaling_cur_freq"] = "600000"
    assert watch.throttled() is None


@pytest.mark.parametrize("text", ["", "garbage", "0x", "-"])
def test_files_that_make_no_sense_say_nothing(files, text):
    for path in list(files):
        if not path.endswith(("type", "governor")):
            files[path] = text
    watch = machine.Watch(0, 60.0)
    assert watch.state() == {}
    assert watch.throttled() is None


def test_what_was_measured_hot_is_measured_again_when_cool(files):
    watch, said, runs = machine.Watch(0, 60.0), [], []
    files[machine.FIRMWARE_FLAGS] = "4"

    def run():
        runs.append(files[machine.FIRMWARE_FLAGS])
        return {"id": "a", "samples_ms": [1.0]}

    def pause(seconds):
        if len(said) == 3:
            files[machine.FIRMWARE_FLAGS] = "0"

    answer = machine.unthrottled(run, watch, said.append, pause)
    assert runs == ["4", "0"]
    assert len(said) == 3
    assert all("firmware" in line["waiting"] for line in said)
    assert answer == {"id": "a", "samples_ms": [1.0], "frequency_mhz": 1800.0, "temperature_c": 61.0}


def test_a_board_that_never_cools_is_told_and_not_waited_for_forever(files):
    watch, said, seconds = machine.Watch(0, 60.0), [], []
    files[machine.FIRMWARE_FLAGS] = "4"
    answer = machine.unthrottled(lambda: {"id": "a", "samples_ms": [1.0]}, watch, said.append, seconds.append)
    assert sum(seconds) == pytest.approx(60.0)
    assert "get_throttled" in answer["throttled"]
    # Nor is it waited for at the next model, until it was cool once.
    assert "throttled" in machine.unthrottled(lambda: {"id": "b", "samples_ms": [1.0]}, watch, pytest.fail, pytest.fail)
    files[machine.FIRMWARE_FLAGS] = "0"
    assert "throttled" not in machine.unthrottled(lambda: {"id": "c"}, watch, pytest.fail, pytest.fail)
    assert watch.seconds_left == 60.0
    facts = {"runtime": "r", "runtime_version": "1", "threads": 1, "temperature_c": 20.0}
    measurement = outcome_of("a", answer, facts, MeasureSettings(), "pi")
    assert isinstance(measurement, Measurement)
    assert "get_throttled" in measurement.provenance.throttled
    assert measurement.provenance.temperature_c == 61.0  # as it was after the samples, not at the start


def test_a_model_that_cannot_run_is_not_waited_for(files):
    files[machine.FIRMWARE_FLAGS] = "4"
    answer = machine.unthrottled(lambda: {"id": "a", "error": "x"}, machine.Watch(0, 60.0), pytest.fail, pytest.fail)
    assert answer == {"id": "a", "error": "x"}
