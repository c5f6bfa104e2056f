"""From a finished search to a bundle: which trial is shipped, what is in the bundle, and what stops it."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgenas.devices.device import Device
from edgenas.devices.measurement import Measurement, Provenance
from edgenas.recipe.recipe import Recipe
from edgenas.run.log import read_log
from edgenas.run.pipeline import export_trial, run
from edgenas.run.records import ChooseRecord
from edgenas.run.result import RunResult
from edgenas.spaces.errors import InputError, WorkError
from edgenas.study.study import Study
from edgenas.study.workers import Candidate, Evaluator

Make = Callable[..., Recipe]

SHORT = """
search: {trials: 2, training: {epochs: 1, batch_size: 32}}
training: {epochs: 2, batch_size: 32, learning_rate: 0.01}
export: {calibration_images: 50}
"""


def few_images(folder: Path) -> Path:
    """300 training and 200 test images of the bundled data set."""
    from edgenas.data import load_dataset

    data = load_dataset("fashion_mnist")
    train, test = data.train.subset(300, seed=0), data.test.subset(200, seed=0)
    path = folder / "few.npz"
    np.savez(path, x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)
    return path


def with_few_images(recipe: Recipe, folder: Path) -> Recipe:
    data = recipe.data.model_copy(update={"name": None, "path": str(few_images(folder))})
    return recipe.model_copy(update={"data": data})


class ByNumber:
    """Candidates get worse with their number."""

    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        return 0.9 - candidate.number / 100


def measured(latency_ms: float) -> Measurement:
    return Measurement((latency_ms,), Provenance("measured", "local-cpu", "test", "0"))


def test_the_whole_job(make_recipe: Make, table_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgenas.compare.quantizations import compare_quantizations
    from edgenas.export.bundle.bundle import verify_bundle
    from edgenas.export.tflite.metadata import read_metadata
    from edgenas.report import build_report

    recipe = with_few_images(make_recipe(SHORT, table=table_path, latency_ms=5.0), tmp_path)
    result = run(recipe, quiet=True)
    bundle = result.run / "bundle"
    assert verify_bundle(bundle) == []
    metrics = json.loads((bundle / "metrics.json").read_text())
    assert metrics["top1"]["test_images"] == 200
    assert abs(metrics["top1"]["float"] - metrics["top1"]["tflite"]) <= 0.1
    assert metrics["budget"] == {"latency_ms": 5.0}
    assert 0 < metrics["latency_ms"]["local-cpu"]["median"] <= 5.0
    assert metrics["predicted"]["local-cpu"]["latency_ms"] > 0
    assert metrics["provenance"]["local-cpu"]["kind"] == "measured"
    assert result.best is not None
    assert metrics["architecture"] == result.best.architecture
    assert result.shipped["top1_tflite"] == metrics["top1"]["tflite"]
    assert (result.run / "report.html").stat().st_size > 1000
    with (result.run / "pareto.csv").open() as file:
        assert len(list(csv.DictReader(file))) >= 1
    assert (result.run / "trials" / str(result.best.number) / "final" / "training.json").is_file()

    mistakes = json.loads(
        (result.run / "trials" / str(result.best.number) / "final" / "mistakes-int8.json").read_text()
    )
    right = sum(count for true, predicted, count in mistakes["confusion"] if true == predicted)
    assert right / 200 == metrics["top1"]["tflite"]
    assert mistakes["model_sha256"] == metrics["checksums"]["model.tflite"]
    assert mistakes["wrong"][0]["picture"].startswith("data:image/png;base64,")
    assert "Which class is taken for which" in (result.run / "report.html").read_text()

    quiet = metrics["latency_ms"]["local-cpu"]["quiet"]
    assert quiet["quiet_ms"] > 0  # at the clock of the table, which this test made up
    assert 0 < quiet["fastest_ms"] <= metrics["latency_ms"]["local-cpu"]["median"] * 2
    assert metrics["float_equality"]["same_top1"] == 1.0
    metadata = read_metadata((bundle / "model.tflite").read_bytes())
    assert metadata is not None
    assert list(metadata.labels) == (bundle / "labels.txt").read_text().splitlines()
    assert metadata.mean == pytest.approx([255 * value for value in metrics["preprocessing"]["mean"]])

    compared = compare_quantizations(result.run, names=("float32", "int8"))
    assert [row["quantization"] for row in compared["rows"]] == ["float32", "int8"]
    assert compared["rows"][0]["difference"] == 0
    assert compared["rows"][1]["top1"] == metrics["top1"]["tflite"]
    assert compared["rows"][1]["size_bytes"] == metrics["size_bytes"]
    assert all(row["latency"]["quiet_ms"] > 0 for row in compared["rows"])
    assert compared["rows"][1]["worst_layer"]["sqnr_db"] < 60
    build_report(result.run)
    assert "One network, every quantization" in (result.run / "report.html").read_text()
    with pytest.raises(InputError, match="has no final training"):
        compare_quantizations(result.run, 1 - result.best.number)

    before = {path: path.stat().st_mtime_ns for path in bundle.iterdir()}
    events = len(read_log(result.run / "log.jsonl"))
    again = run(recipe, resume=True, quiet=True)
    assert again.to_json()["best"] == result.to_json()["best"]
    assert {path: path.stat().st_mtime_ns for path in bundle.iterdir()} == before
    new = [event["event"] for event in read_log(result.run / "log.jsonl")[events:]]
    assert "trained" not in new
    assert "trial_started" not in new
    assert "exported" not in new
    _deleted_under_the_run(recipe, bundle, monkeypatch)


def _deleted_under_the_run(recipe: Recipe, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle that is gone is made again from what is there; one that goes before the report costs the run nothing."""
    from edgenas.run import pipeline

    report, was_there = pipeline.report, list[bool]()

    def without_bundle(context: object) -> None:
        was_there.append((bundle / "model.tflite").is_file())
        shutil.rmtree(bundle)
        report(context)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "report", without_bundle)
    shutil.rmtree(bundle)
    log = bundle.parent / "log.jsonl"
    events = len(read_log(log))
    assert run(recipe, resume=True, quiet=True).best is not None
    assert was_there == [True]
    new = [event["event"] for event in read_log(log)[events:]]
    assert "trained" not in new
    assert "trial_started" not in new
    assert not bundle.exists()
    assert (bundle.parent / "report.html").stat().st_size > 1000


def searched(recipe: Recipe) -> RunResult:
    return run(recipe, ship=False, quiet=True, evaluator=ByNumber())


def test_a_candidate_that_measures_over_the_budget_makes_way_for_the_next(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgenas.run.choose import choose
    from edgenas.run.context import RunContext
    from edgenas.run.folder import RunFolder
    from edgenas.run.progress import Progress

    extra = "search: {trials: 8, algorithm: random}\nobjective: {beta: 0}\n"
    recipe = make_recipe(extra, table=table_path, latency_ms=0.04)
    folder = RunFolder(searched(recipe).run)
    ranking = Study.open(folder.study_path).ranking
    assert [trial.number for trial in ranking] == list(range(8))
    slowdown = 0.041 / ranking[0].predicted["latency_ms"]
    fitting = [trial.number for trial in ranking[1:] if trial.predicted["latency_ms"] * slowdown <= 0.04]
    assert fitting, "the search must hold a faster trial for this test to say anything"
    medians = iter([0.041, 0.01])
    monkeypatch.setattr("edgenas.run.choose.MEASUREMENTS", 1)
    monkeypatch.setattr(Device, "measure", lambda *arguments, **options: measured(next(medians)))
    with folder:
        context = RunContext(recipe, folder, Progress(quiet=True))
        assert choose(context) == fitting[0]
        assert "over the budget" in folder.read(ChooseRecord).rejected[0]
        assert choose(context) == fitting[0], "the choice is remembered"
    assert Study.open(folder.study_path).trial(0).measured["latency_ms"] == pytest.approx(0.041)


def test_nothing_over_the_budget_is_shipped(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe("search: {trials: 3}\n", table=table_path)
    result = searched(recipe)
    monkeypatch.setattr("edgenas.run.choose.PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(Device, "measure", lambda *arguments, **options: measured(1.0))
    with pytest.raises(
        WorkError, match=r"no candidate can be shipped \(trial \d: 1 ms \(measured, median\) is over the budget"
    ):
        run(recipe, resume=True, quiet=True)
    assert not (result.run / "bundle").exists()


def test_a_trial_named_by_the_user_is_not_shipped_over_the_budget_either(
    make_recipe: Make, table_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = with_few_images(make_recipe(SHORT, table=table_path), tmp_path)
    result = searched(recipe)
    monkeypatch.setattr("edgenas.run.choose.PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(Device, "measure", lambda *arguments, **options: measured(1.0))
    with pytest.raises(
        WorkError, match=r"trial 1 is not shipped: the exported file's latency_ms is 1 \(measured\), over"
    ):
        export_trial(result.run, 1)
    assert not (result.run / "bundle").exists()
    assert (result.run / "trials" / "1" / "final" / "model.tflite").is_file()


def test_exporting_needs_a_searched_run(tmp_path: Path, make_recipe: Make, table_path: Path) -> None:
    with pytest.raises(InputError, match=r"no run \(there is no recipe\.yaml"):
        export_trial(tmp_path / "nothing")
    result = searched(make_recipe("search: {trials: 1}\n", table=table_path))
    with pytest.raises(InputError, match="there is no trial 7"):
        export_trial(result.run, 7)


@pytest.mark.slow
def test_the_whole_job_killed_again_and_again(make_recipe: Make, tmp_path: Path) -> None:
    """The command line, with a measured table, killed in every phase: the same architecture as without kills."""
    text = SHORT.replace("trials: 2", "trials: 4, workers: 2")
    recipe = with_few_images(make_recipe(text, latency_ms=5.0), tmp_path)
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    command = [sys.executable, "-m", "edgenas", "run", str(tmp_path / "recipe.yaml"), "--json", "--resume"]
    log = tmp_path / "runs" / "demo" / "log.jsonl"
    for event in ("run_started", "trial_started", "trial_complete", "step_started", "trained"):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        count = _count(log, event)
        deadline = time.monotonic() + 120
        while _count(log, event) == count and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    killed = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    command += ["--output", str(tmp_path / "runs" / "uninterrupted")]
    uninterrupted = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert killed["best"] == uninterrupted["best"]
    finished = [event["trial"] for event in read_log(log) if event["event"] == "trial_complete"]
    assert sorted(finished) == [0, 1, 2, 3]


def _count(log: Path, event: str) -> int:
    return sum(found["event"] == event for found in read_log(log)) if log.is_file() else 0
