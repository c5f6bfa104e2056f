"""One factor from a user's board: fitted, kept with the device, told with every number, and forgotten again."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from edgenas.cli.app import app
from edgenas.devices import get_device
from edgenas.devices.calibrating import calibrate, read_measured
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.blocks import InvertedBottleneck
from edgenas.spaces.errors import InputError


@pytest.fixture
def board(tmp_path, monkeypatch):
    """A CSV of two networks that took 1.5 and 2 times as long as estimated, and an EdgeNAS home of its own."""
    monkeypatch.setenv("EDGENAS_HOME", str(tmp_path / "home"))
    lines = ["model,latency_ms"]
    for filters, ratio in ((8, 1.5), (24, 2.0)):
        model = write_tflite(InvertedBottleneck(filters=filters).lower((16, 16, 8)), "int8")
        (tmp_path / f"{filters}.tflite").write_bytes(model)
        lines.append(f"{filters}.tflite,{ratio * get_device('cortex-m4').measure(model).min}")
    path = tmp_path / "board.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("name", ["cortex-m4", "edgetpu-sim"])
def test_a_factor_is_kept_and_told(board, name):
    before = get_device(name)
    model = (board.parent / "8.tflite").read_bytes()
    result = CliRunner().invoke(app, ["devices", "calibrate", name, "--measured", str(board), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    after = get_device(name)
    assert after.measure(model).min == pytest.approx(found["factor"] * before.measure(model).min, rel=1e-4)
    assert "measured on a board (board.csv)" in after.measure(model).provenance.protocol
    assert after.identity().runtime_version != before.identity().runtime_version
    if name == "cortex-m4":
        assert found["factor"] == pytest.approx(3**0.5, rel=1e-3)
        assert found["spread"] == pytest.approx(4 / 3, rel=1e-3)
        assert found["error"]["max"] == pytest.approx(1 / 3, rel=1e-2)
    again = CliRunner().invoke(app, ["devices", "calibrate", name, "--measured", str(board), "--json"])
    assert json.loads(again.stdout)["factor"] == found["factor"]  # of the estimate, not of the factor before
    assert CliRunner().invoke(app, ["devices", "remove", name]).exit_code == 0
    assert get_device(name).identity().runtime_version == before.identity().runtime_version


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model,ms\na,1\n", "expected the columns model, latency_ms"),
        ("model,latency_ms\n", "holds no measurement"),
        ("model,latency_ms\n8.tflite,fast\n", "line 2: expected a model's file"),
        ("model,latency_ms\n8.tflite,1\n8.tflite,2\n", "comes twice"),
    ],
)
def test_a_wrong_file_is_one_line(board, text, words):
    board.write_text(text)
    with pytest.raises(InputError, match=words):
        read_measured(board)


def test_a_device_that_is_measured_and_a_missing_model_are_refused(board):
    with pytest.raises(InputError, match="is measured, not estimated"):
        calibrate(get_device("local-cpu"), {"8.tflite": 1.0}, board.parent, "board.csv")
    with pytest.raises(InputError, match=r"nowhere\.tflite"):
        calibrate(get_device("cortex-m4"), {"nowhere.tflite": 1.0}, board.parent, "board.csv")
