"""Bundles: complete, told of truly, and replaced as a whole."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
import yaml

from edgenas.export.bundle import bundle as module
from edgenas.export.bundle.bundle import BundleContents, read_metrics, verify_bundle, write_bundle
from edgenas.export.bundle.check import FILES, METRICS_KEYS
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.network import Network
from edgenas.spaces.resolve import resolve_architecture
from tests.export.bundle.classifier import OPTIONAL


def test_holds_exactly_its_files_and_is_good(written: Path) -> None:
    assert sorted(path.name for path in written.iterdir()) == sorted((*FILES, *OPTIONAL))
    assert os.listdir(written.parent) == ["bundle"]
    assert verify_bundle(written) == []


def test_metrics(written: Path, contents: BundleContents) -> None:
    metrics = read_metrics(written)
    assert set(METRICS_KEYS) <= set(metrics)
    figures = {"float": contents.metrics_float["top1"], "tflite": contents.metrics_tflite["top1"]}
    assert metrics["top1"] == figures | {"test_images": 400}
    assert (metrics["metric"], metrics["test_examples"]) == ("top1", 400)
    assert metrics["metrics"] == {kind: {"top1": value} for kind, value in figures.items()}
    assert (metrics["inputs"], metrics["outputs"]) == ({"image": [20, 20, 1]}, {"head": [6]})
    assert metrics["latency_ms"]["local-cpu"]["median"] == 0.12
    assert metrics["predicted"]["local-cpu"]["latency_ms"] == 0.11
    assert metrics["size_bytes"] == (written / "model.tflite").stat().st_size
    assert (metrics["params"], metrics["macs"]) == (contents.network.params, contents.network.macs)
    assert metrics["provenance"]["local-cpu"]["kind"] == "measured"


def test_architecture_reads_back(written: Path, contents: BundleContents) -> None:
    assert Network.from_dict(yaml.safe_load((written / "architecture.yaml").read_text())) == contents.network
    assert resolve_architecture(str(written / "architecture.yaml")).network == contents.network


def test_architecture_of_a_space_reads_back_with_its_space(contents: BundleContents, tmp_path: Path) -> None:
    searched = dataclasses.replace(contents, space="tiny_edge", architecture="0101")
    folder = write_bundle(tmp_path / "bundle", searched)
    document = yaml.safe_load((folder / "architecture.yaml").read_text())
    assert (document["space"], document["architecture"]) == ("tiny_edge", "0101")  # a string, not the number 101


def test_model_card_tells_figures_and_where_they_come_from(written: Path, contents: BundleContents) -> None:
    card = (written / "README.md").read_text()
    for text in (
        "gratings",
        "CC0",
        "400 test images",
        f"{contents.metrics_tflite['top1']:.4f}",
        "| local-cpu | measured |",
        "**0.12 ms** (measured, median) on local-cpu",
        "What was asked for: latency of at most 0.3 ms.",
        "by their names in an EdgeNAS recipe: epochs 3.",
    ):
        assert text in card
    assert (
        "Predicted for local-cpu before this file existed: 0.11 ms, the sum of its blocks in a latency table (measured"
        in card
    )
    assert read_metrics(written)["checksums"]["model.tflite"] in card


def test_replaces_an_earlier_bundle_and_keeps_other_files(copy: Path, contents: BundleContents) -> None:
    (copy / "notes.txt").write_text("mine")
    (copy / "run.py").write_text("old")
    write_bundle(copy, dataclasses.replace(contents, budget={"latency_ms": 9.5}))
    assert verify_bundle(copy) == []
    assert read_metrics(copy)["budget"] == {"latency_ms": 9.5}
    assert (copy / "notes.txt").read_text() == "mine"
    assert sorted(os.listdir(copy.parent)) == ["bundle"]


def test_never_replaces_something_else(tmp_path: Path, contents: BundleContents) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds other things than a bundle"):
        write_bundle(tmp_path, contents)
    with pytest.raises(InputError, match="is a file"):
        write_bundle(tmp_path / "thesis.txt", contents)
    assert os.listdir(tmp_path) == ["thesis.txt"]


def test_a_failure_leaves_the_earlier_bundle(copy: Path, contents: BundleContents, monkeypatch) -> None:
    with pytest.raises(WorkError, match=r"was not written.*cannot be run"):
        write_bundle(copy, dataclasses.replace(contents, model=b"no model"))
    rename = os.rename

    def full_disk(source: Path, target: Path) -> None:
        if Path(target) == copy and ".new-" in str(source):
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(module.os, "rename", full_disk)
    with pytest.raises(WorkError, match=r"No space left.*nothing was changed"):
        write_bundle(copy, contents)
    monkeypatch.undo()
    assert verify_bundle(copy) == []
    assert os.listdir(copy.parent) == ["bundle"]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"labels": ("a", "b")}, "2 labels for a network of 6 outputs"),
        ({"labels": ("a", "b", "c", "d", "e", "two\nlines")}, "one line of text"),
        ({"metrics_tflite": {"top1": 88.0}}, "top1.tflite must be between 0 and 1"),
        ({"test_examples": 0}, "test_examples"),
        ({"provenance": {}}, "provenance says nothing about local-cpu"),
        ({"model": b""}, "size_bytes"),
    ],
)
def test_impossible_contents_are_refused(contents: BundleContents, changes: dict, found: str) -> None:
    with pytest.raises(InputError, match=found):
        dataclasses.replace(contents, **changes)
