"""One answer in one shape for every target."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from edgenas.cli.app import app
from edgenas.devices import get_device
from edgenas.export.compilers.ethos_u.compiled import compiled_accelerator
from edgenas.export.targets.check import check_tflm
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
    chip = check(MODEL, "cortex-m4", tmp_path)["memory"]
    assert (chip["chip_ram_bytes"], chip["chip_flash_bytes"]) == (640 * 1024, 2048 * 1024)
    ethos = check(MODEL, "ethos-u55-128", tmp_path)
    assert sum(ethos["operator_cycles"].values()) == ethos["estimate"]["cycles"]["total"]
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
        assert found["accelerator"] == "ethos-u55-128"
    found = check(compiled, "ethos-u55-256", tmp_path)  # the driver on the board would refuse it
    assert (found["mapped"], found["operators"][0]["reason"]) == (0, "already compiled for ethos-u55-128")
    assert "compiled for ethos-u55-128 already" in found["changes"][0]


@pytest.mark.parametrize("name", ["ethos-u55-32", "ethos-u65-512", "ethos-u85-2048"])
def test_a_compiled_file_tells_its_accelerator(name):
    assert compiled_accelerator(get_device(name).board_files(MODEL)["_vela.tflite"]) == name
    assert compiled_accelerator(MODEL) is None


def test_a_compiled_file_is_recognised_without_a_target(tmp_path):
    (tmp_path / "m.tflite").write_bytes(get_device("ethos-u55-128").board_files(MODEL)["_vela.tflite"])
    found = json.loads(CliRunner().invoke(app, ["check", str(tmp_path / "m.tflite"), "--json"]).stdout)
    assert (found["already_compiled"], found["compiled_for"], found["mapped"]) == (True, "Ethos-U", 0)
    assert found["operators"][0]["reason"] == "already compiled for ethos-u55-128"
    assert {"parameter_bytes", "cached_bytes", "streamed_bytes", "changes"} <= set(found)
    words = CliRunner().invoke(app, ["check", str(tmp_path / "m.tflite")]).stdout
    assert "compiled already, for Ethos-U (ethos-u55-128)" in words
    plain = write_tflite(InvertedBottleneck(filters=8).lower((8, 8, 8)), "int8")
    (tmp_path / "m.tflite").write_bytes(plain)
    found = json.loads(CliRunner().invoke(app, ["check", str(tmp_path / "m.tflite"), "--json"]).stdout)
    assert (found["already_compiled"], found["compiled_for"]) == (False, None)


def test_an_npu_of_one_scale_a_tensor_wants_no_scale_per_channel(tmp_path):
    found = check(MODEL, "stm32mp2", tmp_path)
    slow = [one for one in found["operators"] if not one["mapped"]]
    assert [one["op"] for one in slow] == ["CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D"]
    assert "6.4 times as slow" in slow[0]["reason"]
    assert "_experimental_disable_per_channel" in found["changes"][0]


def test_a_model_that_is_too_large_for_the_chip_is_told():
    report = check_tflm(MODEL, "mine", {"ram_bytes": 1000, "flash_bytes": 1000})
    arena, file = report.memory["arena_bytes"], len(MODEL)
    assert report.changes[0].startswith(f"arena {arena:,} bytes, of 1,000 bytes of ram:")
    assert report.changes[1].startswith(f"file {file:,} bytes, of 1,000 bytes of flash:")


def test_a_space_is_checked_at_every_size(tmp_path):
    space = tmp_path / "space.yaml"
    space.write_text(
        "name: small\ntask: classification\ninput_shape: [16, 16, 1]\nclasses: 4\n"
        "stem: {block: conv, filters: [8, 16], kernel: 3, stride: 2}\n"
        "stages:\n- {filters: [8], depth: [1, 2], layers: [{blocks: [{block: ibn, expansion: [2, 4]}]}]}\n"
        "head: [{block: classifier}]\n"
    )
    options = ["--space", str(space), "--target", "ethos-u55-128", "--networks", "2", "--json"]
    result = CliRunner().invoke(app, ["check", *options, "--input-shape", "16", "--input-shape", "48x32"])
    assert result.exit_code == 0, result.output
    small, large = json.loads(result.stdout)["sizes"]
    assert (small["input_shape"], large["input_shape"]) == ("16x16x1", "48x32x1")
    assert small["mapped"] == small["operators"] > 0
    assert small["whole"] == 2
    assert large["memory"]["sram_bytes"] > small["memory"]["sram_bytes"]
    slow = CliRunner().invoke(app, ["check", "--space", str(space), "--target", "stm32mp2", "--networks", "1"])
    assert "0 of 1" in slow.stdout
    assert "CONV_2D in 1 of 1 networks: weights with a scale for each channel" in slow.stdout
    for wrong, words in (
        ([*options, "--input-shape", "wide"], "--input-shape: found 'wide'"),
        ([*options, "model.tflite"], "leave model.tflite out"),
        ([], "expected a model"),
        (["model.tflite", "--input-shape", "16"], "--input-shape belongs to --space"),
        (["--space", str(space), "--target", "nowhere"], "unknown target 'nowhere'"),
    ):
        result = CliRunner().invoke(app, ["check", *wrong])
        assert result.exit_code != 0
        assert words in str(result.exception) + result.output


def test_wrong_input_is_one_line(tmp_path):
    (tmp_path / "m.tflite").write_bytes(write_tflite(InvertedBottleneck(filters=8).lower((8, 8, 8)), "float32"))
    for target, words in (("nowhere", "unknown target 'nowhere'"), ("ethos-u55-64", "float model")):
        result = CliRunner().invoke(app, ["check", str(tmp_path / "m.tflite"), "--target", target])
        assert result.exit_code != 0
        assert words in str(result.exception) + result.output
