"""Boards over SSH against a real OpenSSH server on the loopback: what works, what breaks, and what is said then."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from edgenas.cli import main
from edgenas.devices.conformance import DeviceConformance
from edgenas.devices.device import (
    Device,
    DeviceLostError,
    DeviceSpec,
    MeasurementError,
    MeasureSettings,
    device_from_spec,
)
from edgenas.devices.kinds.client import RUNNER, RUNNER_FILES
from edgenas.devices.kinds.ssh import difference
from edgenas.devices.measurement import Measurement
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.blocks import ConvBnAct
from edgenas.spaces.errors import InputError

QUICK = MeasureSettings(warmup_seconds=0.01, min_runs=5, max_seconds=0.02, confidence=None, keep=5)


def model(filters: int = 8) -> bytes:
    return write_tflite(ConvBnAct(filters=filters, stride=2).lower((16, 16, 3)), "int8")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


# The real runner in an environment as a board has it ----------------------------------------------------------------


def test_board_environment_has_numpy_and_the_runtime_and_nothing_else(board_python):
    if os.environ.get("EDGENAS_SSH_TEST_PYTHON"):
        pytest.skip("EDGENAS_SSH_TEST_PYTHON names an environment that is not ours")
    code = (
        "import importlib.util as u, pkgutil\n"
        "print(sorted(m.name for m in pkgutil.iter_modules() if 'site-packages' in m.module_finder.path))\n"
        "print([name for name in ('tensorflow', 'devices', 'spaces', 'edgenas', 'yaml', 'pip') if u.find_spec(name)])\n"
    )
    done = subprocess.run([board_python, "-c", code], capture_output=True, text=True, check=True, cwd="/", env={})
    assert done.stdout.split("\n")[:2] == ["['ai_edge_litert', 'numpy']", "[]"]


def test_measures_on_the_board(make_board, board_python, server):
    board = make_board(python=board_python)
    assert board.check() == []
    measurement = board.measure(model(), settings=QUICK)
    assert 0 < measurement.min < 1000
    assert measurement.provenance.runtime == "ai-edge-litert"
    assert measurement.provenance.device == "pi"
    assert measurement.provenance.kind == "measured"
    runner = next((server.folder / ".cache" / "edgenas").glob("*/runner.py"))
    for file in RUNNER_FILES:
        assert runner.with_name(file.name).read_bytes() == file.read_bytes()
    assert len(server.leftovers) == 1
    board.close()
    assert server.leftovers == []


class TestConformance(DeviceConformance):
    @pytest.fixture(autouse=True)
    def _board(self, make_board, board_python) -> None:
        self.made = make_board(python=board_python)

    def device(self) -> Device:
        return self.made


def test_from_the_command_line(server, board_python, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EDGENAS_HOME", str(tmp_path / "home"))

    def edgenas(*arguments: str) -> tuple[str, str]:
        monkeypatch.setattr("sys.argv", ["edgenas", *arguments])
        with contextlib.suppress(SystemExit):
            main()
        return capsys.readouterr()

    options = ("--ssh", "board", "--python", str(board_python), "--ssh-config", str(server.config))
    out, err = edgenas("devices", "add", "pi", *options)
    assert "pi works: " in out, err
    (tmp_path / "m.tflite").write_bytes(model())
    out, err = edgenas("benchmark", str(tmp_path / "m.tflite"), "--device", "pi", "--json")
    data = json.loads(out)
    assert data["latency_ms"]["median"] > 0, err
    assert data["provenance"]["device"] == "pi"
    gc.collect()  # what was left on the board is removed with the device
    assert server.leftovers == []


def test_runner_goes_over_only_when_it_is_missing_or_damaged(make_board, false_python, server):
    make_board(python=false_python).identity()
    (runner,) = (server.folder / ".cache" / "edgenas").glob("*/runner.py")
    before = runner.stat().st_mtime_ns
    make_board(python=false_python).identity()
    assert runner.stat().st_mtime_ns == before
    runner.write_text("damaged")
    make_board(python=false_python).identity()
    assert runner.read_bytes() == RUNNER.read_bytes()


def test_connection_cut_in_the_middle_loses_nothing(make_board, board_python, server):
    board = make_board(python=board_python)
    heard: list[str] = []

    def on_result(name: str, _: object) -> None:
        heard.append(name)
        if len(heard) == 2:
            assert server.cut() > 0

    models = {f"conv {filters}": model(filters) for filters in range(8, 56, 8)}
    settings = MeasureSettings(warmup_seconds=0.05, min_runs=5, max_seconds=0.1, confidence=None, keep=5)
    outcomes = board.measure_many(models, settings, on_result)
    assert list(outcomes) == list(models)
    assert all(isinstance(outcome, Measurement) for outcome in outcomes.values())
    assert sorted(heard) == sorted(models)


@pytest.mark.parametrize(
    ("packages", "said"),
    [((), "lacks NumPy"), (("numpy", "numpy.libs"), "no LiteRT runtime")],
)
def test_missing_runtime_on_the_board_says_what_to_install(make_board, board_python, tmp_path, packages, said):
    if os.environ.get("EDGENAS_SSH_TEST_PYTHON"):
        pytest.skip("EDGENAS_SSH_TEST_PYTHON names an environment that is not ours")
    poor = tmp_path / "poor"
    subprocess.run([board_python, "-m", "venv", "--without-pip", poor], check=True)
    (rich_site,) = board_python.parent.parent.glob("lib/python*/site-packages")
    (poor_site,) = poor.glob("lib/python*/site-packages")
    for package in packages:
        if (rich_site / package).exists():
            (poor_site / package).symlink_to((rich_site / package).resolve())
    (problem,) = make_board(python=poor / "bin" / "python").check()
    assert said in problem
    assert "ai-edge-litert" in problem
    assert "board" in problem


# Whatever breaks ----------------------------------------------------------------------------------------------------


def test_killed_runner_tries_its_model_again(make_board, false_python, tmp_path):
    board = make_board(python=false_python)
    models = {"a": b"ok", "b": f"once {tmp_path}/x die".encode(), "c": b"ok 2"}
    outcomes = board.measure_many(models, QUICK)
    assert all(isinstance(outcome, Measurement) for outcome in outcomes.values())


@pytest.mark.parametrize(
    ("words", "said"), [(b"die", "exit code 137"), (b"garbage", "frobnicator"), (b"refuse", "cannot")]
)
def test_a_model_that_breaks_the_runner_costs_only_itself(make_board, false_python, words, said):
    outcomes = make_board(python=false_python).measure_many({"a": b"ok", "bad": words, "c": b"ok 2"}, QUICK)
    assert isinstance(outcomes["a"], Measurement)
    assert isinstance(outcomes["c"], Measurement)
    assert isinstance(outcomes["bad"], MeasurementError)
    assert said in str(outcomes["bad"])
    assert "'bad'" in str(outcomes["bad"])


def test_a_hang_ends_and_nothing_goes_on_running_on_the_board(make_board, false_python, tmp_path):
    settings = MeasureSettings(timeout_seconds=1.0)
    models = {"hang": f"hang {tmp_path}/pid".encode(), "c": b"ok"}
    outcomes = make_board(python=false_python).measure_many(models, settings)
    assert "no answer within 1 s" in str(outcomes["hang"])
    assert isinstance(outcomes["c"], Measurement)
    pid = int((tmp_path / "pid").read_text())
    assert not is_alive(pid)


def test_a_model_that_takes_the_board_down_twice_is_given_up(make_board, false_python, server):
    board = make_board(python=false_python)
    stop = threading.Event()

    def cutter() -> None:
        while not stop.is_set():
            if (server.folder / "tmp" / "down").exists():
                (server.folder / "tmp" / "down").unlink()
                server.cut()
            time.sleep(0.02)

    thread = threading.Thread(target=cutter)
    thread.start()
    try:
        outcomes = board.measure_many(
            {"a": b"ok", "bad": f"hang {server.folder}/tmp/down".encode(), "c": b"ok 2"}, QUICK
        )
    finally:
        stop.set()
        thread.join()
    assert "the connection to board broke" in str(outcomes["bad"])
    assert isinstance(outcomes["c"], Measurement)


def test_reboot_is_waited_for(make_board, false_python, server, caplog):
    board = make_board(python=false_python, retry_seconds=0.2, retries=6)

    def on_result(name: str, _: object) -> None:
        if name == "2":
            server.stop()
            for folder in (server.folder / "tmp").iterdir():  # temporary files do not survive a reboot
                shutil.rmtree(folder)
            threading.Timer(0.5, server.start).start()

    models = {str(index): f"slow 0.05 {index}".encode() for index in range(8)}
    outcomes = board.measure_many(models, QUICK, on_result)
    assert all(isinstance(outcome, Measurement) for outcome in outcomes.values())
    assert "trying again in" in caplog.text


def test_a_reboot_that_nobody_noticed(make_board, false_python, server, caplog):
    board = make_board(python=false_python, retry_seconds=60)
    for use in (board.identity, lambda: board.measure(b"ok", settings=QUICK)):
        use()
        shutil.rmtree(next((server.folder / "tmp").iterdir()))
        use()
    assert "trying again" not in caplog.text


def test_a_board_that_stays_away_is_a_clear_error_after_bounded_retries(make_board, false_python, server):
    board = make_board(python=false_python, retry_seconds=0.05, retries=2)
    heard = []

    def on_result(name: str, _: object) -> None:
        heard.append(name)
        if name == "2":
            server.stop()

    with pytest.raises(DeviceLostError, match=r"cannot connect to board: .*refused.*\(tried 3 times\)"):
        board.measure_many({str(index): f"slow 0.05 {index}".encode() for index in range(100)}, QUICK, on_result)
    assert heard[:3] == ["0", "1", "2"]


QUOTA = """
import errno, os, shutil
whole = shutil.copyfileobj
def copyfileobj(source, target, *rest):
    content = source.read()
    folder = os.environ["TMPDIR"]
    used = sum(os.path.getsize(os.path.join(where, name)) for where, _, names in os.walk(folder) for name in names)
    if content.startswith(b"ok") and used + len(content) > {quota}:
        target.write(content[: max(0, {quota} - used)])
        target.flush()
        raise OSError(errno.ENOSPC, "No space left on device")
    target.write(content)
shutil.copyfileobj = copyfileobj
"""


def test_a_small_disk_is_met_with_smaller_portions(make_board, false_python, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(QUOTA.format(quota=3500))
    models = {str(index): b"ok " + str(index).encode() * 1000 for index in range(6)}
    outcomes = make_board(python=false_python).measure_many(models, QUICK)
    assert all(isinstance(outcome, Measurement) for outcome in outcomes.values())


def test_a_disk_without_room_for_one_model_is_a_clear_error(make_board, false_python, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(QUOTA.format(quota=500))
    with pytest.raises(DeviceLostError, match=r"the disk of board is full: .*No space left"):
        make_board(python=false_python).measure_many({"a": b"ok " + b"x" * 1000}, QUICK)


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("wrong_key", {"IdentityFile": "{folder}/other_key"}, ("Permission denied", "ssh-copy-id board")),
        ("unknown_host", {"UserKnownHostsFile": "/dev/null"}, ("Host key verification failed", "`ssh board`")),
        ("closed", {"Port": "1"}, ("refused", "is its ssh server running")),
        ("nowhere", {"HostName": "nowhere.invalid"}, ("Could not resolve", "correct the name")),
        ("nonsense", {"Frobnicate": "yes"}, ("Bad configuration option",)),
    ],
)
def test_cannot_connect_says_why_and_what_to_do_at_once(make_board, server, name, changes, said):
    config = server.other_config(name, **{key: value.format(folder=server.folder) for key, value in changes.items()})
    start = time.monotonic()
    (problem,) = make_board(ssh_config=config, retry_seconds=60).check()
    assert time.monotonic() - start < 20
    for words in said:
        assert words in problem
    assert "Traceback" not in problem


def test_missing_python_on_the_board(make_board):
    (problem,) = make_board(python="/opt/no/python").check()
    assert "has no Python '/opt/no/python'" in problem
    assert "--python" in problem


def test_missing_ssh_client(make_board, monkeypatch):
    board = make_board()
    monkeypatch.setenv("PATH", "/nonexistent")
    (problem,) = board.check()
    assert "openssh-client" in problem
    monkeypatch.undo()


# Several boards -----------------------------------------------------------------------------------------------------

ANCHORED = MeasureSettings(anchor=b"ok anchor")


def test_boards_of_one_kind_share_the_work(make_board, false_python):
    board = make_board(python=false_python, hosts=["board", "second"], host_difference=0.5)
    outcomes = board.measure_many({str(index): f"ok {index}".encode() for index in range(10)}, ANCHORED)
    hosts = [outcome.provenance.host for outcome in outcomes.values() if isinstance(outcome, Measurement)]
    assert hosts == ["board", "second"] * 5
    assert board.hosts[1].anchor_ms == 1.3
    assert board.identity().host is None


def test_boards_that_are_not_alike_are_refused(make_board, false_python):
    board = make_board(python=false_python, hosts=["board", "second"])
    with pytest.raises(InputError, match=r"within 5 %: the reference model takes 1\.3 ms on second, 1 ms on board"):
        board.measure_many({"a": b"ok"}, ANCHORED)


def test_the_share_of_a_board_that_disappears_goes_to_the_others(make_board, false_python, server):
    board = make_board(python=false_python, hosts=["board", "second"], host_difference=0.5, retries=0)
    second = board.hosts[1]

    def on_result(name: str, outcome: object) -> None:
        if isinstance(outcome, Measurement) and outcome.provenance.host == "second" and second._runner is not None:
            os.killpg(second._runner._process.pid, 9)
            object.__setattr__(second.connection, "ssh", "/nonexistent/ssh")

    models = {str(index): f"slow 0.05 {index}".encode() for index in range(10)}
    outcomes = board.measure_many(models, ANCHORED, on_result)
    assert len(outcomes) == 10
    assert all(isinstance(outcome, Measurement) for outcome in outcomes.values())
    object.__setattr__(second.connection, "ssh", "ssh")


def test_what_goes_wrong_while_recording_ends_all_boards(make_board, false_python):
    board = make_board(python=false_python, hosts=["board", "second"], host_difference=0.5)

    def full(name: str, _: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        board.measure_many({str(index): f"slow 0.1 {index}".encode() for index in range(50)}, ANCHORED, full)


def test_difference_of_nothing_is_nothing():
    assert difference({}, 0.05) is None


# Options ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "'host'"),
        ({"host": "-oProxyCommand=evil"}, "is no host"),
        ({"host": "a b"}, "is no host"),
        ({"hosts": ["a", "a"]}, "twice"),
        ({"hosts": "a"}, "a list"),
        ({"host": "a", "port": "22"}, "'port' must be a whole number"),
        ({"host": "a", "retries": -1}, "'retries'"),
        ({"host": "a", "ssh_options": "x"}, "'ssh_options' must be a list"),
        ({"host": "a", "pyhton": "x"}, "unknown option 'pyhton'"),
    ],
)
def test_wrong_options_name_the_file_and_the_key(options, said):
    with pytest.raises(InputError, match=re.escape(said)):
        device_from_spec(DeviceSpec("pi", "ssh", options=options, source="pi.yaml"))


def test_home_of_the_board_is_the_boards(make_board, server):
    # ~ must reach the shell over there.
    board = make_board(python="~/no such folder/python")
    (problem,) = board.check()
    assert str(server.folder / "no such folder/python") in problem
