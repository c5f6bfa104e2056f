"""Other engines and several threads on this machine: devices of their own, whose figures are kept apart."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from edgenas.devices import MeasurementError, get_device
from edgenas.devices.device import DeviceSpec, MeasureSettings, device_from_spec
from edgenas.devices.on_device import engines
from edgenas.devices.on_device.runner import find_runtime, load
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.blocks import InvertedBottleneck
from edgenas.spaces.errors import InputError

MODEL = write_tflite(InvertedBottleneck(filters=8, expansion=2).lower((8, 8, 8)), "int8")
QUICK = MeasureSettings(warmup_seconds=0.01, min_runs=3, max_runs=10, max_seconds=0.2, confidence=None)
HAS_OPENVINO = importlib.util.find_spec("openvino") is not None
OTHERS = [
    ("local-cpu-builtin", "ai-edge-litert without XNNPACK", 1),
    ("local-cpu-2-threads", "ai-edge-litert", 2),
    pytest.param("local-cpu-openvino", "openvino", 1, marks=pytest.mark.skipif(not HAS_OPENVINO, reason="no openvino")),
]


@pytest.mark.parametrize(("name", "runtime", "threads"), OTHERS)
def test_each_has_its_own_identity(name, runtime, threads):
    device = get_device(name)
    found = device.measure(MODEL, settings=QUICK).provenance
    assert (found.kind, found.device, found.threads) == ("measured", name, threads)
    assert found.runtime.startswith(runtime.split()[0])
    assert ("without XNNPACK" in found.runtime) is ("without" in runtime)
    identity = device.identity()
    assert (identity.runtime, identity.runtime_version, identity.threads) == (
        found.runtime,
        found.runtime_version,
        threads,
    )
    assert device.lock_names == get_device("local-cpu").lock_names  # one processor


@pytest.mark.parametrize("name", ["local-cpu-builtin", "local-cpu-openvino"])
def test_a_quiet_visit_runs_the_anchor_on_the_same_engine(name):
    if "openvino" in name and not HAS_OPENVINO:
        pytest.skip("no openvino")
    settings = dataclasses.replace(QUICK, anchor=MODEL, operators_above=0.0)
    found = get_device(name).measure_many({"model": MODEL}, settings)["model"]
    assert not isinstance(found, MeasurementError)
    assert found.anchors_ms
    assert found.operators_us == ()  # the clock of operators is XNNPACK's


@pytest.mark.skipif(not HAS_OPENVINO, reason="no openvino")
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_openvino_answers_as_litert_does(tmp_path, precision):
    path = tmp_path / "model.tflite"
    path.write_bytes(write_tflite(InvertedBottleneck(filters=8, expansion=2).lower((8, 8, 8)), precision))
    settings = {"threads": 1, "seed": 0, "inputs": None}
    make, name, version = engines.engine_of("openvino", None)
    assert (name, version[:2]) == ("openvino", "20")
    other, litert = load(make, str(path), settings), load(find_runtime()[0], str(path), settings)
    other.invoke()
    litert.invoke()
    detail = litert.get_output_details()[0]
    expected, found = litert.get_tensor(detail["index"]), other._request.get_output_tensor(0).data
    if precision == "int8" and "vnni" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("without VNNI the int8 sums of OpenVINO saturate")
    if precision == "float32":
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    else:
        assert np.abs(found.astype(int) - expected.astype(int)).max() <= 2


def test_what_is_missing_or_wrong_is_one_line(monkeypatch):
    def absent(name: str) -> object:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(engines.importlib, "import_module", absent)
    with pytest.raises(RuntimeError, match=r"pip install 'edgenas\[openvino\]'"):
        engines.engine_of("openvino", None)
    with pytest.raises(RuntimeError, match="no LiteRT runtime"):
        engines.engine_of("litert-builtin", None)
    for options, words in (
        ({"engine": "fast"}, "must be one of litert, litert-builtin, openvino, not 'fast'"),
        ({"threads": 0}, "'threads' must be a whole number from 1, not 0"),
        ({"speed": 1}, "takes python, engine, threads"),
    ):
        with pytest.raises(InputError, match=words):
            device_from_spec(DeviceSpec("mine", "local", options=options))
