"""One answer in one shape for every target."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from edgenas.cli.app import app
from edgenas.devices import get_device
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.blocks import InvertedBottleneck
from edgenas.spaces.graph import GraphBuilder
from edgenas.spaces.ops import Activation, Convolution, Resize

pytest.importorskip("ethosu", reason="the extra edgenas[ethos-u] is not installed")
pytest.importorskip("tflite_micro", reason="the extra edgenas[micro] is not installed")

MODEL = write_tflite(InvertedBottleneck(filters=16, expansion=4).lower((16, 16, 16)), "int8")
TARGETS = ("coral", "ethos-u55-128", "tflm", "cpu", "edgetpu-sim", "local-cpu")


def check(model: bytes, target: str, tmp_path) -> dict:
    (tmp_path / "m.tflite").write_bytes(model)
    result = CliRunner().invoke(app, ["check", str(tmp_path / "m.tflite"), "--target", target, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_target_takes_a_plain_network(tmp_path):
    for target in TARGETS:
        found = check(MODEL, target, tmp_path)
        assert found["target"] == target
        assert found["already_compiled"] is False
        assert (found["mapped"], found["cpu"], found["changes"]) == (4, 0, [])
        assert {"index", "op", "mapped", "reason"} == set(found["operators"][0])
        assert found["memory"]
    assert check(MODEL, "tflm", tmp_path)["memory"]["arena_bytes"] > 0
    ethos = check(MODEL, "ethos-u55-128", tmp_path)
    assert ethos["configuration"]["memory_mode"] == "Shared_Sram"
    assert ethos["memory"]["sram_bytes"] == ethos["memory"]["arena_bytes"] > 0


def test_what_a_target_does_not_take_is_named_with_its_own_reason(tmp_path):
    builder = GraphBuilder((8, 8, 8))
    last = builder.add("conv", Convolution(8, 3), *builder.inputs)
    last = builder.add("gelu", Activation("gelu"), last)
    model = write_tflite(builder.build(builder.add("resize", Resize(56, 40), last)), "int8")
    tflm, ethos = check(model, "tflm", tmp_path), check(model, "ethos-u55-128", tmp_path)
    assert [one["op"] for one in tflm["operators"] if not one["mapped"]] == ["GELU"]
    assert "GELU" in tflm["changes"][0]
    left = [one for one in ethos["operators"] if not one["mapped"]]
    assert [one["op"] for one in left] == ["RESIZE_NEAREST_NEIGHBOR"]
    assert "scale-factor" in left[0]["reason"].lower()


def test_a_compiled_file_is_recognised(tmp_path):
    compiled = get_device("ethos-u55-128").board_files(MODEL)["_vela.tflite"]
    for target in ("ethos-u55-128", "coral", "cpu"):
        found = check(compiled, target, tmp_path)
        assert (found["already_compiled"], found["compiled_for"]) == (True, "Ethos-U")
        assert bool(found["changes"]) is (target != "ethos-u55-128")


def test_wrong_input_is_one_line(tmp_path):
    (tmp_path / "m.tflite").write_bytes(write_tflite(InvertedBottleneck(filters=8).lower((8, 8, 8)), "float32"))
    for target, words in (("nowhere", "unknown target 'nowhere'"), ("ethos-u55-64", "float model")):
        result = CliRunner().invoke(app, ["check", str(tmp_path / "m.tflite"), "--target", target])
        assert result.exit_code != 0
        assert words in str(result.exception) + result.output
