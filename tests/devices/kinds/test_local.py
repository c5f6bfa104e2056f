"""The local device: what the runner does wrong is a model's outcome, never the end of the others."""

import contextlib
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from edgenas.devices import Device, DeviceSpec, Measurement, MeasurementError, MeasureSettings, get_device
from edgenas.devices.conformance import DeviceConformance
from edgenas.devices.kinds.local import LocalDevice
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.blocks import ConvBnAct, InvertedBottleneck
from edgenas.spaces.errors import InputError

MODEL = write_tflite(ConvBnAct(filters=8).lower((8, 8, 3)), "int8")
SLOW = write_tflite(InvertedBottleneck(filters=24, expansion=6, kernel=3, stride=2).lower((96, 96, 16)), "int8")
QUICK = MeasureSettings(warmup_seconds=0.002, max_seconds=0.02, timeout_seconds=30)

FACTS = '{"facts": {"runtime": "fake", "runtime_version": "1", "threads": 1, "protocol": 1}}'


class TestLocalCpu(DeviceConformance):
    def device(self) -> Device:
        return get_device("local-cpu")


def fake(tmp_path: Path, body: str) -> LocalDevice:
    """A local device whose "Python" is a script that speaks the runner's protocol in its own way.

    The body runs for each model, with ``job`` at hand and ``answer(dict)`` to speak.
    """
    script = tmp_path / "python"
    script.write_text(
        f"#!{sys.executable}\n"
        + textwrap.dedent(
            """\
            import json, os, signal, sys, time
            def answer(message):
                print(json.dumps(message), flush=True)
            good = {"samples_ms": [1.0, 2.0], "runs": 2, "warmup_runs": 1}
            sys.stdin.readline()
            print(FACTS, flush=True)
            for line in sys.stdin:
                job = json.loads(line)
            """
        ).replace("FACTS", repr(FACTS))
        + textwrap.indent(textwrap.dedent(body), "    ")
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return LocalDevice(DeviceSpec("fake", "local", options={"python": str(script)}))


@pytest.mark.parametrize(
    ("misbehaviour", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("sys.stderr.write('tensor arena exploded'); sys.stderr.flush(); os._exit(7)", "arena exploded"),
        ("os._exit(7)", "exit code 7"),
        ("print('Segmentation, fault?', flush=True)", "Segmentation, fault"),
        ("print('[1, 2]', flush=True)", "something else"),
        ("answer({'id': 'stranger', **good})", "stranger"),
        ("answer({'id': job['id'], 'samples_ms': []})", "no sense"),
        ("answer({'id': job['id'], 'samples_ms': [float('nan')]})", "no sense"),
        ("answer({'id': job['id'], 'samples_ms': [-1.0]})", "no sense"),
        ("answer({'id': job['id'], 'error': 'unknown operator'})", "unknown operator"),
    ],
)
def test_trouble_with_one_model_leaves_the_others(tmp_path: Path, misbehaviour: str, words: str) -> None:
    device = fake(tmp_path, f"if job['id'] == 'bad': {misbehaviour}\nelse: answer({{'id': job['id'], **good}})\n")
    outcomes = device.measure_many({"a": MODEL, "bad": MODEL, "b": MODEL}, QUICK)
    assert isinstance(outcomes["a"], Measurement)
    assert isinstance(outcomes["b"], Measurement)
    assert isinstance(outcomes["bad"], MeasurementError)
    assert words in str(outcomes["bad"])
    assert "bad" in str(outcomes["bad"])


def test_a_runner_killed_by_somebody_else_costs_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "killed-once"
    device = fake(
        tmp_path,
        f"""\
        if job['id'] == 'unlucky' and not os.path.exists({str(marker)!r}):
            open({str(marker)!r}, 'w').close()
            os.kill(os.getpid(), signal.SIGKILL)
        answer({{'id': job['id'], **good}})
        """,
    )
    outcomes = device.measure_many({"unlucky": MODEL, "b": MODEL}, QUICK)
    assert all(isinstance(outcome, Measurement) for outcome in outcomes.values())


def test_a_hang_is_stopped_and_the_next_model_measured(tmp_path: Path) -> None:
    device = fake(tmp_path, "if job['id'] == 'bad': time.sleep(600)\nanswer({'id': job['id'], **good})\n")
    start = time.monotonic()
    outcomes = device.measure_many({"bad": MODEL, "b": MODEL}, MeasureSettings(timeout_seconds=1))
    assert time.monotonic() - start < 30
    assert "no answer within 1 s" in str(outcomes["bad"])
    assert isinstance(outcomes["b"], Measurement)


def test_without_a_runtime_it_says_what_to_install(tmp_path: Path) -> None:
    # The standard library alone, NumPy by its path: no runtime can be imported.
    import numpy

    site = tmp_path / "site"
    site.mkdir()
    for name in ("numpy", "numpy.libs"):
        source = Path(numpy.__file__).parents[1] / name
        if source.exists():
            (site / name).symlink_to(source)
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {sys.executable} -S "$@"\n')
    script.chmod(0o755)
    device = LocalDevice(DeviceSpec("bare", "local", options={"python": str(script)}))
    (problem,) = device.check()
    assert "pip install ai-edge-litert" in problem
    with pytest.raises(MeasurementError, match="ai-edge-litert"):
        device.measure(MODEL)


def test_a_python_that_does_not_exist_is_a_measurement_error() -> None:
    device = LocalDevice(DeviceSpec("gone", "local", options={"python": "/no/such/python"}))
    with pytest.raises(MeasurementError, match="/no/such/python"):
        device.measure(MODEL)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(InputError, match=r"mine\.yaml.*'pyhton'.*python"):
        LocalDevice(DeviceSpec("typo", "local", options={"pyhton": "x"}, source="mine.yaml"))


def test_visits_report_the_anchor_around_each_chunk() -> None:
    outcome = get_device("local-cpu").measure(MODEL, settings=MeasureSettings(anchor=MODEL, visit_seconds=0.002))
    assert len(outcome.anchors_ms) == len(outcome.samples_ms) >= 1
    assert all(time_ms > 0 for pair in outcome.anchors_ms for time_ms in pair)


@pytest.mark.parametrize("limit", [1e-9, 0.0])
def test_visits_to_slow_models_report_their_operators(limit: float) -> None:
    """Whatever is slow: the limit is put below this model's time, or there is none."""
    settings = MeasureSettings(anchor=MODEL, operators_above=limit, operator_seconds=0.001)
    outcome = get_device("local-cpu").measure(SLOW, settings=settings)
    assert len(outcome.operators_us) == len(outcome.anchors_ms) == len(outcome.samples_ms) >= 3
    assert {len(run) for run in outcome.operators_us} == {3}  # expansion, depthwise, projection
    whole = get_device("local-cpu").measure(SLOW, settings=MeasureSettings(max_seconds=0.2))
    assert 0.3 < outcome.min / whole.min < 3  # the machine may be busy for one of them


def test_the_runner_dies_with_its_listener(tmp_path: Path) -> None:
    """A runner whose parent was killed ends at its next answer instead of measuring on for nobody."""
    model = tmp_path / "m.tflite"
    model.write_bytes(MODEL)
    runner = Path(sys.modules["edgenas.devices.kinds.client"].RUNNER)
    process = subprocess.Popen(
        [sys.executable, str(runner)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write('{"max_seconds": 0.02, "warmup_seconds": 0.001}\n')
    process.stdin.flush()
    assert "facts" in process.stdout.readline()
    process.stdout.close()
    with contextlib.suppress(BrokenPipeError):  # it may be gone before it has read all
        process.stdin.write("".join(f'{{"id": "{i}", "path": "{model}"}}\n' for i in range(2000)))
        process.stdin.close()
    assert process.wait(timeout=20) != 0


def test_ctrl_c_ends_the_runner_too(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    device_code = f"""\
import os, signal, threading, time, sys
sys.path.insert(0, {str(Path.cwd())!r})
from pathlib import Path
from edgenas.devices import DeviceSpec, MeasureSettings
from edgenas.devices.kinds.local import LocalDevice
pid_file = Path({str(pid_file)!r})
def interrupt():
    while not (pid_file.exists() and pid_file.read_text()):
        time.sleep(0.05)
    time.sleep(0.5)  # until the runner is waited for
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
try:
    LocalDevice(DeviceSpec("fake", "local", options={{"python": {str(tmp_path / "python")!r}}})).measure(b"x")
except KeyboardInterrupt:
    print("interrupted")
"""
    fake(tmp_path, f"open({str(pid_file)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n")
    done = subprocess.run([sys.executable, "-c", device_code], capture_output=True, text=True, timeout=60, check=False)
    assert "interrupted" in done.stdout, done.stderr
    assert not Path(f"/proc/{pid_file.read_text()}").exists()
