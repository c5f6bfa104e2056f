"""What keeps a file from being shipped, and what device it is written for."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgenas.cli import main
from edgenas.devices import get_device
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.metadata import read_metadata
from edgenas.export.tflite.reader import read_operators
from edgenas.export.verify import tflite_logits
from edgenas.recipe.recipe import Recipe
from edgenas.run.context import RunContext
from edgenas.run.folder import RunFolder
from edgenas.run.progress import Progress
from edgenas.run.shipping import accuracy_shortfall, shipped_file
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct, GroupConvInvertedBottleneck
from edgenas.spaces.network import chain

Make = Callable[..., Recipe]
GROUPED = chain(
    "grouped",
    (28, 28, 1),
    {"stem": ConvBnAct(8, 3, 2), "group": GroupConvInvertedBottleneck(8, groups=2), "head": ClassifierHead(10)},
)


def context_of(recipe: Recipe, folder: Path) -> RunContext:
    return RunContext(recipe, RunFolder(folder), Progress(quiet=True))


@pytest.mark.parametrize(
    ("extra", "found"),
    [
        ("", None),
        ("export: {accuracy_drop: 0.01}\n", "more than export.accuracy_drop (0.01) below the float model's 0.9000"),
        ("export: {min_top1: 0.89}\n", "top1 is 0.8800, under export.min_top1 (0.89)"),
        ("export: {min_top1: 0.88, accuracy_drop: 0.02}\n", None),
    ],
)
def test_accuracy_is_a_condition_of_shipping(make_recipe: Make, tmp_path: Path, extra: str, found: str | None) -> None:
    short = accuracy_shortfall(context_of(make_recipe(extra), tmp_path), 0.9, 0.88)
    assert (short is None) if found is None else (short is not None and found in short)


def test_the_file_is_written_for_its_device(make_recipe: Make, tmp_path: Path) -> None:
    converted = write_tflite(GROUPED.graph, "int8")
    inputs = np.random.default_rng(0).normal(size=(3, 28, 28, 1)).astype(np.float32)
    preprocessing = Preprocessing((0.25,), (0.5,))
    files = {}
    for device in ("local-cpu", "edgetpu-sim"):
        context = context_of(make_recipe(), tmp_path)
        context.first.__dict__["device"] = get_device(device)
        files[device] = shipped_file(context, context.first, GROUPED, converted, preprocessing)
        metadata = read_metadata(files[device])
        assert metadata is not None
        assert metadata.labels == context.dataset.class_names
        assert (metadata.mean, metadata.std) == ((63.75,), (127.5,))
        np.testing.assert_array_equal(
            tflite_logits(files[device], inputs, processes=1), tflite_logits(converted, inputs, processes=1)
        )
    names = {device: {operator.name for operator in read_operators(file)} for device, file in files.items()}
    assert "SPLIT" not in names["local-cpu"]
    assert {"SPLIT", "CONCATENATION"} <= names["edgetpu-sim"]


def run(monkeypatch, capsys, *arguments: object) -> str:
    monkeypatch.setattr("sys.argv", ["edgenas", *map(str, arguments)])
    with contextlib.suppress(SystemExit):
        main()
    return capsys.readouterr().out


def test_describe_and_build_follow_the_device(monkeypatch, capsys, tmp_path: Path) -> None:
    path = tmp_path / "architecture.yaml"
    path.write_text(json.dumps(GROUPED.to_dict()))
    data = json.loads(run(monkeypatch, capsys, "describe", path, "--device", "edgetpu-sim", "--json"))
    assert {node["name"]: node["group_convolution"] for node in data["nodes"]} == {
        "stem": None,
        "group": "split",
        "head": None,
    }
    assert "written as native: one operator each" in run(monkeypatch, capsys, "describe", path)
    for device, is_split in (("local-cpu", False), ("edgetpu-sim", True), ("coral-usb", True)):
        model = tmp_path / f"{device}.tflite"
        run(monkeypatch, capsys, "build", path, "--device", device, "-o", model)
        assert ("SPLIT" in {operator.name for operator in read_operators(model.read_bytes())}) == is_split
