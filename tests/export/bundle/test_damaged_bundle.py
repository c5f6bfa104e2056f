"""Whatever is missing, changed or impossible in a bundle is found."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from edgenas.export.bundle.bundle import BundleContents, read_metrics, verify_bundle, write_bundle
from edgenas.export.bundle.check import FILES, METRICS_KEYS
from edgenas.export.tflite.metadata import with_metadata
from edgenas.spaces.errors import InputError
from tests.export.bundle.classifier import LABELS, OPTIONAL, replace_file, rewrite


@pytest.mark.parametrize("name", [*FILES, *OPTIONAL])
def test_a_missing_file_is_found(copy: Path, name: str) -> None:
    (copy / name).unlink()
    assert f"{name}: missing" in verify_bundle(copy)


@pytest.mark.parametrize("name", [*FILES, *OPTIONAL])
def test_a_changed_file_is_found(copy: Path, name: str) -> None:
    path = copy / name
    if name == "metrics.json":
        metrics = json.loads(path.read_text())
        metrics["top1"]["tflite"] = 0.999
        path.write_text(json.dumps(metrics))
    else:
        content = bytearray(path.read_bytes())
        content[-2] ^= 1
        path.write_bytes(bytes(content))
    assert any(problem.startswith(f"{name}: changed since") for problem in verify_bundle(copy))


@pytest.mark.parametrize("key", METRICS_KEYS)
def test_a_missing_key_is_found(copy: Path, key: str) -> None:
    assert f"metrics.json: the key {key!r} is missing" in rewrite(copy, **{key: "REMOVE"})


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("top1", {"float": 91.2, "tflite": 0.9, "test_images": 10}, "top1.float must be between 0 and 1, not 91.2"),
        ("top1", {"float": 0.9, "tflite": 0.9, "test_images": 0}, "top1.test_images must be"),
        ("top1", 0.9, "top1 must be an object"),
        ("latency_ms", {"local-cpu": {"min": -1, "median": 1}}, "latency_ms.local-cpu.min must be"),
        ("latency_ms", {"local-cpu": 3}, "latency_ms.local-cpu.min must be"),
        ("latency_ms", {"other": {"min": 1, "median": 1}}, "provenance says nothing about other"),
        ("latency_ms", [], "latency_ms must be an object"),
        ("predicted", {"local-cpu": {}}, "predicted.local-cpu.latency_ms must be"),
        ("params", "many", "params must be a whole number"),
        ("quantization", 8, "quantization must be the name"),
        ("preprocessing", {"mean": [0.5]}, "mean and std"),
        ("size_bytes", 17, "bytes, but metrics.json says 17"),
        ("macs", 17, "but metrics.json says 17"),
    ],
)
def test_impossible_figures_are_found(copy: Path, key: str, value: object, found: str) -> None:
    assert any(found in problem for problem in rewrite(copy, **{key: value}))


def test_contents_must_fit_each_other(copy: Path, trained) -> None:
    from edgenas.export.quantization import convert

    as_float = convert(trained.model, quantization="float32")
    problems = replace_file(copy, "model.tflite", as_float, size_bytes=len(as_float))
    assert any(problem.startswith("model.tflite: not int8 throughout") for problem in problems)
    assert rewrite(copy, quantization="float32") == ["model.h: holds another model than model.tflite"]
    assert "labels.txt: 2 labels for a model of 6 outputs" in replace_file(copy, "labels.txt", b"a\nb\n")
    problems = replace_file(copy, "architecture.yaml", b"nodes: [")
    assert any(problem.startswith("architecture.yaml: ") for problem in problems)


def test_another_model_of_the_same_shape_is_found_by_its_answer(copy: Path, contents: BundleContents) -> None:
    logits = [0.0] * 6
    problems = rewrite(copy, self_test={"logits": logits, "tolerance": 0.01})
    assert any("away from when it was made" in problem for problem in problems)
    assert any("self_test must hold" in problem for problem in rewrite(copy, self_test=[1]))
    assert rewrite(copy, self_test="REMOVE") == []  # bundles from before there was one


def test_labels_that_are_not_those_inside_the_model_are_found(contents: BundleContents, tmp_path: Path) -> None:
    described = with_metadata(
        contents.model,
        name="n",
        description="d",
        version="1",
        licence="CC0",
        labels=LABELS,
        preprocessing=contents.preprocessing,
    )
    folder = write_bundle(tmp_path / "bundle", dataclasses.replace(contents, model=described))
    assert verify_bundle(folder) == []
    swapped = "".join(f"{label}\n" for label in reversed(LABELS)).encode()
    assert "labels.txt: other labels than in the metadata inside model.tflite" in replace_file(
        folder, "labels.txt", swapped
    )


def test_a_model_that_is_none_and_metrics_that_are_none(copy: Path) -> None:
    assert any("model.tflite: cannot be run" in problem for problem in replace_file(copy, "model.tflite", b"TFL3" * 40))
    for text in ("{", "[1]", ""):
        (copy / "metrics.json").write_text(text)
        assert any(problem.startswith("metrics.json: ") for problem in verify_bundle(copy))


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    assert verify_bundle(tmp_path / "nowhere") == [f"{tmp_path / 'nowhere'}: no such folder"]
    (tmp_path / "file").write_text("x")
    assert verify_bundle(tmp_path / "file") == [f"{tmp_path / 'file'}: a file, not the folder of a bundle"]
    assert len(verify_bundle(tmp_path)) == len(FILES)
    with pytest.raises(InputError, match="not the metrics of a bundle"):
        read_metrics(tmp_path)


def test_a_bundle_of_a_newer_form_is_refused(copy: Path) -> None:
    metrics = json.loads((copy / "metrics.json").read_text())
    assert metrics["schema"] == 1
    (copy / "metrics.json").write_text(json.dumps(metrics | {"schema": 2}))
    with pytest.raises(InputError, match="has schema 2; this version of EdgeNAS reads bundles up to 1: update it"):
        read_metrics(copy)
    del metrics["schema"]
    (copy / "metrics.json").write_text(json.dumps(metrics))
    assert read_metrics(copy)["size_bytes"] == metrics["size_bytes"]
