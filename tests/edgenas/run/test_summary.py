"""Lists of runs and runs beside each other, from run folders that a formula has searched."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgenas.cli import main
from edgenas.compare.runs import compare_runs
from edgenas.recipe.recipe import Recipe
from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import run
from edgenas.run.records import ExportRecord
from edgenas.run.summary import find_runs, is_worked_on, summarise
from edgenas.spaces.errors import InputError
from edgenas.study.scheduler import InProcess
from tests.edgenas.run.test_pipeline_ship import ByNumber

Make = Callable[..., Recipe]


@pytest.fixture(autouse=True)
def same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgenas.run.search.WorkerPool", InProcess)


@pytest.fixture
def runs(make_recipe: Make, table_path: Path, tmp_path: Path) -> Path:
    """Two searched runs, which differ in trials and budget, and a damaged one."""
    for name, trials, latency_ms in (("first", 4, 0.05), ("second", 6, 0.04)):
        recipe = make_recipe(f"search: {{trials: {trials}}}\n", table=table_path, latency_ms=latency_ms)
        run(recipe.model_copy(update={"name": name}), quiet=True, ship=False, evaluator=ByNumber())
    folder = tmp_path / "runs"
    (folder / "damaged").mkdir()
    (folder / "damaged" / "state.json").write_text("{")
    (folder / "no-run").mkdir()
    return folder


def edgenas(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["edgenas", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    captured = capsys.readouterr()
    return int(end.value.code or 0), captured.out, captured.err


def test_runs_are_listed_and_a_damaged_one_with_its_reason(runs: Path, monkeypatch, capsys) -> None:
    code, out, _ = edgenas(monkeypatch, capsys, "runs", runs, "--json")
    assert code == 0
    damaged, first, second = json.loads(out)
    assert (damaged["state"], damaged["name"]) == ("damaged", "damaged")
    assert "recipe.yaml" in damaged["problem"]
    assert first["state"] == "searched"
    assert first["trials"] == {"wanted": 4, "there": 4, "complete": 4}
    assert first["best"] == {"trial": 0, "metric": "top1", "score": 0.9}
    assert first["shipped"] is None
    assert first["budget"] == {"latency_ms": 0.05}
    assert second["last_utc"] >= second["began_utc"] > "2020"
    code, out, err = edgenas(monkeypatch, capsys, "runs", runs)
    assert code == 0
    assert "4/4" in out
    assert "6/6" in out
    assert "damaged" in out
    assert err.count("\n") == 1
    code, _, err = edgenas(monkeypatch, capsys, "runs", runs / "nothing")
    assert code == 2
    assert "no such folder" in err
    code, _, err = edgenas(monkeypatch, capsys, "runs", runs / "first" / "recipe.yaml")
    assert code == 2
    assert "recipe.yaml: a file; name the folder" in err


def test_what_a_run_ships_is_told_with_how_it_is_known(runs: Path) -> None:
    folder = RunFolder(runs / "first")
    measured = {"latency_ms": 0.03, "size_bytes": 1000.0}
    metrics = {"float": {"top1": 0.8}, "tflite": {"top1": 0.79}}
    record = ExportRecord(
        done=True, trial=0, metric="top1", metrics=metrics, latency_kind="measured", measured=measured
    )
    folder.write(record)
    folder.bundle_path.mkdir()
    (folder.bundle_path / "metrics.json").write_text(
        '{"quantization": "int8", "predicted": {"local-cpu": {"latency_ms": 0.02}}}'
    )
    facts = summarise(folder.path).to_json()
    assert facts["state"] == "shipped"
    assert facts["shipped"]["latency_kind"] == "measured"
    shipped = compare_runs([runs / "first", runs / "second"])["runs"][0]["shipped"]
    assert shipped["score_tflite"] == 0.79
    assert shipped["predicted_ms"] == 0.02


def test_a_run_that_a_process_works_on_says_so(runs: Path) -> None:
    assert not is_worked_on(runs / "first")
    with RunFolder(runs / "first"):
        if sys.platform == "linux":
            assert summarise(runs / "first").state == "working"
    assert summarise(runs / "first").state == "searched"


def test_runs_are_found_in_folders_of_folders(runs: Path) -> None:
    assert [path.name for path in find_runs(runs.parent)] == ["damaged", "first", "second"]
    assert find_runs(runs / "first") == [runs / "first"]


def test_runs_beside_each_other(runs: Path, monkeypatch, capsys) -> None:
    code, out, _ = edgenas(monkeypatch, capsys, "compare", runs / "first", runs / "second", "--json")
    assert code == 0
    data = json.loads(out)
    assert data["same"] == {"data": True, "space": True, "metric": True, "device": True}
    assert {"key": "search.trials", "values": [4, 6]} in data["differences"]
    assert {"key": "budget.latency_ms", "values": [0.05, 0.04]} in data["differences"]
    for run_ in data["runs"]:
        points = [(point["latency_ms"], point["score"]) for point in run_["front"]]
        assert points == sorted(points)
        assert [score for _, score in points] == sorted(score for _, score in points)
        assert {point["provenance"] for point in run_["front"]} == {"predicted"}
    code, out, _ = edgenas(monkeypatch, capsys, "compare", runs / "first", runs / "second")
    assert code == 0
    assert "where the recipes differ" in out
    assert "fronts of the searches" in out


def test_what_cannot_be_compared_is_refused(runs: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(b"no model")
    for words, expected in (
        ((runs / "first",), "nothing to compare it with"),
        ((runs / "first", runs / "fisrt"), "fisrt: no such file or folder"),
        ((runs / "first", model), "give two .tflite files, or folders of runs alone"),
        ((runs / "first", runs / "no-run"), "no run"),
        ((runs / "first", runs / "second", "--device", "local-cpu"), "are for models"),
    ):
        code, _, err = edgenas(monkeypatch, capsys, "compare", *words)
        assert code == 2
        assert expected in err
    with pytest.raises(InputError, match="no run"):
        compare_runs([tmp_path])
