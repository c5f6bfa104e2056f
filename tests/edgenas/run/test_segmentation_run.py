"""A segmentation from recipe to report: labels in the file, figures at full resolution, pictures, and run.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgenas.data.segmentation.shapes import CLASSES, generated_shapes
from edgenas.export.bundle.bundle import read_metrics, verify_bundle
from edgenas.export.tflite.reader import read_operators
from edgenas.recipe.recipe import Recipe
from edgenas.run.pipeline import run
from edgenas.spaces.errors import InputError
from edgenas.study.evaluation import load_data, load_space, load_task

SPACE = """\
name: small_segmentation
task: segmentation
input_shape: [24, 32, 3]
classes: 4
nodes:
  - {name: stem, block: conv, filters: [8, 16], stride: 2, inputs: image}
  - {name: deep, block: ibn, filters: 16, expansion: 2, stride: 2}
  - {name: fused, block: bifpn_node, weighted: [false, true], inputs: [stem, deep]}
head: [{block: pixel_classifier}]
"""
RECIPE = """\
name: small
task_options: {dice: 0.5, class_weights: balanced}
data: {path: ./shapes.npz}
space: {architecture: space.yaml:01}
task: segmentation
device: {name: local-cpu}
training: {epochs: 8, batch_size: 16, learning_rate: 0.02, augmentation: {shift: 0}}
export: {calibration_images: 20, accuracy_drop: 0.5, finalize: {resize: 1/2, argmax: chain}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, space and recipe."""
    path = tmp_path_factory.mktemp("seg")
    data = generated_shapes((24, 32), train=64, test=8)
    np.savez(
        path / "shapes.npz",
        x_train=data.train.inputs["image"],
        y_train=data.train.targets,
        x_test=data.test.inputs["image"],
        y_test=data.test.targets,
        class_names=np.array(CLASSES),
    )
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
    assert (metrics["task"], metrics["metric"]) == ("segmentation", "miou")
    assert metrics["outputs"] == {"head_label_map": [24, 32]}
    assert list(metrics["class_iou"]) == list(CLASSES)
    assert np.mean(list(metrics["class_iou"].values())) == pytest.approx(metrics["metrics"]["tflite"]["miou"])
    assert metrics["metrics"]["float"]["pixel_accuracy"] > 0.5
    assert (bundle / "labels.txt").read_text().split() == list(CLASSES)
    names = [operator.name for operator in read_operators((bundle / "model.tflite").read_bytes())]
    assert "ARG_MAX" not in names
    assert names[-5:] == ["REDUCE_MAX", "SUB", "RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "RESHAPE"]
    report = (found.run / "report.html").read_text()
    assert "What it sees" in report
    assert "triangle" in report
    assert report.count("data:image/png;base64") >= 18
    _draws(bundle, folder)


def _draws(bundle: Path, folder: Path) -> None:
    checked = subprocess.run([sys.executable, bundle / "run.py", "--verify"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    Image.new("RGB", (50, 40), (200, 30, 30)).save(folder / "photo.png")
    command = [
        sys.executable,
        bundle / "run.py",
        folder / "photo.png",
        "-o",
        folder / "o.png",
        "--mask",
        folder / "m.png",
    ]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    (drawn,) = json.loads(done.stdout)
    assert sum(entry["share"] for entry in drawn["classes"]) == pytest.approx(1, abs=1e-3)
    assert Image.open(folder / "o.png").size == Image.open(folder / "m.png").size == (50, 40)
    assert Image.open(folder / "m.png").mode == "P"
    (folder / "none.png").write_text("x")
    wrong = subprocess.run([sys.executable, bundle / "run.py", folder / "none.png"], capture_output=True, text=True)
    assert wrong.returncode == 2
    told = [line for line in wrong.stderr.splitlines() if not line.startswith("INFO")]
    assert len(told) == 1
    assert "none.png: not a readable image" in told[0]


def loaded(folder: Path, **changes):
    recipe = Recipe.load(folder / "recipe.yaml")
    recipe = recipe.model_copy(update={"export": type(recipe.export).model_validate(changes)})
    task = load_task(recipe)
    return load_space(recipe, task, load_data(recipe, task))


def test_the_end_of_the_network_follows_the_recipe(folder: Path) -> None:
    space = loaded(folder)
    network = space.decode(space.parse("-"))
    assert network.nodes[-1].block.to_dict() == {
        "block": "label_map",
        **{"height": 24, "width": 32, "at_height": 24, "at_width": 32},
    }
    assert space.learned.decode(space.parse("-")).outputs == ("head_pixel_classifier",)
    quarter = loaded(folder, finalize={"resize": 0.25, "argmax": "chain"})
    block = quarter.decode(quarter.parse("-")).nodes[-1].block
    assert (block.at_height, block.at_width, block.argmax) == (6, 8, "chain")
    plain = loaded(folder, finalize={"argmax": "none"})
    assert plain.decode(plain.parse("-")).graph.output_shapes == ((12, 16, 4),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("export: {finalize: {resize: 1/100}}", "resize must be a share"),
        ("export: {finalize: {resize: big}}", "expected a share such as 1/4"),
        ("export: {finalize: {argmax: best}}", "export.finalize.argmax"),
        ("task_options: {dice: -1}", "dice must be a number"),
    ],
)
def test_wrong_recipes(text: str, words: str) -> None:
    least = "name: x\ntask: segmentation\ndata: {name: generated_shapes}\nspace: {architecture: autoseg_xs}\n"
    with pytest.raises(InputError, match=words):
        Recipe.parse(f"{least}device: {{name: local-cpu}}\n{text}\n")


def test_finalize_is_refused_for_other_tasks() -> None:
    recipe = Recipe.parse(
        "name: x\ndata: {name: fashion_mnist}\nspace: {name: tiny_edge}\ndevice: {name: local-cpu}\n"
        "budget: {latency_ms: 1}\nexport: {finalize: {resize: 1/4}}\n"
    )
    task = load_task(recipe)
    with pytest.raises(InputError, match=r"export\.finalize is for tasks .* not for classification; remove it"):
        load_space(recipe, task, load_data(recipe, task))


def test_the_one_shot_search_knows_all_blocks_of_the_spaces() -> None:
    from edgenas.spaces import SearchSpace
    from edgenas.supernet.places import Places

    for name in ("autoseg", "deeplab_v3_plus_lite"):
        Places(SearchSpace.load(name, input_shape=(32, 32, 3), classes=4))
