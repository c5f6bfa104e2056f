"""Sizes of inputs and copies of spaces from the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from edgenas.cli import main
from edgenas.export.tflite.reader import read_operators
from edgenas.spaces import SearchSpace


@pytest.fixture
def edgenas(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGENAS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["edgenas", *arguments])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def sampled(edgenas, *options: str) -> dict[str, object]:
    code, out, err = edgenas("spaces", "sample", *options, "--count", "1", "--json")
    assert code == 0, err
    return json.loads(out)[0]


def test_sample_and_describe_agree_at_another_size(edgenas):
    size = ("--input-shape", "48x64x3", "--classes", "5")
    sample = sampled(edgenas, "small_edge", *size)
    code, out, _ = edgenas("describe", f"small_edge:{sample['architecture']}", *size, "--json")
    described = json.loads(out)
    assert code == 0
    assert described["input_shape"] == [48, 64, 3]
    assert described["nodes"][-1]["output_shape"] == [5]
    assert {key: described[key] for key in sample} == sample
    assert sample["macs"] != sampled(edgenas, "small_edge")["macs"]


def test_the_hint_of_sample_can_be_given_as_it_stands(edgenas):
    assert edgenas("spaces", "copy", "tiny_edge", "mine.yaml")[0] == 0
    _, _, err = edgenas("spaces", "sample", "mine.yaml", "--count", "1", "--input-shape", "40", "--classes", "3")
    words = err.strip().rpartition("edgenas ")[2].split()
    assert words[1].startswith("mine.yaml:")
    code, out, err = edgenas(*words, "--json")
    assert code == 0, err
    assert json.loads(out)["input_shape"] == [40, 40, 1]


def test_build_a_reference_network_for_another_size(edgenas, tmp_path: Path):
    code, _, err = edgenas(
        "build",
        "mobilenet_v2_0.35",
        "-o",
        "m.tflite",
        "--input-shape",
        "32",
        "--classes",
        "3",
        "--quantization",
        "float32",
    )
    assert code == 0, err
    assert "on 32x32x3" in err
    operators = read_operators((tmp_path / "m.tflite").read_bytes())
    assert operators


def test_predictions_of_a_simulated_device_follow_the_size(edgenas, tmp_path: Path):
    architecture = str(sampled(edgenas, "tiny_edge")["architecture"])
    (tmp_path / "some.txt").write_text(architecture + "\n")
    options = ("predict", "--space", "tiny_edge", "--architectures", "some.txt", "--device", "edgetpu-sim", "--json")
    small, large = (json.loads(edgenas(*options, "--input-shape", size)[1]) for size in ("28", "64x64x3"))
    assert 0 < small[0]["latency_ms"] < large[0]["latency_ms"]


def test_without_a_table_the_command_that_makes_it_has_the_size(edgenas, tmp_path: Path):
    (tmp_path / "some.txt").write_text(str(sampled(edgenas, "tiny_edge")["architecture"]) + "\n")
    options = (
        "predict",
        "--space",
        "tiny_edge",
        "--architectures",
        "some.txt",
        "--input-shape",
        "40",
        "--classes",
        "3",
    )
    code, _, err = edgenas(*options)
    assert code == 2
    assert "edgenas profile --space tiny_edge --input-shape 40 --classes 3 --device local-cpu" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("spaces", "sample", "tiny_edge", "--input-shape", "96x"), "'96x'"),
        (("spaces", "sample", "tiny_edge", "--input-shape", "0"), "'0'"),
        (("spaces", "sample", "tiny_edge", "--input-shape", "9" * 5000), "expected height, width, channels"),
        (("spaces", "sample", "tiny_edge", "--input-shape", "2x2x2x2"), "2x2x2x2: space 'tiny_edge'"),
        (("spaces", "sample", "nowhere", "--input-shape", "96"), "unknown space 'nowhere'"),
        (("describe", "mobilenet_v2_1.0", "--input-shape", "1x1x1x1"), "reference network 'mobilenet_v2_1.0'"),
        (("profile", "--space", "tiny_edge", "--input-shape", "96,96"), "'96,96'"),
        (("validate", "--space", "tiny_edge", "--input-shape", "a"), "'a'"),
        (("predict", "m.tflite", "--input-shape", "96"), "--shape NAME="),
        (("spaces", "copy", "tiny_edge", "mine.txt"), "mine.txt"),
        (("spaces", "copy", "nowhere", "mine.yaml"), "nowhere"),
    ],
)
def test_wrong_sizes_are_one_clear_line(edgenas, arguments, said):
    code, out, err = edgenas(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_classes_of_a_space_without_classes(edgenas, tmp_path: Path):
    (tmp_path / "plain.yaml").write_text(
        "{name: plain, inputs: {x: [8, 8, 3]}, nodes: [{name: a, block: conv, filters: [8, 16]}]}"
    )
    code, _, err = edgenas("spaces", "sample", "plain.yaml", "--classes", "3")
    assert (code, "no classes" in err) == (2, True)


def test_a_size_that_leaves_one_pixel_is_warned_of(edgenas):
    code, _, err = edgenas("spaces", "sample", "mobilenet_v2", "--input-shape", "8")
    assert code == 0
    assert "one pixel before" in err
    assert "one pixel" not in edgenas("spaces", "sample", "mobilenet_v2", "--input-shape", "96")[2]


def test_copy_never_overwrites(edgenas, tmp_path: Path):
    assert edgenas("spaces", "copy", "tiny_edge", "sub/mine.yaml")[0] == 0
    before = (tmp_path / "sub" / "mine.yaml").read_text()
    code, _, err = edgenas("spaces", "copy", "small_edge", "sub/mine.yaml")
    assert (code, "exists already" in err) == (2, True)
    assert (tmp_path / "sub" / "mine.yaml").read_text() == before
    assert SearchSpace.load(tmp_path / "sub" / "mine.yaml").size == SearchSpace.load("tiny_edge").size
