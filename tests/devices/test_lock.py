"""One measurement at a time on a device, by as many processes as want to."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from edgenas.devices import Device, DeviceSpec, Measurement, MeasureSettings, Provenance
from edgenas.devices.device import MeasurementOutcome, Model, device_from_spec
from edgenas.devices.kinds.computed import ComputedDevice
from edgenas.devices.lock import PATIENCE_VARIABLE, exclusive
from edgenas.spaces.errors import InputError, WorkError

HOLDER = """
import sys
from edgenas.devices.kinds.computed import ComputedDevice
from edgenas.devices.lock import exclusive
with exclusive("board", ["board"]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGENAS_HOME", str(tmp_path))


def hold() -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


class Board(Device):
    """Tells whether somebody else could measure meanwhile."""

    def identity(self, *, threads: int = 1) -> Provenance:
        raise NotImplementedError

    def measure_many(
        self,
        models: Mapping[str, Model],
        settings: MeasureSettings | None = None,
        on_result: Callable[[str, MeasurementOutcome], None] | None = None,
    ) -> dict[str, MeasurementOutcome]:
        return {}


class ComputedBoard(ComputedDevice):
    """Needs nobody to wait."""

    def identity(self, *, threads: int = 1) -> Provenance:
        return Provenance("modelled", "board", "none", "0")

    def compute(self, model: bytes, *, in_network: bool) -> Measurement:
        raise NotImplementedError


def test_a_second_process_waits_says_so_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    holder = hold()
    threading.Timer(0.5, lambda: holder.communicate("")).start()
    start = time.monotonic()
    with exclusive("board", ["board"]):
        assert time.monotonic() - start > 0.3
    assert f"in use: waiting until process {holder.pid}" in caplog.text


def test_patience_ends_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, "0.2")
    holder = hold()
    try:
        board = Board(DeviceSpec("board", "test"))
        with pytest.raises(WorkError, match=rf"'board' is in use: process {holder.pid} .*same command again"):
            board.measure_many({})
        assert ComputedBoard(DeviceSpec("board", "test")).measure_many({}) == {}
        assert Board(DeviceSpec("other", "test")).measure_many({}) == {}
    finally:
        holder.communicate("")
    assert board.measure_many({}) == {}
    monkeypatch.setenv(PATIENCE_VARIABLE, "long")
    with pytest.raises(InputError, match=rf"{PATIENCE_VARIABLE}.*'long'"):
        board.measure_many({})


def test_a_killed_process_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, "5")
    holder = hold()
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with exclusive("board", ["board"]), exclusive("board", ["board"]):
        pass


def test_a_measurement_inside_another_goes_on_and_the_outer_one_still_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    with exclusive("board", ["board"]):
        with exclusive("board", ["board"]):
            pass
        monkeypatch.setenv(PATIENCE_VARIABLE, "0")
        tried = subprocess.run([sys.executable, "-c", HOLDER], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert "is in use" in tried.stderr
    assert subprocess.run([sys.executable, "-c", HOLDER], stdin=subprocess.DEVNULL).returncode == 0


def test_devices_that_share_hardware_share_the_lock() -> None:
    def names(kind: str, **options: object) -> tuple[str, ...]:
        return device_from_spec(DeviceSpec("some-name", kind, options=options)).lock_names

    assert names("local") == names("local", python="/usr/bin/python3")
    assert set(names("ssh", hosts=["me@a", "me@b"])) & set(names("ssh", host="me@a"))
    assert not set(names("ssh", host="me@a")) & set(names("ssh", host="me@b"))
    assert names("adb", serial="A") != names("adb", serial="B")


def test_a_home_that_cannot_be_written_is_told_and_measured_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGENAS_HOME", str(tmp_path / "file"))
    with exclusive("board", ["board"]):
        pass
    assert "cannot be locked" in caplog.text
