"""Times of operators from the real runtime, and what happens where it tells none."""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from edgenas.devices.on_device.operator_times import NoOperatorTimesError, OperatorTimes, TimedModel, are_told
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.references import reference_network


@pytest.fixture(scope="module")
def times() -> OperatorTimes:
    return OperatorTimes()


@pytest.fixture(scope="module", params=["int8", "float32"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MobileNetV3-Small: its hard swish stays outside XNNPACK in int8."""
    path: Path = tmp_path_factory.mktemp("model") / f"{request.param}.tflite"
    path.write_bytes(write_tflite(reference_network("mobilenet_v3_small").graph, request.param))
    return path


def test_operators_add_up_to_the_run(times: OperatorTimes, network: Path) -> None:
    shares = []
    with times.load(str(network), 1) as model:
        model.fill([bytes(224 * 224 * 3 * (1 if network.stem == "int8" else 4))])
        model.run()
        for _ in range(20):
            start = time.perf_counter()
            operators = model.run()
            shares.append(sum(operators) / 1e6 / (time.perf_counter() - start))
        model.check()
    assert len(operators) > 50
    # What notes the times takes its time as well, and so do others on a busy machine; a wrong unit is off by 1,000.
    assert 0.02 < max(shares) < 1


def test_models_can_be_loaded_again_and_again(times: OperatorTimes, network: Path) -> None:
    lengths = set()
    for _ in range(3):
        with times.load(str(network), 2) as model:
            lengths |= {len(model.run()), len(model.run())}
    assert len(lengths) == 1


def test_inputs_of_another_size_are_refused(times: OperatorTimes, network: Path) -> None:
    with times.load(str(network), 1) as model:
        for wrong in ([b"too short"], [], [b"", b""]):
            with pytest.raises(NoOperatorTimesError):
                model.fill(wrong)


def test_runs_that_operators_do_not_account_for_are_refused(
    times: OperatorTimes, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgenas.devices.on_device.operator_times._IN_DELEGATE", 0)
    monkeypatch.setattr("edgenas.devices.on_device.operator_times._OF_DELEGATE", 0)
    # On a fast machine whole runs of so small a network take no more than what noting the times may.
    monkeypatch.setattr("edgenas.devices.on_device.operator_times._LOST_PER_RUN", 0.0)
    monkeypatch.setattr("edgenas.devices.on_device.operator_times._LOST_PER_OPERATOR", 0.0)

    def run_and_check(model: TimedModel) -> None:
        model.run()
        model.check()

    with times.load(str(network), 1) as model, pytest.raises(NoOperatorTimesError):
        run_and_check(model)


def test_a_broken_model_is_refused(times: OperatorTimes, tmp_path: Path) -> None:
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"not a model")
    with pytest.raises(NoOperatorTimesError):
        times.load(str(path), 1)
    with pytest.raises(NoOperatorTimesError):
        times.load(str(tmp_path / "lacks.tflite"), 1)


def test_a_library_without_a_profiler_is_refused(times: OperatorTimes, network: Path) -> None:
    with pytest.raises(NoOperatorTimesError, match="has no LiteRtNothing"):
        times.call("LiteRtNothing", ctypes.c_void_p())


def test_without_a_library_there_are_no_times(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ai_edge_litert.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "ai_edge_litert", raising=False)
    with pytest.raises(NoOperatorTimesError, match="no C library"):
        OperatorTimes()


def test_a_library_that_ends_its_process_is_found_out(monkeypatch: pytest.MonkeyPatch, network: Path) -> None:
    assert are_told(str(network), 1)
    assert not are_told(str(network.with_name("lacks.tflite")), 1)
    monkeypatch.setattr(OperatorTimes, "load", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    assert not are_told(str(network), 1)
    monkeypatch.setattr("edgenas.devices.on_device.operator_times._TRIAL_SECONDS", 0.3)
    monkeypatch.setattr(OperatorTimes, "load", lambda *_: time.sleep(60))
    assert not are_told(str(network), 1)
