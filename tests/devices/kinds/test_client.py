"""The client of the runner against nonsense, waiting runners and a clock on the wall that jumps."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgenas.devices.device import DeviceSpec, MeasurementError, MeasureSettings
from edgenas.devices.kinds.client import RUNNER, RunnerError, RunnerProcess, outcome_of
from edgenas.devices.kinds.local import LocalDevice
from edgenas.devices.measurement import Measurement
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.blocks import ConvBnAct

FACTS = {"runtime": "r", "runtime_version": "1", "threads": 1}
PLAIN = st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["", "x", "1"])
JSON = PLAIN | st.lists(PLAIN | st.lists(PLAIN, max_size=3), max_size=3) | st.just({"a": 1})


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.fixed_dictionaries(
        {"id": st.sampled_from(["a", "b", None])},
        optional=dict.fromkeys(("samples_ms", "anchors_ms", "operators_us", "runs", "warmup_runs", "error"), JSON),
    )
)
def test_any_answer_is_a_measurement_or_an_error(answer):
    try:
        outcome = outcome_of("a", answer, FACTS, MeasureSettings(), "pi")
    except RunnerError:
        return
    if isinstance(outcome, Measurement):
        assert answer["id"] == "a"
        assert min(outcome.samples_ms) > 0
    else:
        assert isinstance(outcome, MeasurementError)


def run_script(script: str, timeout: float = 5.0, **options: bool) -> dict[str, object]:
    with RunnerProcess([sys.executable, "-S", "-c", script], MeasureSettings(), **options) as runner:
        return runner.answer(timeout)


def test_a_runner_that_waits_for_a_hot_device_is_not_hanging():
    script = (
        "import time\n"
        'for i in range(6): print(\'{"waiting": "hot"}\', flush=True); time.sleep(0.2)\n'
        "print('{\"id\": 1}', flush=True)"
    )
    assert run_script(script, timeout=0.9) == {"id": 1}


def test_a_greeting_is_passed_over_only_where_a_shell_may_greet():
    script = "print('Welcome!\\nLast login: never'); print('{\"id\": 1}')"
    assert run_script(script, greeting=True) == {"id": 1}
    with pytest.raises(RunnerError, match="Welcome"):
        run_script(script)


def test_endless_greetings_end():
    with pytest.raises(RunnerError, match="something else than an answer"):
        run_script("while True: print('blah')", greeting=True)


def test_a_clock_on_the_wall_that_jumps_does_not_matter(tmp_path):
    jumping = tmp_path / "jumping.py"
    jumping.write_text(
        "import itertools, runpy, sys, time\n"
        "jumps = itertools.cycle([4e9, 0.0, -1e9, 1e9])\n"
        "time.time = lambda: next(jumps)\n"
        "time.gmtime = lambda *_: time.struct_time((1970, 1, 1, 0, 0, 0, 3, 1, 0))\n"
        f"sys.argv = [{str(RUNNER)!r}]\n"
        f"sys.path.insert(0, {str(RUNNER.parent)!r})\n"
        f"runpy.run_path({str(RUNNER)!r}, run_name='__main__')\n"
    )
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{jumping}"\n')
    python.chmod(0o755)
    device = LocalDevice(DeviceSpec("cpu", "local", options={"python": str(python)}))
    settings = MeasureSettings(warmup_seconds=0.01, min_runs=10, max_seconds=0.1, confidence=None)
    model = write_tflite(ConvBnAct(filters=8, stride=2).lower((16, 16, 3)), "int8")
    measurement = device.measure(model, settings=settings)
    assert measurement.provenance.time_utc == "1970-01-01T00:00:00Z"
    assert 0 < measurement.min <= measurement.median < 100
    assert measurement.runs >= 10
    assert json.dumps(measurement.to_json())
