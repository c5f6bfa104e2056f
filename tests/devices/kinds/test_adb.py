"""Phones over adb, against a false ``adb`` whose phone is a folder and whose program prints as the real one does."""

from __future__ import annotations

import ast
import base64
import dataclasses
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgenas.devices.conformance import DeviceConformance
from edgenas.devices.device import (
    Device,
    DeviceLostError,
    DeviceSpec,
    MeasurementError,
    MeasureSettings,
    device_from_spec,
)
from edgenas.devices.measurement import Measurement
from edgenas.export.tflite.entries import model_entries
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.blocks import ConvBnAct
from edgenas.spaces.errors import InputError

ADB = r"""#!{python} -S
import os, re, shutil, subprocess, sys
phone = {phone!r}
words = sys.argv[1:]
if words[:1] == ["-s"]:
    serial, words = words[1], words[2:]
    if serial != "PHONE1":
        sys.exit("adb: device '" + serial + "' not found")
if os.path.exists(phone + "/away"):
    left = int(open(phone + "/away").read())
    if left == 0:
        os.unlink(phone + "/away")
    else:
        open(phone + "/away", "w").write(str(left - 1))
        sys.exit("adb: device offline" if "shell" not in words else "error: device offline")
def here(path):
    return phone + path if path.startswith("/data") else path
if words[0] == "push":
    *sources, target = words[1:]
    if os.path.exists(phone + "/full"):
        sys.exit("adb: error: failed to copy 'x' to 'y': remote couldn't create file: No space left on device")
    for source in sources:
        shutil.copy(source, here(target))
    sys.exit(0)
if words[0] == "shell":
    script = words[1].replace("/data/local/tmp", phone + "/data/local/tmp")
    jobs = re.search(r"sh (\S+/jobs\.sh)", script)
    if jobs:
        text = open(jobs.group(1)).read().replace(phone + "/data", "/data")
        open(jobs.group(1), "w").write(text.replace("/data/local/tmp", phone + "/data/local/tmp"))
    env = dict(os.environ, PATH=phone + "/bin:" + os.environ["PATH"])
    sys.exit(subprocess.call(["sh", "-c", script], env=env))
sys.exit("adb: unknown command " + words[0])
"""
BENCHMARK = r"""#!{python} -S
import os, signal, sys, time
flags = dict(word[2:].split("=", 1) for word in sys.argv[1:])
content = open(flags["graph"], "rb").read()
if "input_layer_value_files" in flags:
    seen = [words.replace("\\:", ":").rpartition(":") for words in flags["input_layer_value_files"].split(",")]
    told = {{name: list(open(file, "rb").read()) for name, _, file in seen}}
    open({phone!r} + "/fed", "w").write(repr((flags["input_layer"], flags["input_layer_shape"], told)))
words = ["ok", "200"] if content[4:8] == b"TFL3" else content.decode(errors="replace").split()
print("INFO: STARTING!\nINFO: Num threads: [" + flags["num_threads"] + "]", flush=True)
if words[0] in ("bad", "this"):
    print("ERROR: Failed to load model " + flags["graph"] + "\nERROR: Benchmarking failed.")
    sys.exit(1)
if words[0] == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
if words[0] == "hang":
    time.sleep(1000)
if words[0] == "unplug":
    if not os.path.exists({phone!r} + "/was-away"):
        open({phone!r} + "/was-away", "w").close()
        open({phone!r} + "/away", "w").write(words[2])
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
middle = int(words[1])
print("INFO: count=5 curr=" + str(middle) + "(all same) p5=7 median=7 p95=7\n")
print("INFO: count=50 first=9 curr=9 min={{}} max={{}} avg={{}} std=3 p5={{}} median={{}} p95={{}}\n".format(
    middle - 10, middle + 50, middle + 3.5, middle - 5, middle, middle + 20))
print("INFO: Inference timings in us: Init: 66002, First inference: 9, Warmup (avg): 9, Inference (avg): 9")
"""
PROGRAMS = {
    "getprop": (
        'case "$1" in *manufacturer) echo Acme;; *product.model) echo "Phone 1";; *soc*) echo X1;; *) echo 14;; esac'
    ),
    "dumpsys": (
        'case "$1" in battery) echo "  temperature: 312";; thermalservice) '
        'echo "Thermal Status: $(cat {phone}/heat 2>/dev/null || echo 0)"; rm -f {phone}/heat;; esac'
    ),
    "taskset": 'echo "$1" > {phone}/mask; shift; exec "$@"',
}
SETTINGS = MeasureSettings(timeout_seconds=5)


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    folder = tmp_path / "phone"
    (folder / "data/local/tmp").mkdir(parents=True)
    (folder / "bin").mkdir()

    def program(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    for name, text in PROGRAMS.items():
        program(folder / "bin" / name, "#!/bin/sh\n" + text.replace("{phone}", str(folder)) + "\n")
    program(tmp_path / "adb", ADB.format(python=sys.executable, phone=str(folder)))
    program(tmp_path / "benchmark_model", BENCHMARK.format(python=sys.executable, phone=str(folder)))
    return folder


@pytest.fixture
def make_phone(phone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("edgenas.devices.kinds.adb._COOL_SECONDS", 0.05)

    def make(**options: object):
        options = {
            "serial": "PHONE1",
            "adb": str(tmp_path / "adb"),
            "benchmark_model": str(tmp_path / "benchmark_model"),
            "retry_seconds": 0.05,
        } | options
        options = {key: value for key, value in options.items() if value is not None}
        return device_from_spec(DeviceSpec("phone", "adb", options=options, source="phone.yaml"))

    return make


class TestConformance(DeviceConformance):
    @pytest.fixture(autouse=True)
    def _phone(self, make_phone) -> None:
        self.made = make_phone()

    def device(self) -> Device:
        return self.made


def leftovers(phone: Path) -> list[str]:
    return [path.name for path in (phone / "data/local/tmp").iterdir() if path.is_dir()]


def test_measures_on_the_phone(make_phone, phone):
    device = make_phone(cpus=[4, 5])
    assert device.check() == []
    outcomes = device.measure_many({"a": b"ok 200", "b": b"ok 5000"}, SETTINGS)
    assert list(outcomes) == ["a", "b"]
    a = outcomes["a"]
    assert isinstance(a, Measurement)
    assert (a.min, a.median, a.runs) == (0.19, 0.2, 50)
    assert a.p95 == pytest.approx(0.22)
    assert a.provenance.runtime == "benchmark_model"
    assert a.provenance.runtime_version.startswith("sha256 ")
    assert a.provenance.cpu_model == "Acme Phone 1 X1"
    assert a.provenance.system == "Android 14"
    assert a.provenance.temperature_c == 31.2
    assert "straight lines" in a.provenance.protocol
    assert outcomes["b"].median == 5.0
    assert (phone / "mask").read_text().strip() == "30"
    assert leftovers(phone) == []


@pytest.mark.parametrize("is_file", [False, True])
def test_inputs_are_fed_what_was_asked_for(make_phone, phone, is_file):
    model = small_model()
    given = model_entries(model)[0].inputs[0]
    told = {"name": given.tensor.name, "dtype": "int8", "shape": list(given.shape)}
    size = int(np.prod(given.shape))
    if is_file:
        told["data"] = base64.b64encode(bytes(range(size % 256)) + bytes(size - size % 256)).decode()
    else:
        told |= {"low": 3, "high": 5}
    make_phone().measure_many({"m": model}, dataclasses.replace(SETTINGS, inputs=(told,)))
    names, shapes, values = ast.literal_eval((phone / "fed").read_text())
    assert (names, shapes) == (given.tensor.name, ",".join(map(str, given.shape)))
    fed = values[given.tensor.name]
    assert len(fed) == size
    assert bytes(fed) == base64.b64decode(told["data"]) if is_file else set(fed) == {3, 4, 5}


def test_models_without_given_inputs_draw_their_own(make_phone, phone):
    make_phone().measure_many({"m": small_model()}, SETTINGS)
    assert not (phone / "fed").exists()


def test_a_program_that_is_on_the_phone_already(make_phone, phone, tmp_path):
    device = make_phone(benchmark_model=None)
    (problem,) = device.check()
    assert "--benchmark-model" in problem
    target = phone / "data/local/tmp/benchmark_model"
    target.write_bytes((tmp_path / "benchmark_model").read_bytes())
    target.chmod(0o755)
    assert device.check() == []
    assert device.measure(b"ok 200", settings=SETTINGS).median == 0.2


@pytest.mark.parametrize(("words", "said"), [(b"bad 1", "Failed to load"), (b"crash 1", "did not finish")])
def test_a_model_that_fails_costs_only_itself(make_phone, words, said):
    outcomes = make_phone().measure_many({"a": b"ok 200", "x": words, "b": b"ok 300"}, SETTINGS)
    assert outcomes["a"].median == 0.2
    assert outcomes["b"].median == 0.3
    assert isinstance(outcomes["x"], MeasurementError)
    assert said in str(outcomes["x"])


def test_a_hang_is_ended(make_phone, phone):
    start = time.monotonic()
    outcomes = make_phone().measure_many({"x": b"hang 1", "b": b"ok 300"}, MeasureSettings(timeout_seconds=2.0))
    assert time.monotonic() - start < 20
    assert "no answer within 2 s" in str(outcomes["x"])
    assert outcomes["b"].median == 0.3
    assert leftovers(phone) == []


def test_an_unplugged_phone_is_waited_for(make_phone):
    outcomes = make_phone().measure_many({"a": b"ok 200", "x": b"unplug 400 2", "b": b"ok 300"}, SETTINGS)
    assert [outcome.median for outcome in outcomes.values()] == [0.2, 0.4, 0.3]


def test_a_phone_that_stays_away_is_a_clear_error(make_phone):
    device = make_phone(retries=1)
    with pytest.raises(DeviceLostError, match=r"offline.*plug the cable in again"):
        device.measure_many({"a": b"ok 200", "x": b"unplug 400 1000", "b": b"ok 300"}, SETTINGS)


def test_a_hot_phone_is_measured_again_when_cool(make_phone, phone):
    (phone / "heat").write_text("2")  # for the first model only
    outcomes = make_phone().measure_many({"a": b"ok 200", "b": b"ok 300"}, SETTINGS)
    assert list(outcomes) == ["a", "b"]
    assert [outcome.provenance.throttled for outcome in outcomes.values()] == [None, None]


def test_a_full_phone(make_phone, phone):
    (phone / "full").touch()
    with pytest.raises(DeviceLostError, match=r"storage is full: .*No space left"):
        make_phone().measure_many({"a": b"ok 200"}, SETTINGS)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"serial": "OTHER"}, "see `adb devices`"), ({"adb": "/nonexistent/adb"}, "apt-get install adb")],
)
def test_cannot_reach_says_what_to_do(make_phone, options, said):
    (problem,) = make_phone(**options).check()
    assert said in problem


@pytest.mark.parametrize(
    ("options", "said"),
    [({"cpus": "4"}, "'cpus'"), ({"cpu": [4]}, "unknown option 'cpu'")],
)
def test_wrong_options_are_refused(make_phone, options, said):
    with pytest.raises(InputError, match=said):
        make_phone(**options)


def test_a_program_that_does_not_exist(make_phone):
    with pytest.raises(InputError, match="/nonexistent/benchmark_model: cannot be read"):
        make_phone(benchmark_model="/nonexistent/benchmark_model").identity()


# Energy --------------------------------------------------------------------------------------------------------------

#: Counters that move 5 s at every look: 1 W in the first of three intervals, 3 W afterwards.
CAT = """case "$*" in *energy_value*)
  n=$(($(command -p cat {phone}/looks 2>/dev/null || echo 0) + 1)); echo $n > {phone}/looks
  case $((n % 3)) in 2) uws=0;; 0) uws=5000000;; *) uws=20000000;; esac
  [ -f {phone}/no-root ] && { echo "cat: energy_value: Permission denied"; exit 1; }
  printf 't=%d\\nCH0(T=1)[S2M_VDD_CPUCL2], %d\\nCH1(T=1)[VSYS_PWR_MODEM], 7000000\\n' $((n * 5000)) $uws;;
*) exec command -p cat "$@";; esac"""


@pytest.fixture
def counters(phone: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = phone / "bin" / "cat"
    program.write_text("#!/bin/sh\n" + CAT.replace("{phone}", str(phone)).replace("command -p cat", "/bin/cat") + "\n")
    program.chmod(0o755)
    monkeypatch.setattr("edgenas.devices.kinds.adb_energy.SECONDS", 0)
    return phone


def small_model() -> bytes:
    return write_tflite(ConvBnAct(filters=8).lower((8, 8, 3)), "int8")


WITH_ENERGY = MeasureSettings(timeout_seconds=5, energy=True)


def test_energy_from_the_phones_counters(make_phone, counters: Path) -> None:
    device = make_phone()
    assert device.meter().name == "odpm: S2M_VDD_CPUCL2, VSYS_PWR_MODEM"
    outcome = device.measure(small_model(), settings=WITH_ENERGY)
    energy = outcome.energy
    assert energy is not None, outcome.energy_problem
    assert energy.kind == "measured"
    assert (energy.idle_watts, energy.active_watts) == (1.0, 3.0)
    assert energy.energy_mj == pytest.approx(2.0 * 0.2035)
    assert energy.runs == 50


def test_counters_that_only_root_may_read_are_explained(make_phone, counters: Path) -> None:
    (counters / "no-root").touch()
    device = make_phone()
    assert device.meter().name is None
    assert "only root" in device.meter().words
    outcome = device.measure(small_model(), settings=WITH_ENERGY)
    assert outcome.min > 0
    assert outcome.energy is None
    assert "only root" in (outcome.energy_problem or "")
