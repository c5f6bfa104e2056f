"""The operator lists behind the Edge TPU benchmark, and the benchmark itself on small made-up inputs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgenas.export.compilers.edgetpu.check import check_operators

TOOLS = Path(__file__).parents[2] / "tools"
#: Millions of parameters as published (papers, Keras applications, model garden); batch norms count a little there.
PARAMETERS = {
    "mobilenet_v1_1.0_224": 4.2,
    "mobilenet_v2_1.0_224": 3.5,
    "efficientnet_edgetpu_s": 5.44,
    "efficientnet_edgetpu_m": 6.9,
    "efficientnet_edgetpu_l": 10.59,
    "inception_v1_224": 6.6,
    "inception_v4_299": 42.7,
    "inception_resnet_v2_299": 55.9,
    "resnet_50_v1_299": 25.6,
    "resnet_152_v2_299": 60.4,
    "vgg16_224": 138.4,
    "vgg19_224": 143.7,
    "densenet_224": 8.06,
    "squeezenet_224": 1.25,
    "ssdlite_mobilenet_v2_300": 4.3,
}


@pytest.fixture
def published(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    from edgetpu_models import published

    return published


@pytest.mark.parametrize("name", PARAMETERS)
def test_networks_have_the_published_number_of_parameters(published, name):
    from edgetpu_models.builder import parameters

    operators = published.NETWORKS[name][0]()
    assert parameters(operators) / 1e6 == pytest.approx(PARAMETERS[name], rel=0.05)


def test_only_known_operators_stay_on_the_cpu(published):
    for name, (build, _) in published.NETWORKS.items():
        report = check_operators(build())
        left = {operator.op for operator in report.operators if not operator.mapped}
        if name.startswith("ssd"):
            assert left == {"TFLite_Detection_PostProcess"}
        elif name.startswith("deeplab"):
            assert "ARG_MAX" in left
            assert report.mapped == 64
        else:
            assert not left, name


def test_the_benchmark_runs(tmp_path, published):
    from edgenas.export.tflite.flatbuffer import write_tflite
    from edgenas.spaces.blocks import ConvBnAct

    model = write_tflite(ConvBnAct(filters=8).lower((8, 8, 3)), "float32")
    (tmp_path / "m.tflite").write_bytes(model)
    (tmp_path / "m_edgetpu.tflite").write_bytes(model)  # the compiler would leave all of it to the CPU
    lines = ["model,input,dtype,device,latency_ms,source"]
    for host, devices in published.HOSTS.items():
        names = list(published._NAMES)[:12]
        lines += [f"{name},,int8,{devices[0]},{2 + index},{host}" for index, name in enumerate(names)]
    (tmp_path / "published.csv").write_text("\n".join(lines))
    out = tmp_path / "out.json"
    command = [sys.executable, str(TOOLS / "bench_edgetpu.py"), "--pairs", str(tmp_path), "--splits", "2"]
    command += ["--latencies", str(tmp_path / "published.csv"), "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    assert (result["pairs"]["right"], result["pairs"]["wrong"]) == (1, 0)
    assert set(result["usb"]["held_out"]) == {"model", "macs", "parameters"}
