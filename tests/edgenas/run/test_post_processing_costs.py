"""The operator behind a detector: a row of the device's table, part of every prediction, budget and size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgenas.devices import Measurement, Provenance, register_device
from edgenas.devices.kinds.computed import ComputedDevice
from edgenas.export.tflite.post_processing import OPERATOR
from edgenas.export.tflite.reader import read_operators
from edgenas.latency.table.latency_table import LatencyTable, default_table_path
from edgenas.recipe.recipe import Recipe
from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import run
from edgenas.spaces.errors import InputError
from edgenas.study.study import Study
from edgenas.study.workers import Candidate, Evaluator

SPACE = """\
name: small_detectors
task: detection
input_shape: [32, 32, 3]
classes: 1
nodes:
  - {name: stem, block: conv, filters: [12, 16], stride: 2, inputs: image}
  - {name: fine, block: conv, filters: [16, 24], stride: 2}
  - {name: boxes, block: box_head, anchors: 2, inputs: [fine]}
  - {name: classes, block: class_head, anchors: 2, inputs: [fine]}
outputs: [boxes, classes]
"""
TAIL = "detection_post_process()@128x4+128x1/int8"
#: What an operator takes on the stand-in, and the one that makes boxes.
EACH_MS, TAIL_MS = 0.01, 0.5


@register_device("counts_operators")
class CountsOperators(ComputedDevice):
    """A stand-in whose latency is that of its operators; with ``refuses`` it does not run the one that makes boxes."""

    def identity(self, *, threads: int = 1) -> Provenance:
        return Provenance("modelled", self.name, "counting", "1")

    def compute(self, model: bytes, *, in_network: bool) -> Measurement:
        names = [operator.name for operator in read_operators(model)]
        if OPERATOR in names and self.spec.options.get("refuses"):
            raise InputError(f"{OPERATOR} is not known here")
        return Measurement((sum(TAIL_MS if name == OPERATOR else EACH_MS for name in names),), self.identity())


class Equal:
    """All candidates are alike."""

    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        return 0.5


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    (home / "devices").mkdir(parents=True)
    for name, refuses in (("board", "false"), ("other", "true")):
        (home / "devices" / f"{name}.yaml").write_text(
            f"name: {name}\nkind: counts_operators\noptions: {{refuses: {refuses}}}\n"
        )
    monkeypatch.setenv("EDGENAS_HOME", str(home))
    (tmp_path / "space.yaml").write_text(SPACE)
    return tmp_path


def recipe(path: Path, where: str, device: str = "board", budget: str = "{latency_ms: 2, size_bytes: 90000}") -> Recipe:
    text = (
        f"name: r\ntask: detection\ndata: {{name: generated_faces, image_size: [32, 32]}}\n"
        f"space: {{path: {path / 'space.yaml'}}}\ndevice: {{name: {device}}}\nbudget: {budget}\n"
        f"search: {{trials: 2, algorithm: random}}\nexport: {{post_processing: {where}}}\n"
    )
    return Recipe.parse(text)


def searched(path: Path, given: Recipe, name: str) -> RunFolder:
    run(given, output=path / name, ship=False, quiet=True, evaluator=Equal())
    return RunFolder(path / name)


def predicted(folder: RunFolder) -> dict[str, dict[str, float]]:
    return {trial.architecture: dict(trial.predicted) for trial in Study.open(folder.study_path).trials}


def test_predictions_hold_it_where_the_file_does(path: Path) -> None:
    plain = searched(path, recipe(path, "none"), "plain")
    whole = searched(path, recipe(path, "operator"), "whole")
    without, found = predicted(plain), predicted(whole)
    assert TAIL in LatencyTable.load(default_table_path("board", "int8")).rows
    assert TAIL not in LatencyTable.load(plain.path / "table.csv").rows
    # Two inputs are dequantized, and a sigmoid comes before the operator.
    for architecture in set(found) & set(without):
        more = found[architecture]["latency_ms"] - without[architecture]["latency_ms"]
        assert more == pytest.approx(TAIL_MS + 3 * EACH_MS, rel=0.01)
        assert found[architecture]["size_bytes"] - without[architecture]["size_bytes"] > 16 * 128
    assert set(found) & set(without)


def test_a_budget_below_it_is_refused_before_anything_is_trained(path: Path) -> None:
    assert searched(path, recipe(path, "none", budget="{latency_ms: 0.4}"), "fits")
    with pytest.raises(InputError, match=r"budget.latency_ms: 0.4 ms cannot be reached on 'board'"):
        searched(path, recipe(path, "operator", budget="{latency_ms: 0.4}"), "not")


def test_a_device_that_does_not_run_it_alone_is_told(path: Path) -> None:
    folder = searched(path, recipe(path, "operator", "other"), "refused")
    log = [json.loads(line) for line in (folder.path / "log.jsonl").read_text().splitlines()]
    (told,) = (event for event in log if event["event"] == "post_processing")
    assert told["device"] == "other"
    assert told["predicted_ms"] is None
    assert all(costs["latency_ms"] < TAIL_MS for costs in predicted(folder).values())
