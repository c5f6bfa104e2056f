"""A run that ships mixed precision, and the command that shows which layers cost accuracy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from edgenas.cli.app import app
from edgenas.export import extra
from edgenas.export.bundle.bundle import verify_bundle
from edgenas.recipe.recipe import Recipe
from edgenas.run.pipeline import run
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct
from edgenas.spaces.network import chain

pytest.importorskip("litert_quantizer", reason="the extra edgenas[selective] is not installed")


def recipe(folder: Path) -> Recipe:
    """One network of two convolutions on a few images, for the simulated Edge TPU."""
    rng = np.random.default_rng(0)
    labels = np.arange(160) % 4
    images = (60 * labels[:, np.newaxis, np.newaxis] + rng.integers(0, 60, size=(160, 8, 8))).astype(np.uint8)
    np.savez(folder / "few.npz", x_train=images[:120], y_train=labels[:120], x_test=images[120:], y_test=labels[120:])
    network = chain(
        "tiny", (8, 8, 1), {"first": ConvBnAct(8, 3), "second": ConvBnAct(8, 3, 2), "head": ClassifierHead(4)}
    )
    (folder / "tiny.yaml").write_text(yaml.safe_dump(network.to_dict()))
    text = (
        f"name: mixed\noutput: {folder}\ndata: {{path: {folder}/few.npz}}\n"
        f"space: {{architecture: {folder}/tiny.yaml}}\n"
        "device: {name: edgetpu-sim}\ntraining: {epochs: 2, batch_size: 16}\n"
        "export: {quantization: mixed, mixed: {keep: int16, layers: 2, limit: 0.5}, accuracy_drop: 1.0}\n"
    )
    return Recipe.parse(text)


def test_a_mixed_file_is_shipped_and_layers_are_shown(tmp_path: Path, home: Path, monkeypatch) -> None:
    result = run(recipe(tmp_path), quiet=True)
    bundle = result.run / "bundle"
    assert verify_bundle(bundle) == []
    assert json.loads((bundle / "metrics.json").read_text())["quantization"] == "mixed"
    document = json.loads((result.run / "sensitivity.json").read_text())
    assert [choice["kept"] for choice in document["choices"]] == [[]]  # within the limit at once
    assert "nothing to gain" in document["words"][0]
    assert "Mixed precision" in (result.run / "report.html").read_text()

    told = CliRunner().invoke(app, ["export", str(result.run), "--sensitivity", "--json"])
    assert told.exit_code == 0, told.output
    document = json.loads(told.stdout)
    assert {layer["operator"] for layer in document["layers"]} >= {"CONV_2D", "FULLY_CONNECTED"}
    assert [(choice["keep"], len(choice["kept"])) for choice in document["choices"]] == [
        *((None, 0), ("float", 1), ("float", 2), ("int16", 1), ("int16", 2))
    ]
    plain = document["choices"][0]
    assert plain["taken"]
    assert plain["latency"]["quiet_ms"] > 0
    assert plain["size_bytes"] < document["float32"]["size_bytes"]
    words = CliRunner().invoke(app, ["export", str(result.run), "--sensitivity"]).stdout
    assert "layers, the most sensitive first" in words
    assert "none (int8)" in words
    assert "nothing to gain" in words

    monkeypatch.setattr(extra, "installed_version", lambda package: None)
    for arguments, what in (
        (["--sensitivity"], "edgenas[selective]"),
        (["--sensitivity", "--compare"], "one thing each"),
        (["--sensitivity", "-o", "x"], "--output names the folder of a bundle"),
        (["--sensitivity", "--quantizations", "int8"], "--quantizations belongs to"),
    ):
        told = CliRunner().invoke(app, ["export", str(result.run), *arguments])
        assert told.exit_code != 0
        assert what in str(told.exception) + told.output
