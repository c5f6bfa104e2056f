"""``edgenas compare`` on the command line: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgenas.cli import main
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.model_rewriting import rewrite
from edgenas.spaces.blocks import ConvBnAct, InvertedBottleneck

GRAPH = InvertedBottleneck(filters=8).lower((8, 8, 8))


def run(monkeypatch, capsys, *arguments: object) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["edgenas", *map(str, arguments)])
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "float.tflite", tmp_path / "int8.tflite"
    for path, precision in zip(paths, ("float32", "int8"), strict=True):
        path.write_bytes(write_tflite(GRAPH, precision))
    return paths


def test_one_json_document_with_latency_side_by_side(monkeypatch, capsys, models, home) -> None:
    code, out, err = run(monkeypatch, capsys, "compare", *models, "--device", "local-cpu", "--json")
    assert code == 0, err
    data = json.loads(out)
    assert data["a"]["params"] == data["b"]["params"] > 0
    assert data["a"]["operators"] == data["b"]["operators"]
    assert (data["a"]["integer"], data["b"]["integer"]) == (False, True)
    assert data["a"]["size_bytes"] == models[0].stat().st_size
    latency = data["latency"]
    assert latency["ratio"] == pytest.approx(latency["b"]["quiet_ms"] / latency["a"]["quiet_ms"], rel=1e-3)
    assert latency["a"]["kind"] == "measured"
    assert len(data["layers"]["layers"]) == 5
    assert data["layers"]["worst"] in data["layers"]["meaning"]
    assert 0 < data["outputs"]["max_abs_difference"] < 4


def test_a_device_that_takes_one_of_them_only_says_so(monkeypatch, capsys, models) -> None:
    code, out, _ = run(monkeypatch, capsys, "compare", *models, "--device", "edgetpu-sim", "--json")
    latency = json.loads(out)["latency"]
    assert code == 0
    assert latency["b"]["kind"] == "simulated"
    assert "error" in latency["a"]
    assert latency["ratio"] is None
    code, out, _ = run(monkeypatch, capsys, "compare", *models, "--device", "edgetpu-sim")
    assert "none: " in out


def test_given_inputs_are_used(monkeypatch, capsys, models, tmp_path) -> None:
    path = tmp_path / "inputs.npy"
    np.save(path, np.random.default_rng(0).normal(size=(3, 8, 8, 8)))
    code, out, _ = run(monkeypatch, capsys, "compare", *models, "--inputs", path)
    assert code == 0
    assert "outputs on 3 inputs" in out
    assert "worst layer: " in out


@pytest.mark.parametrize("content", [b"", b"text", np.zeros((2, 9, 9, 8)), np.full((1, 8, 8, 8), np.nan), np.zeros(3)])
def test_inputs_that_do_not_fit_are_refused(monkeypatch, capsys, models, tmp_path, content) -> None:
    path = tmp_path / "inputs.npy"
    np.save(path, content) if isinstance(content, np.ndarray) else path.write_bytes(content)
    code, out, err = run(monkeypatch, capsys, "compare", *models, "--inputs", path, "--json")
    assert (code, out) == (2, "")
    assert "Traceback" not in err


def test_models_of_other_inputs_are_compared_as_far_as_possible(monkeypatch, capsys, models, tmp_path) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(write_tflite(ConvBnAct(4, 3).lower((6, 6, 3)), "int8"))
    code, out, _ = run(monkeypatch, capsys, "compare", models[0], other, "--json")
    data = json.loads(out)
    assert code == 0
    assert "the inputs differ" in data["not_compared"]
    assert data["layers"] is None
    assert run(monkeypatch, capsys, "compare", models[0], other)[0] == 0


def test_a_model_that_the_device_does_not_take_is_wrong_input(monkeypatch, capsys, models, tmp_path) -> None:
    code, out, err = run(monkeypatch, capsys, "benchmark", models[0], "--device", "edgetpu-sim", "--json")
    assert (code, out) == (2, "")
    assert f"{models[0]}: " in err
    assert "unsupported data type" in err
    unknown = tmp_path / "unknown.tflite"
    content = models[1].read_bytes()

    def age(unpacked) -> None:  # whole for every reader, but no runtime knows this operator
        unpacked.operatorCodes[0].version = 127

    unknown.write_bytes(rewrite(content, age))
    code, out, err = run(monkeypatch, capsys, "benchmark", unknown, "--json")
    assert (code, out) == (2, "")
    assert f"{unknown}: " in err
    code, _, err = run(monkeypatch, capsys, "benchmark", models[1], "--device", "coral-usb")
    assert code == 1, "the device is missing, the model is fine"


def test_what_is_no_model_is_named(monkeypatch, capsys, models, tmp_path) -> None:
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(models[0].read_bytes()[:500])
    for pair in ((damaged, models[1]), (models[0], damaged)):
        code, out, err = run(monkeypatch, capsys, "compare", *pair, "--device", "local-cpu", "--json")
        assert (code, out) == (2, "")
        assert str(damaged) in err
