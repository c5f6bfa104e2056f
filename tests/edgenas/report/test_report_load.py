"""Reports of run folders in every stage: only searched, shipped, damaged. Costs here are made up."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgenas.export.bundle.bundle import BundleContents, DataCard, write_bundle
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.bundle.words import classifier_words
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.recipe.recipe import Recipe
from edgenas.report import build_report
from edgenas.report.load import load_report_data
from edgenas.report.page import render_page
from edgenas.run.folder import RunFolder
from edgenas.spaces import InputError
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.study.evaluation import load_data, load_space, load_task
from edgenas.study.study import Study, StudyDamagedError

RECIPE = """
name: made-up
data: {name: fashion_mnist}
space: {name: tiny_edge}
device: {name: local-cpu}
budget: {latency_ms: 0.2}
search: {trials: 6}
"""
LIMIT_MS = 0.13


def made_up_table(space: SearchSpace) -> LatencyTable:
    rows = {name: Row(0.001 + entry.graph.macs / 4e7, 0.01, 8, 9) for name, entry in space.signatures("int8").items()}
    calibration = Calibration(1.0, 0.0005, 12, 0.02, 0.06, 1.2, 1.5)
    return LatencyTable("local-cpu", "int8", "test", "0", 1, "made up", 0.01, "2026-01-01", rows, calibration)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose search is done: six trials, one of which failed."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "made-up")
    recipe = Recipe.parse(RECIPE)
    folder.prepare(recipe, resume=False)
    task = load_task(recipe)
    space = load_space(recipe, task, load_data(recipe, task))
    table = made_up_table(space)
    table.save(folder.table_path)
    facts = {"device": "local-cpu", "precision": "int8", "limits": {"latency_ms": LIMIT_MS}}
    study = Study.create(folder.study_path, facts)
    population = space.sample(np.random.default_rng(0), 6)
    latencies = Predictor(table).population(space, population)
    for number, (row, latency_ms) in enumerate(zip(population, latencies, strict=True)):
        architecture = space.architecture(row)
        predicted = {"latency_ms": float(latency_ms)}
        study.start(str(architecture), architecture.choices, space.decisions, seed=number, predicted=predicted)
        if number == 2:
            study.fail(number, error="ran out of <memory>", seconds=1.0)
        else:
            study.complete(
                number, metric="top1", metrics={"top1": 0.7 + number / 50}, reward=0.6 + number / 50, seconds=2.0
            )
    study.close()
    folder.record("search", {"done": True, "best": 5, "seconds": 12.0})
    return folder.path


@pytest.fixture(scope="module")
def shipped(searched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run with trial 5 rejected and trial 4 trained, exported and measured."""
    path = tmp_path_factory.mktemp("shipped") / "made-up"
    shutil.copytree(searched, path)
    folder = RunFolder(path)
    folder.record("choose", {"trial": 4, "rejected": {"5": "median 0.3 ms is over the budget of 0.2 ms"}})
    study = Study.open(folder.study_path)
    study.record_measured(5, {"latency_ms": 0.3, "latency_min_ms": 0.25})
    trial = study.trial(4)
    study.close()
    recipe = folder.read_recipe()
    task = load_task(recipe)
    space = load_space(recipe, task, load_data(recipe, task))
    network = space.decode(space.parse(trial.architecture))
    training = {
        "validation_top1": 0.88,
        "validation_images": 900,
        "history": [
            {"epoch": 1, "step": 80, "loss": 1.0, "learning_rate": 0.1, "seconds": 1.0, "top1": 0.5},
            {"epoch": 2, "step": 160, "loss": 0.5, "learning_rate": 0.1, "seconds": 2.0, "top1": None},
        ],
    }
    (folder.trial_path(4) / "final").mkdir(parents=True)
    (folder.trial_path(4) / "final" / "training.json").write_text(json.dumps(training))
    write_bundle(
        folder.bundle_path,
        BundleContents(
            model=write_tflite(network.graph, "int8"),
            network=network,
            labels=tuple("abcdefghij"),
            preprocessing=Preprocessing((0.3,), (0.3,)),
            quantization="int8",
            words=classifier_words((28, 28, 1), tuple("abcdefghij"), Preprocessing((0.3,), (0.3,)), "a data set"),
            metric="top1",
            metrics_float={"top1": 0.875},
            metrics_tflite={"top1": 0.87},
            test_examples=2000,
            data=DataCard("a data set", "MIT", "made up", 5100),
            space="tiny_edge",
            architecture=trial.architecture,
            latency_ms={"local-cpu": {"min": 0.1, "median": 0.12, "p90": 0.14, "runs": 50}},
            predicted={"local-cpu": {"latency_ms": 0.104}},
            provenance={"local-cpu": {"kind": "measured", "runtime": "test", "threads": 1}},
            budget={"latency_ms": 0.2},
        ),
    )
    return path


def test_a_searched_run_gets_a_report_that_says_what_is_missing(searched: Path) -> None:
    data = load_report_data(searched)
    assert data.best_trial == 5
    assert data.network is not None
    assert data.limit_ms == LIMIT_MS
    assert data.shipped is None
    assert len(data.missing) == 1
    assert "edgenas export" in data.missing[0]
    assert [trial.number for trial in data.failed] == [2]
    best = data.best
    assert best is not None
    assert sum(data.node_latency_ms.values()) + data.fixed_latency_ms == pytest.approx(best.latency_ms)


def test_feasibility_follows_the_limits_of_the_search(searched: Path) -> None:
    data = load_report_data(searched)
    assert {trial.feasible for trial in data.trials} == {True, False}
    for trial in data.trials:
        assert trial.latency_ms is not None
        assert trial.feasible == (trial.latency_ms <= LIMIT_MS)


def test_a_shipped_run_shows_the_trial_that_was_shipped(shipped: Path) -> None:
    data = load_report_data(shipped)
    assert data.missing == ()
    assert data.best_trial == 4
    assert data.shipped is not None
    assert data.shipped.latency_ms["median"] == 0.12
    assert data.compared_statistic == "min"
    assert {(pair.label, pair.measured_ms) for pair in data.pairs} == {("trial 5", 0.25), ("shipped model", 0.1)}
    assert (data.final_validation_score, data.validation_images) == (0.88, 900)
    assert data.training_history == {"training loss": ((1, 1.0), (2, 0.5)), "validation top1": ((1, 0.5),)}
    assert data.dataset == "a data set"
    assert dict(data.measurement_facts)["threads"] == "1"


def test_networks_of_a_validation_are_shown_beside_the_shipped_model(shipped: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(shipped, run)
    assert "edgenas validate" in render_page(load_report_data(run))
    rows = [{"architecture": str(i), "predicted_ms": 0.1, "measured_ms": 0.1 + i / 1000} for i in range(20)]
    (run / "validation.json").write_text(json.dumps({"networks": 20, "rows": rows}))
    data = load_report_data(run)
    assert [pair.role for pair in data.pairs].count("validation") == 20
    assert data.pairs[-1].role == "shipped model"
    page = render_page(data)
    assert "edgenas validate" not in page
    assert "13 of 22 predicted within 10 %" in page


def test_a_rejected_trial_is_not_shown_as_the_best(searched: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(searched, run)
    RunFolder(run).record("choose", {"trial": None, "rejected": {"5": "too slow"}})
    data = load_report_data(run)
    assert data.best_trial == 4
    assert data.rejected == {5: "too slow"}


def test_build_report_writes_both_files_whole(shipped: Path) -> None:
    path = build_report(shipped)
    text = path.read_text(encoding="utf-8")
    assert path == shipped / "report.html"
    assert "over the budget of 0.2 ms" in text
    assert "ran out of &lt;memory&gt;" in text
    assert "<memory>" not in text
    assert (shipped / "pareto.csv").read_text().count("\n") == 7
    assert not [file.name for file in shipped.iterdir() if file.name.startswith(".report")]
    assert build_report(shipped).read_text(encoding="utf-8") == text


def test_a_run_that_has_only_a_recipe(tmp_path: Path) -> None:
    RunFolder(tmp_path).prepare(Recipe.parse(RECIPE), resume=False)
    assert "The search has not begun" in build_report(tmp_path).read_text(encoding="utf-8")


def test_no_run_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run"):
        build_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_study_leaves_the_report_as_it_is(shipped: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(shipped, run)
    before = build_report(run).read_bytes()
    (run / "study.db").write_text("not a database")
    with pytest.raises(StudyDamagedError, match="the study is damaged"):
        build_report(run)
    assert (run / "report.html").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("recipe.yaml", "nonsense: ["),
        ("state.json", "{"),
        ("table.csv", "signature,ms\n"),
        ("validation.json", '{"rows": [1]}'),
        ("bundle/metrics.json", "[]"),
        ("bundle/metrics.json", "{}"),
        ("bundle/metrics.json", '{"top1": 3, "quantization": "int8"}'),
        ("bundle/architecture.yaml", "nodes: 3"),
        ("trials/4/final/training.json", '{"history": 1}'),
        ("trials/4/final/training.json", '{"history": [{"epoch": 1, "loss": "x"}]}'),
    ],
)
def test_a_damaged_file_costs_a_part_of_the_report_not_the_report(
    shipped: Path, tmp_path: Path, name: str, content: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(shipped, run)
    (run / name).write_text(content)
    data = load_report_data(run)
    assert any(name in sentence for sentence in data.missing), data.missing
    assert name in render_page(data)
