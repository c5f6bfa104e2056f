"""A detection from recipe to report: boxes judged after decoding and suppression, by class and group, and drawn."""

from __future__ import annotations

import json
import operator
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgenas.data.detection.drawn import FACES, generated
from edgenas.export.bundle.bundle import read_metrics, verify_bundle
from edgenas.export.tflite.metadata import read_metadata
from edgenas.recipe.recipe import Recipe
from edgenas.run.found_boxes import with_boxes
from edgenas.run.pipeline import run
from edgenas.spaces.errors import InputError
from edgenas.study.evaluation import load_data, load_space, load_task

pytest.importorskip("pycocotools")

SPACE = """\
name: small_detection
task: detection
input_shape: [32, 32, 3]
classes: 1
nodes:
  - {name: stem, block: conv, filters: [12, 16], stride: 2, inputs: image}
  - {name: fine, block: conv, filters: 24, stride: 2}
  - {name: deep, block: conv, filters: 24, stride: 2}
  - {name: boxes, block: box_head, anchors: 2, inputs: [fine, deep]}
  - {name: classes, block: class_head, anchors: 2, inputs: [fine, deep]}
outputs: [boxes, classes]
"""
RECIPE = """\
name: small
task_options: {anchors: fitted, crop: [0.6, 1.0]}
data: {path: ./faces.json}
space: {architecture: space.yaml:1}
task: detection
device: {name: local-cpu}
training: {epochs: 10, batch_size: 16, learning_rate: 0.01, ema_decay: 0.9}
export: {calibration_images: 20, accuracy_drop: 1.0}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data in a packed file with groups, space and recipe."""
    path = tmp_path_factory.mktemp("det")
    data = generated(FACES, (32, 32), train=64, test=16)
    images, annotations = [], []
    for part in ("train", "test"):
        targets = getattr(data, part).targets
        for row in range(len(targets["labels"])):
            images.append({"id": len(images), "file_name": f"{part}{row}", "split": part})
            for box, label, group in zip(*(targets[name][row] for name in ("boxes", "labels", "groups")), strict=True):
                if label >= 0:
                    top, left, bottom, right = (float(edge) * 32 for edge in box)
                    record = {"image_id": len(images) - 1, "category_id": 1, "group": data.facts["groups"][group]}
                    annotations.append(record | {"bbox": [left, top, right - left, bottom - top]})
    pixels = np.concatenate([data.train.inputs["image"], data.test.inputs["image"]])
    np.savez(path / "faces.npz", images=pixels)
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "face"}]}
    (path / "faces.json").write_text(json.dumps(document))
    (path / "space.yaml").write_text(SPACE)
    (path / "recipe.yaml").write_text(
        RECIPE.replace("space.yaml", str(path / "space.yaml")) + f"output: {path / 'runs'}\n"
    )
    return path


def test_from_recipe_to_report(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGENAS_HOME", str(folder / "home"))
    found = run(Recipe.load(folder / "recipe.yaml"), quiet=True)
    bundle = found.run / "bundle"
    assert verify_bundle(bundle) == []
    metrics = read_metrics(bundle)
    assert (metrics["task"], metrics["metric"]) == ("detection", "map")
    for kind in ("float", "tflite"):
        figures = metrics["metrics"][kind]
        assert set(figures) == {"map", "ap50"}
        assert 0 < figures["map"] < figures["ap50"] <= 1
    assert metrics["class_ap"]["face"] == pytest.approx(metrics["metrics"]["tflite"]["map"], abs=1e-4)
    assert set(metrics["group_ap"]) <= {"dark", "light", "medium"}
    assert len(metrics["group_ap"]) >= 2
    anchors = metrics["preprocessing"]["anchors"]
    assert anchors["levels"] == [[8, 8], [4, 4]]
    assert [len(sizes) for sizes in anchors["sizes"]] == [2, 2]
    assert (bundle / "labels.txt").read_text().split() == ["face"]
    card = (bundle / "README.md").read_text()
    assert "AP of this file" in card
    assert "dark" in card
    report = (found.run / "report.html").read_text()
    for words in ("What it finds", "Every group", "boxes told right", "medium"):
        assert words in report
    assert report.count('alt="test image') == 18


def run_program(bundle: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(bundle / "run.py"), *arguments], capture_output=True, text=True)


def check_program(bundle: Path, path: Path) -> list[dict[str, object]]:
    """``run.py`` draws what it finds, and knows its own folder; returns the boxes of a picture."""
    data = generated(FACES, (32, 32), train=1, test=4)
    picture = path / "picture.png"
    Image.fromarray(data.test.inputs["image"][0]).resize((80, 60)).save(picture)
    done = run_program(bundle, "--verify")
    assert done.returncode == 0, done.stderr
    drawn = path / "drawn.png"
    done = run_program(bundle, "--image", str(picture), "-o", str(drawn), "--score", "0.02", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert found["output"] == str(drawn)
    assert found["boxes"]
    for box in found["boxes"]:
        left, top, right, bottom = box["box"]
        assert box["label"] == "face"
        assert 0 <= left <= right <= 80
        assert 0 <= top <= bottom <= 60
        assert 0.02 <= box["score"] <= 1
    before, after = (np.asarray(Image.open(file).convert("RGB")) for file in (picture, drawn))
    assert before.shape == after.shape
    assert (before != after).any()
    nothing = run_program(bundle, str(picture), "-o", str(drawn), "--score", "1")
    assert nothing.stdout.endswith("nothing found\n")
    wrong = run_program(bundle, "--image", str(path / "none.png"), "-o", str(drawn))
    assert wrong.returncode == 2
    (line,) = (line for line in wrong.stderr.splitlines() if "INFO" not in line)
    assert line.startswith(str(path / "none.png"))
    return list(found["boxes"])


def test_the_bundle_finds_the_same_with_the_operator_in_the_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGENAS_HOME", str(folder / "home"))
    text = (folder / "recipe.yaml").read_text()
    found = run(Recipe.load(folder / "recipe.yaml"), resume=True, quiet=True)
    raw = tmp_path / "raw"
    shutil.copytree(found.run / "bundle", raw)
    (folder / "recipe.yaml").write_text(text.replace("accuracy_drop", "post_processing: operator, accuracy_drop"))
    whole = run(Recipe.load(folder / "recipe.yaml"), resume=True, quiet=True).run / "bundle"
    assert verify_bundle(whole) == []
    ours, theirs = check_program(raw, tmp_path), check_program(whole, tmp_path)
    assert len(ours) == len(theirs)
    np.testing.assert_allclose([b["score"] for b in ours], [b["score"] for b in theirs], atol=1e-5)
    key = operator.itemgetter("score", "box")
    pairs = zip(sorted(ours, key=key), sorted(theirs, key=key), strict=True)
    assert all(np.allclose(one["box"], other["box"], atol=0.02) for one, other in pairs)
    metrics, without = read_metrics(whole), read_metrics(raw)
    assert metrics["metrics"]["tflite"]["map"] == pytest.approx(without["metrics"]["tflite"]["map"], abs=1e-3)
    assert metrics["outputs"]["detection_boxes"] == [100, 4]
    assert list(without["outputs"]) == ["boxes", "classes"]
    assert metrics["decoding"] == without["decoding"]
    for one, in_file in ((metrics, True), (without, False)):
        costs = one["post_processing"]["local-cpu"]
        assert costs["in_file"] is in_file
        assert min(costs["with_ms"], costs["without_ms"]) > 0
        assert "with the operator that decodes" in (raw if one is without else whole).joinpath("README.md").read_text()
    described = read_metadata((whole / "model.tflite").read_bytes())
    assert described is not None
    assert described.labels == ("face",)
    (whole / "model.tflite").write_bytes((raw / "model.tflite").read_bytes())
    assert any("changed since" in problem for problem in verify_bundle(whole))


def test_post_processing_of_other_tasks_is_refused(tmp_path: Path) -> None:
    text = (
        "name: x\ndata: {name: fashion_mnist}\nspace: {name: tiny_edge}\ndevice: {name: edgetpu-sim}\n"
        f"budget: {{latency_ms: 1}}\noutput: {tmp_path}\nexport: {{post_processing: operator}}\n"
    )
    with pytest.raises(InputError, match=r"export.post_processing is for tasks whose outputs are decoded"):
        run(Recipe.parse(text), quiet=True)


def test_the_recipe_for_faces_has_one_class_and_an_energy_budget() -> None:
    recipe = Recipe.load(Path(__file__).parents[3] / "edgenas" / "recipes" / "face_detection.yaml")
    task = load_task(recipe)
    data = load_data(recipe, task)
    space = load_space(recipe, task, data)
    network = space.decode(space.sample(np.random.default_rng(0), 1)[0])
    task.check(data, network)
    assert task.labels(data) == ("face",)
    assert set(recipe.limits) == {"energy_mj"}
    assert len(data.facts["groups"]) == 3


def test_boxes_are_drawn_where_they_are() -> None:
    picture = np.zeros((10, 20, 1), np.uint8)
    drawn = with_boxes(picture, np.array([[0.2, 0.25, 0.8, 0.75]]), [(255, 0, 0)])
    times = drawn.shape[0] // 10
    rows, columns = (np.flatnonzero((drawn[..., 0] > 0).any(axis=axis)) for axis in (1, 0))
    assert (rows[0], columns[0]) == (2 * times, 5 * times)
    assert (rows[-1], columns[-1]) == (8 * times - 1, 15 * times - 1)
    assert with_boxes(picture, np.zeros((0, 4)), []).max() == 0
