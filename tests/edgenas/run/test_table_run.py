"""Rows of a table from a CSV file to a bundle that takes raw numbers, and one for what computes on integers alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgenas.data.tabular.generated import generated_table
from edgenas.export.bundle.bundle import read_metrics, verify_bundle
from edgenas.export.tflite.reader import read_operators
from edgenas.recipe.recipe import Recipe
from edgenas.run.pipeline import run
from tests.edgenas.data.csv_text import rows_of

SPACE = """\
name: small_mlp
task: {task}
input_shape: [8]
classes: 2
stem: {{block: dense, filters: [16, 32]}}
stages:
  - filters: [16, 24]
    depth: 1
    layers: [{{blocks: [{{block: dense}}]}}]
head: [{{block: dense_head}}]
"""
RECIPE = """\
name: small
task: {task}
data: {{path: {data}}}
task_options: {{target: {target}}}
space: {{{space}}}
device: {{name: {device}}}
budget: {{latency_ms: 5}}
search: {{trials: 2, finalists: 1, training: {{epochs: 2, batch_size: 32}}}}
training: {{epochs: 12, batch_size: 32, learning_rate: 0.01, ema_decay: 0.9}}
export: {{calibration_images: 100, accuracy_drop: 0.2}}
output: {output}
"""


def begun(folder: Path, task: str, device: str, space: str) -> tuple[Path, str]:
    """(bundle, the report of a run) on 200 rows."""
    table, target = generated_table(200, is_regression=task == "regression")
    (folder / "rows.csv").write_text(rows_of(table))
    (folder / "space.yaml").write_text(SPACE.format(task=task))
    text = RECIPE.format(
        task=task,
        data=folder / "rows.csv",
        target=target,
        space=space.format(folder / "space.yaml"),
        device=device,
        output=folder / "runs",
    )
    (folder / "recipe.yaml").write_text(text)
    found = run(Recipe.load(folder / "recipe.yaml"), quiet=True)
    assert run(Recipe.load(folder / "recipe.yaml"), quiet=True, resume=True).run == found.run
    return found.run / "bundle", (found.run / "report.html").read_text()


def answered(bundle: Path, rows: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, bundle / "run.py", rows, *options]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGENAS_HOME", str(tmp_path / "home"))


def test_a_regression_takes_raw_numbers_and_answers_in_its_unit(tmp_path: Path) -> None:
    bundle, report = begun(tmp_path, "regression", "local-cpu", "architecture: '{}:11'")
    assert verify_bundle(bundle) == []
    metrics = read_metrics(bundle)
    assert (metrics["metric"], metrics["inputs"]) == ("r2", {"features": [7]})
    tflite = metrics["metrics"]["tflite"]
    assert tflite["rmse"] > 1 > tflite["r2"] > 0.2
    assert set(metrics["baselines"]) == {"mean", "linear regression"}
    assert metrics["baselines"]["mean"]["rmse"] > tflite["rmse"]
    names = [operator.name for operator in read_operators((bundle / "model.tflite").read_bytes())]
    assert (names[0], names[-3:]) == ("SLICE", ["DEQUANTIZE", "MUL", "ADD"])
    assert "Residuals" in report
    assert "run.py ROWS.csv" in report
    assert "linear regression" in report
    assert "RMSE (less is better)" in (bundle / "README.md").read_text()
    checked = subprocess.run([sys.executable, bundle / "run.py", "--verify"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    _answers(bundle, tmp_path)


def _answers(bundle: Path, folder: Path) -> None:
    done = answered(bundle, folder / "rows.csv", "--json")
    found = np.array([row["income"] for row in json.loads(done.stdout)])
    table, _ = generated_table(200, is_regression=True)
    true = np.array([float(text) for text in table.column("income")])
    assert np.sqrt(np.mean((found - true) ** 2)) < true.std()
    header, first, *_ = rows_of(table).splitlines()
    (folder / "wrong.csv").write_text(f"{header}\n{first}\n20,many{',1' * (len(table.names) - 2)}\n")
    (folder / "none.csv").write_text("age,job\n1,x\n")
    faults = {
        "wrong.csv": "line 3, column 'schooling_years': 'many' is no number",
        "none.csv": "expected one column",
    }
    for name, words in faults.items():
        wrong = answered(bundle, folder / name)
        told = [line for line in wrong.stderr.splitlines() if not line.startswith("INFO")]
        assert (wrong.returncode, len(told)) == (2, 1)
        assert words in told[0]


def test_a_search_for_a_microcontroller_leaves_the_ends_outside(tmp_path: Path) -> None:
    bundle, report = begun(tmp_path, "tabular_classification", "cortex-m7", "path: '{}'")
    assert verify_bundle(bundle) == []
    metrics = read_metrics(bundle)
    assert (metrics["metric"], metrics["inputs"]) == ("top1", {"features": [21]})
    assert metrics["metrics"]["tflite"]["log_loss"] > 0
    assert {operator.name for operator in read_operators((bundle / "model.tflite").read_bytes())} == {"FULLY_CONNECTED"}
    assert "Which class is taken for which" in report
    assert "test rows" in report
    assert "test images" not in report
    row, *_ = json.loads(answered(bundle, tmp_path / "rows.csv", "--json").stdout)
    assert row["label"] in ("yes", "no")
    assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-4)
