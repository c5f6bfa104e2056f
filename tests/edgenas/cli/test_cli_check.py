"""``edgenas check`` and the Edge TPU devices on the command line."""

from __future__ import annotations

import json

import pytest

from edgenas.cli import main
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.blocks import InvertedBottleneck


def run(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["edgenas", *arguments])
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.tflite"
    graph = InvertedBottleneck(filters=16, activation="hard_swish").lower((8, 8, 16))
    path.write_bytes(write_tflite(graph, "int8"))
    return path


def test_check_prints_one_json_document(monkeypatch, capsys, model):
    code, out, _ = run(monkeypatch, capsys, "check", str(model), "--json")
    data = json.loads(out)
    assert code == 0
    assert {"operators", "mapped", "cpu", "parameter_bytes", "cached_bytes", "streamed_bytes"} <= set(data)
    assert data["operators"][1] == {
        "index": 1,
        "op": "HARD_SWISH",
        "mapped": False,
        "reason": "Operation not supported",
    }
    assert data["mapped"] + data["cpu"] == len(data["operators"])


def test_check_tells_people_what_to_change(monkeypatch, capsys, model):
    code, out, _ = run(monkeypatch, capsys, "check", str(model))
    assert code == 0
    assert "HARD_SWISH" in out
    assert "use relu or relu6" in out


@pytest.mark.parametrize("content", [b"", b"nonsense", bytes(5000), b"\x1c\x00\x00\x00TFL3" + b"\xff" * 100])
def test_check_refuses_what_is_no_model(monkeypatch, capsys, tmp_path, content):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    code, out, err = run(monkeypatch, capsys, "check", str(path), "--json")
    assert (code, out) == (2, "")
    assert str(path) in err
    code, _, err = run(monkeypatch, capsys, "check", str(tmp_path / "missing.tflite"))
    assert code == 2
    assert "missing.tflite" in err


def test_an_installed_compiler_is_asked_too(monkeypatch, capsys, model, tmp_path):
    compiler = tmp_path / "bin" / "edgetpu_compiler"
    compiler.parent.mkdir()
    compiler.write_text(
        '#!/bin/sh\ncp "$4" "$3/model_edgetpu.tflite"\necho "Edge TPU Compiler version 16.0.384591198"\n'
        "printf 'Operator  Count  Status\\n\\nCONV_2D  1  Mapped to Edge TPU\\n'\n"
        "printf 'HARD_SWISH  5  Operation not supported\\n'\n"
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{compiler.parent}:/usr/bin:/bin")
    code, out, _ = run(monkeypatch, capsys, "check", str(model), "--json")
    said = json.loads(out)["compiler"]
    assert code == 0
    assert (said["version"], said["mapped"], said["cpu"], said["agrees"]) == ("16.0.384591198", 1, 5, True)
    assert json.loads(run(monkeypatch, capsys, "check", str(model), "--json", "--no-compile")[1])["compiler"] is None
    compiler.write_text("#!/bin/sh\necho 'Invalid model: m'; exit 1\n")
    code, out, _ = run(monkeypatch, capsys, "check", str(model))
    assert code == 0
    assert "did not compile the model: Invalid model: m" in out


def test_a_simulated_device_describes_and_benchmarks_without_a_table(monkeypatch, capsys, model):
    code, out, _ = run(monkeypatch, capsys, "describe", "mobilenet_v2_0.35", "--device", "edgetpu-sim", "--json")
    data = json.loads(out)
    assert code == 0
    assert data["provenance"]["kind"] == "simulated"
    nodes = [node["latency_ms"] for node in data["nodes"]]
    assert all(value > 0 for value in nodes)
    assert 0 < sum(nodes) < data["latency_ms"]
    code, out, _ = run(monkeypatch, capsys, "benchmark", str(model), "--device", "edgetpu-sim")
    assert code == 0
    assert "simulated, not m" in " ".join(out.split())
    code, out, err = run(monkeypatch, capsys, "benchmark", str(model), "--device", "coral-usb")
    assert (code, out) == (1, "")
    assert "libedgetpu1-std" in err


def test_group_convolutions_are_built_apart_on_demand(monkeypatch, capsys, tmp_path):
    whole, apart = str(tmp_path / "whole.tflite"), str(tmp_path / "apart.tflite")
    name = "mobilenet_edgetpu_v2_tiny"
    assert run(monkeypatch, capsys, "build", name, "-o", whole)[0] == 0
    assert run(monkeypatch, capsys, "build", name, "-o", apart, "--split-groups")[0] == 0
    refused = json.loads(run(monkeypatch, capsys, "check", whole, "--json")[1])
    assert refused["mapped"] == 0
    assert any("--split-groups" in change for change in refused["changes"])
    taken = json.loads(run(monkeypatch, capsys, "check", apart, "--json")[1])
    assert (taken["cpu"], taken["changes"]) == (0, [])
