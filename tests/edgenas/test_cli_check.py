"""``edgenas check`` and the Edge TPU devices on the command line."""

from __future__ import annotations

import json

import pytest

from edgenas.cli import main
from export.flatbuffer import write_tflite
from spaces.blocks import InvertedBottleneck


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
