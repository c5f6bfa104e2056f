"""A task and a block of a user's own, with two inputs, two outputs, its own metric and data, from recipe to report.

Everything that the run must know of them stands in PLUGIN, one Python file that the recipe names.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgenas.recipe.recipe import Recipe
from edgenas.run.pipeline import run
from edgenas.spaces.errors import InputError

PLUGIN = '''
"""Pairs of vectors: which of them has the larger sum, and by how much."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgenas.data.examples import ArrayExamples
from edgenas.data.task_data import ExampleSet
from edgenas.export._tensorflow import tensorflow
from edgenas.spaces.block import Block, register_block
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder
from edgenas.spaces.ops import Activation, Dense
from edgenas.tasks import Task, register_task


@register_block("toy_dense")
@dataclass(frozen=True)
class ToyDense(Block):
    units: int
    relu: bool = False

    def lower(self, *inputs):
        builder = GraphBuilder(*inputs)
        out = builder.add("dense", Dense(self.units), builder.inputs[0])
        return builder.build(builder.add("act", Activation("relu"), out) if self.relu else out)


@dataclass(frozen=True)
class Scaling:
    factor: float

    def to_dict(self):
        return {"factor": self.factor}


@register_task("toy_pairs")
@dataclass(frozen=True)
class ToyPairs(Task):
    weight: float = 1.0
    metric: ClassVar[str] = "closeness"

    def load(self, request):
        try:
            with np.load(request.spec) as file:
                left, right = file["left"], file["right"]
        except (OSError, KeyError, ValueError) as error:
            raise InputError(f"{request.spec}: no pairs ({error})") from None
        amount = (left.sum(1) - right.sum(1))[:, None].astype(np.float32)
        targets = {"sign": (amount[:, 0] > 0).astype(np.int64), "amount": amount}
        whole = ArrayExamples({"left": left, "right": right}, targets)
        rows = np.arange(len(whole))
        return ExampleSet("pairs", whole.take(rows[:-100]), whole.take(rows[-100:]), "CC0", request.spec)

    def outputs(self, data):
        return {"sign": (2,), "amount": (1,)}

    def fit(self, examples):
        return Scaling(round(float(1 / np.std(examples.inputs["left"])), 6))

    def read_preprocessing(self, data):
        return Scaling(float(data["factor"]))

    def prepare(self, inputs, preprocessing):
        return {name: (values * preprocessing.factor).astype(np.float32) for name, values in inputs.items()}

    def loss(self, targets, outputs, *, label_smoothing=0.0):
        tf = tensorflow()
        sign = tf.nn.sparse_softmax_cross_entropy_with_logits(targets["sign"], outputs["sign"])
        return tf.reduce_mean(sign) + self.weight * tf.reduce_mean(tf.square(outputs["amount"] - targets["amount"]))

    def metrics(self, targets, outputs):
        if not len(targets["sign"]):
            raise InputError("no pairs")
        error = np.mean(np.square(outputs["amount"] - targets["amount"]))
        right = np.mean(outputs["sign"].argmax(1) == targets["sign"])
        return {"closeness": float(1 / (1 + error)), "sign_accuracy": float(right)}
'''

SPACE = """\
name: toy
task: toy_pairs
inputs: {left: [4], right: [3]}
nodes:
  - {name: first, block: toy_dense, units: [8, 16], relu: true, inputs: left}
  - {name: second, block: toy_dense, units: [8, 16], relu: true, inputs: right}
  - {name: both, block: concat, inputs: [first, second]}
  - {name: sign, block: toy_dense, units: 2}
  - {name: amount, block: toy_dense, units: 1, inputs: both}
outputs: [sign, amount]
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe of the toy task with a made-up table of this machine, so that nothing is measured to predict."""
    monkeypatch.setenv("EDGENAS_HOME", str(tmp_path / "home"))
    (tmp_path / "toy.py").write_text(PLUGIN)
    (tmp_path / "space.yaml").write_text(SPACE)
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "pairs.npz", left=rng.normal(size=(700, 4)), right=rng.normal(size=(700, 3)))
    (tmp_path / "recipe.yaml").write_text(
        "name: toy\nseed: 3\n"
        f"output: {tmp_path / 'runs'}\n"
        "plugins: [toy.py]\n"
        "task_options: {weight: 0.5}\n"
        "data: {path: pairs.npz}\n"
        "space: {path: space.yaml}\n"
        f"device: {{name: local-cpu, table: {tmp_path / 'table.csv'}}}\n"
        "budget: {latency_ms: 5}\n"
        "search: {trials: 2, training: {epochs: 2, batch_size: 32}}\n"
        "training: {epochs: 6, batch_size: 32, learning_rate: 0.02}\n"
        "export: {calibration_images: 50, accuracy_drop: 0.2}\n"
    )
    loaded = Recipe.load(tmp_path / "recipe.yaml")
    _write_table(tmp_path)
    return loaded


def _write_table(folder: Path) -> None:
    from edgenas.devices import get_device
    from edgenas.latency.table.latency_table import LatencyTable, Row
    from edgenas.spaces.space.search_space import SearchSpace

    identity = get_device("local-cpu").identity()
    space = SearchSpace.load(folder / "space.yaml")
    LatencyTable(
        device=identity.device,
        precision="int8",
        runtime=identity.runtime,
        runtime_version=identity.runtime_version,
        threads=1,
        protocol="made up for a test",
        anchor_ms=1.0,
        created="2000-01-01T00:00:00Z",
        rows={name: Row(1e-3) for name in space.signatures("int8")},
        cpu_model=identity.cpu_model,
    ).save(folder / "table.csv")


@pytest.mark.slow
def test_from_recipe_to_report_by_plugin_alone(recipe: Recipe, tmp_path: Path) -> None:
    from edgenas.export.bundle.bundle import read_metrics, verify_bundle

    searched = run(recipe, ship=False, quiet=True)
    assert searched.best is not None
    assert set(searched.best.metrics) == {"closeness", "sign_accuracy"}
    resumed = run(Recipe.load(tmp_path / "recipe.yaml"), quiet=True, resume=True)
    assert resumed.trials == 2
    best = resumed.to_json()["best"]
    trial = json.loads((resumed.run / "trials" / str(best["trial"]) / "trial.json").read_text())
    assert (best["metric"], best["metrics"]) == ("closeness", trial["metrics"])
    assert "top1" not in best

    bundle = resumed.run / "bundle"
    assert verify_bundle(bundle) == []
    metrics = read_metrics(bundle)
    assert (metrics["task"], metrics["metric"], metrics["test_examples"]) == ("toy_pairs", "closeness", 100)
    assert (metrics["inputs"], metrics["outputs"]) == ({"left": [4], "right": [3]}, {"sign": [2], "amount": [1]})
    assert metrics["metrics"]["float"]["sign_accuracy"] > 0.8
    assert abs(metrics["metrics"]["tflite"]["sign_accuracy"] - metrics["metrics"]["float"]["sign_accuracy"]) < 0.15
    assert "top1" not in metrics
    assert "closeness" in (bundle / "README.md").read_text()
    assert "closeness" in (resumed.run / "report.html").read_text()
    rows = (resumed.run / "pareto.csv").read_text().splitlines()
    assert rows[0].endswith("metric,score")
    assert ",closeness," in rows[1]

    checked = subprocess.run([sys.executable, bundle / "run.py", "--verify"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    np.savez(tmp_path / "one.npz", left=np.ones(4, np.float32), right=np.zeros(3, np.float32))
    command = [sys.executable, bundle / "run.py", "--input", tmp_path / "one.npz", "--json"]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert (np.shape(answer["sign"]), np.shape(answer["amount"])) == ((1, 2), (1, 1))


def test_a_task_that_nobody_knows_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    from edgenas.spaces.space.search_space import SearchSpace

    text = (tmp_path / "recipe.yaml").read_text()
    (tmp_path / "other.yaml").write_text(text + "task: no_such_task\n")
    with pytest.raises(InputError, match=r"other\.yaml.*unknown task 'no_such_task': expected one of .*classification"):
        Recipe.load(tmp_path / "other.yaml")
    (tmp_path / "wrong.yaml").write_text(SPACE.replace("toy_pairs", "no_such_task"))
    with pytest.raises(InputError, match=r"wrong\.yaml.*unknown task 'no_such_task'"):
        SearchSpace.load(tmp_path / "wrong.yaml")
    (tmp_path / "other.yaml").write_text(text.replace("weight:", "height:") + "task: toy_pairs\n")
    with pytest.raises(InputError, match="task 'toy_pairs' has no option 'height'; expected one of weight"):
        Recipe.load(tmp_path / "other.yaml")


def test_a_plugin_that_fails_is_named_with_its_line(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("x = 1\nraise RuntimeError('not today')\n")
    text = (tmp_path / "recipe.yaml").read_text()
    (tmp_path / "other.yaml").write_text(text.replace("toy.py", "broken.py"))
    with pytest.raises(InputError, match=r"broken\.py:2: RuntimeError: not today"):
        Recipe.load(tmp_path / "other.yaml")
    (tmp_path / "other.yaml").write_text(text.replace("toy.py", "missing.py"))
    with pytest.raises(InputError, match=r"missing\.py: cannot be read as a plug-in"):
        Recipe.load(tmp_path / "other.yaml")
