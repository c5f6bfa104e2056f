"""Bundles: complete, runnable anywhere, replaced as a whole, and any damage found."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from edgenas.export.bundle import bundle as module
from edgenas.export.bundle.bundle import BundleContents, DataCard, read_metrics, verify_bundle, write_bundle
from edgenas.export.bundle.check import FILES, METRICS_KEYS, OPTIONAL_FILES, metrics_checksum
from edgenas.export.bundle.words import classifier_words
from edgenas.export.tflite.metadata import with_metadata
from edgenas.export.verify import tflite_logits
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.network import Network
from edgenas.spaces.resolve import resolve_architecture
from edgenas.tasks import get_task

LABELS = ("0 degrees", "30", "60", "90 | upright", "120", "150°")
ORIGIN = {"kind": "measured", "device": "local-cpu", "runtime": "ai-edge-litert", "runtime_version": "2.3", "runs": 50}

#: Of a classifier.
OPTIONAL = [name for name in OPTIONAL_FILES if name not in ("Detector.kt", "stream.tflite")]


def top1(logits: np.ndarray, labels: np.ndarray) -> float:
    return get_task("classification").score(labels, {"logits": logits})


@pytest.fixture(scope="module")
def contents(trained, int8_model: bytes) -> BundleContents:
    logits = tflite_logits(int8_model, trained.test_inputs)
    return BundleContents(
        model=int8_model,
        network=trained.network,
        labels=LABELS,
        preprocessing=trained.preprocessing,
        quantization="int8",
        words=classifier_words((20, 20, 1), LABELS, trained.preprocessing, "gratings"),
        metric="top1",
        metrics_float={"top1": top1(np.asarray(trained.model(trained.test_inputs)), trained.test_labels)},
        metrics_tflite={"top1": top1(logits, trained.test_labels)},
        test_examples=len(trained.test_labels),
        data=DataCard("gratings", "CC0", "drawn by this test", 1500),
        latency_ms={"local-cpu": {"min": 0.1, "median": 0.12, "p90": 0.2}},
        provenance={"local-cpu": ORIGIN},
        predicted={"local-cpu": {"latency_ms": 0.11, "energy_mj": None, "provenance": ORIGIN}},
        budget={"latency_ms": 0.3},
        training={"epochs": 3},
    )


@pytest.fixture(scope="module")
def written(contents: BundleContents, tmp_path_factory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("shipped") / "bundle", contents)


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "bundle"))


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


# ------------------------------------------------------------------------------------------------ the shipped program


def run(folder: Path, *arguments: object, encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
    """Runs run.py where TensorFlow and EdgeNAS cannot be imported, in another folder."""
    block = folder.parent / "block"
    for name in ("tensorflow", "keras", "edgenas", "export", "spaces"):
        (block / name).mkdir(parents=True, exist_ok=True)
        (block / name / "__init__.py").write_text(f"raise SystemExit('run.py imported {name}')")
    return subprocess.run(
        [sys.executable, str(folder / "run.py"), *map(str, arguments)],
        cwd=block,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(block), "PYTHONIOENCODING": encoding},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def test_run_agrees_with_verification_on_arrays_and_pictures(copy: Path, trained, int8_model: bytes) -> None:
    images = trained.test_images[:4]
    expected = [LABELS[index] for index in tflite_logits(int8_model, trained.test_inputs[:4]).argmax(axis=-1)]
    paths: list[Path] = []
    for index, pixels in enumerate(images):
        paths += [copy.parent / f"{index}.npy", copy.parent / f"{index}.png"]
        np.save(paths[-2], pixels if index % 2 else pixels[..., 0])
        Image.fromarray(pixels[..., 0]).save(paths[-1])
    result = run(copy, *paths, "--top", 1)
    assert result.returncode == 0, result.stderr
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [(row[0], row[1]) for row in rows] == [(str(path), expected[i // 2]) for i, path in enumerate(paths)]
    assert rows[0][2] == rows[1][2]  # the same pixels from an array and from a picture


def test_run_prints_probabilities_in_order(copy: Path, trained, int8_model: bytes) -> None:
    np.save(copy.parent / "image.npy", trained.test_images[0])
    shares = [
        float(line.split("\t")[2]) for line in run(copy, copy.parent / "image.npy", "--top", 6).stdout.splitlines()
    ]
    logits = tflite_logits(int8_model, trained.test_inputs[:1])[0].astype(float)
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    np.testing.assert_allclose(shares, np.sort(expected)[::-1], atol=1e-3)


def test_run_reads_pictures_as_training_does(copy: Path, trained) -> None:
    """Turned, in 16 bits, and on a transparent ground: the same answer as for the plain picture."""
    pixels = trained.test_images[0][..., 0]
    folder = copy.parent
    np.save(folder / "plain.npy", pixels)
    Image.fromarray(pixels.astype(np.uint16) * 257).save(folder / "deep.png")
    turned = Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[0x0112] = 6
    turned.save(folder / "turned.png", exif=turned.getexif())
    alpha = Image.new("L", pixels.shape[::-1], 255)
    Image.merge("LA", (Image.fromarray(pixels), alpha)).save(folder / "alpha.png")
    names = ("plain.npy", "deep.png", "turned.png", "alpha.png")
    result = run(copy, *(folder / name for name in names), "--top", 6)
    assert result.returncode == 0, result.stderr
    rows = [line.split("\t")[1:] for line in result.stdout.splitlines()]
    assert rows[:6] == rows[6:12] == rows[12:18] == rows[18:]
    Image.new("RGBA", pixels.shape[::-1]).save(folder / "clear.png")
    np.save(folder / "white.npy", np.full_like(pixels, 255))
    rows = [line.split("\t")[1:] for line in run(copy, folder / "clear.png", folder / "white.npy").stdout.splitlines()]
    assert rows[:3] == rows[3:]


def test_run_prints_replacements_where_the_terminal_lacks_a_character(copy: Path, trained) -> None:
    np.save(copy.parent / "ü.npy", trained.test_images[0])
    replace_file(copy, "labels.txt", "".join(f"猫{index}\n" for index in range(6)).encode())
    result = run(copy, copy.parent / "ü.npy", "--top", 1, encoding="ascii")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"{copy.parent}/?.npy\t?")
    (entry,) = json.loads(run(copy, copy.parent / "ü.npy", "--json", encoding="ascii").stdout)
    assert "猫" in entry["classes"][0]["label"]


def test_run_refuses_pictures_that_would_hang_or_fill_the_memory(copy: Path) -> None:
    folder = copy.parent
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "pipe.npy")
    Image.new("1", (20_000, 10_000)).save(folder / "huge.png")
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (20, 20, 1000000000), }\n"
    (folder / "huge.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    np.savez(folder / "archive.npz", a=np.zeros(3))
    (folder / "archive.npz").rename(folder / "archive.npy")
    bad = [folder / name for name in ("pipe.png", "pipe.npy", "huge.png", "huge.npy", "archive.npy", "x" * 300)]
    result = run(copy, *bad)
    assert result.returncode == 2
    lines = [line for line in result.stderr.splitlines() if not line.startswith("INFO")]
    assert [line.split(": ")[0] for line in lines] == [str(path) for path in bad]
    assert "Traceback" not in result.stderr


def test_run_resizes_colour_pictures(copy: Path) -> None:
    Image.new("RGBA", (50, 31), "red").save(copy.parent / "big.png")
    result = run(copy, copy.parent / "big.png")
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 3


def test_run_reports_bad_images_in_one_line_each_and_goes_on(copy: Path, trained) -> None:
    folder = copy.parent
    np.save(folder / "small.npy", np.zeros((5, 5), np.uint8))
    np.save(folder / "float.npy", np.zeros((20, 20), np.float32))
    np.save(folder / "good.npy", trained.test_images[0])
    (folder / "text.png").write_text("no picture")
    (folder / "empty.npy").write_bytes(b"")
    bad = [folder / name for name in ("small.npy", "float.npy", "missing.png", "text.png", "empty.npy")]
    result = run(copy, *bad, folder / "good.npy", "--top", 1)
    assert result.returncode == 2
    lines = [line for line in result.stderr.splitlines() if not line.startswith("INFO")]  # the runtime's own
    assert [line.split(": ")[0] for line in lines] == [str(path) for path in bad]
    assert result.stdout.startswith(f"{folder / 'good.npy'}\t")


def test_run_verifies_its_folder_with_the_runtime_alone(copy: Path, tmp_path: Path) -> None:
    result = run(copy, "--verify", "--json")
    assert (result.returncode, json.loads(result.stdout)) == (0, {"ok": True, "problems": []}), result.stderr
    (copy / "labels.txt").write_text("other")
    result = run(copy, "--verify")
    assert result.returncode == 1
    assert result.stdout == "labels.txt: changed since the bundle was written\n"
    assert rewrite(copy, self_test={"logits": [0.0] * 6, "tolerance": 0.01})
    replace_file(copy, "labels.txt", "".join(f"{label}\n" for label in LABELS).encode())
    assert "away from when it was made" in run(copy, "--verify").stdout


def test_run_prints_json(copy: Path, trained) -> None:
    np.save(copy.parent / "image.npy", trained.test_images[0])
    result = run(copy, "--image", copy.parent / "image.npy", "--top", 2, "--json")
    (entry,) = json.loads(result.stdout)
    assert entry["image"] == str(copy.parent / "image.npy")
    assert len(entry["classes"]) == 2
    assert entry["classes"][0]["label"] in LABELS


def test_run_says_what_is_missing(copy: Path) -> None:
    result = run(copy, "--edgetpu", "whatever.png")
    assert result.returncode == 1
    assert "libedgetpu.so.1 cannot be loaded" in result.stderr
    assert "nothing was run on the CPU" in result.stderr
    (copy.parent / "block" / "cv2").mkdir()
    (copy.parent / "block" / "cv2" / "__init__.py").write_text("raise ImportError")
    result = run(copy, "--camera")
    assert result.returncode == 2
    assert "camera 0: --camera needs OpenCV: pip install opencv-python-headless" in result.stderr
    assert run(copy).returncode == 2


def test_run_with_a_damaged_model_says_so(copy: Path) -> None:
    (copy / "model.tflite").write_bytes(b"damaged")
    result = run(copy, "whatever.png")
    assert result.returncode == 1
    assert "model.tflite: " in result.stderr
    assert "Traceback" not in result.stderr


def test_the_program_needs_only_old_python(written: Path) -> None:
    compile((written / "run.py").read_text(), "run.py", "exec", dont_inherit=True)
    import ast

    ast.parse((written / "run.py").read_text(), feature_version=(3, 7))


# ------------------------------------------------------------------------------------------------------------ damage


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


def rewrite(folder: Path, **changes: object) -> list[str]:
    """Problems after changing keys of metrics.json and making its checksum fit."""
    metrics = read_metrics(folder)
    metrics = {key: value for key, value in (metrics | changes).items() if value != "REMOVE"}
    if "checksums" in metrics:
        metrics["checksums"]["metrics.json"] = metrics_checksum(metrics)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return verify_bundle(folder)


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


def replace_file(folder: Path, name: str, content: bytes, **changes: object) -> list[str]:
    """Problems after replacing a file and making its checksum fit, as a careless repair would."""
    (folder / name).write_bytes(content)
    checksums = read_metrics(folder)["checksums"] | {name: module.file_checksum(content)}
    return rewrite(folder, checksums=checksums, **changes)


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


# ----------------------------------------------------------------------------------------------------------- writing


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


def test_a_bundle_of_a_newer_form_is_refused(copy: Path) -> None:
    metrics = json.loads((copy / "metrics.json").read_text())
    assert metrics["schema"] == 1
    (copy / "metrics.json").write_text(json.dumps(metrics | {"schema": 2}))
    with pytest.raises(InputError, match="has schema 2; this version of EdgeNAS reads bundles up to 1: update it"):
        read_metrics(copy)
    del metrics["schema"]
    (copy / "metrics.json").write_text(json.dumps(metrics))
    assert read_metrics(copy)["size_bytes"] == metrics["size_bytes"]
