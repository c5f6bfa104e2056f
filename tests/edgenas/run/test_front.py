"""The front of a run exported, and its network in another quantization: bundles beside the run's own."""

import dataclasses
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgenas.devices.device import Device
from edgenas.export.bundle.bundle import verify_bundle
from edgenas.latency.table.latency_table import LatencyTable, default_table_path
from edgenas.recipe.recipe import Recipe
from edgenas.report.front_page import front_page
from edgenas.run.folder import RunFolder
from edgenas.run.front import export_front, front_trials
from edgenas.run.log import read_log
from edgenas.run.opening import open_searched
from edgenas.run.pipeline import export_trial, run
from edgenas.run.records import ExportRecord
from edgenas.spaces import SearchSpace
from edgenas.spaces.errors import InputError
from edgenas.study.scheduler import InProcess
from edgenas.study.workers import Candidate, Evaluator
from tests.edgenas.run.test_pipeline_ship import SHORT, with_few_images

Make = Callable[..., Recipe]


class LargerIsBetter:
    """The largest networks are the best, so that there is a front."""

    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        return sum(int(digit) for digit in candidate.architecture if digit.isdigit()) / 100


@pytest.fixture
def searched(make_recipe: Make, table_path: Path, tmp_path: Path) -> RunFolder:
    text = SHORT.replace("trials: 2", "trials: 3, algorithm: random").replace("50}", "50, accuracy_drop: 1}")
    recipe = with_few_images(make_recipe(text, table=table_path, latency_ms=5.0), tmp_path)
    return RunFolder(run(recipe, ship=False, quiet=True, evaluator=LargerIsBetter(), scheduler=InProcess).run)


class Links(HTMLParser):
    """Where a page leads to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attributes if name == "href" and value]


def test_every_point_of_the_front_gets_a_bundle_once(searched: RunFolder, tmp_path: Path) -> None:
    context = open_searched(searched.path, None)
    wanted = [trial.number for trial in front_trials(context)]
    front = export_front(searched.path, tmp_path / "front")
    assert [point["trial"] for point in front.points] == wanted
    for point in front.points:
        bundle = tmp_path / "front" / point["bundle"]
        assert point["state"] == "exported"
        assert verify_bundle(bundle) == [] == point["problems"]
        metrics = json.loads((bundle / "metrics.json").read_text())
        assert point["score_tflite"] == metrics["top1"]["tflite"]
        assert point["predicted_ms"] == metrics["predicted"]["local-cpu"]["latency_ms"]
        assert point["latency_kind"] == "measured"
    assert not searched.bundle_path.exists(), "the run's own bundle is left as it is"
    assert not searched.read(ExportRecord).done
    links = Links((tmp_path / "front" / "index.html").read_text()).found
    assert all((tmp_path / "front" / link).exists() for link in links)
    assert {point["bundle"] + "/" for point in front.points} <= set(links)

    events = len(read_log(searched.log.path))
    damaged = tmp_path / "front" / front.points[0]["bundle"] / "labels.txt"
    damaged.write_text("other\n")
    again = export_front(searched.path, tmp_path / "front")
    assert again.index["points"][1:] == front.index["points"][1:]
    new = [event["event"] for event in read_log(searched.log.path)[events:]]
    assert "trained" not in new
    assert new.count("exported") == 1, "only the damaged one is made again"


@pytest.mark.slow
def test_another_quantization_leaves_the_bundle_and_says_what_it_lacks(
    searched: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = front_trials(open_searched(searched.path, None))[0].number
    own = export_trial(searched.path, number)
    assert own.bundle is not None
    before = (own.bundle / "metrics.json").read_bytes()
    model = (searched.trial_path(number) / "final" / "model.tflite").read_bytes()

    result = export_trial(searched.path, number, output=tmp_path / "float", quantization="float32")
    metrics = json.loads((tmp_path / "float" / "metrics.json").read_text())
    assert verify_bundle(tmp_path / "float") == []
    assert metrics["quantization"] == "float32"
    assert metrics["predicted"] == {}
    assert "there is no float32 table of it" in metrics["not_predicted"]["local-cpu"]
    assert "Not predicted for local-cpu: there is no float32 table" in (tmp_path / "float" / "README.md").read_text()
    assert result.shipped["trial"] == number
    assert (own.bundle / "metrics.json").read_bytes() == before
    assert (searched.trial_path(number) / "final" / "model.tflite").read_bytes() == model

    table = LatencyTable.load(searched.table_path)
    row = next(iter(table.rows.values()))

    def profile_space(space: SearchSpace, device: Device, *, precision: str, **_: object) -> SimpleNamespace:
        """What measuring gives, without the time that it takes."""
        path = default_table_path(device.name, precision)
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = dict.fromkeys(space.signatures(precision), row)
        made = dataclasses.replace(table, precision=precision, rows=rows)
        made.save(path)
        facts = {"signatures": len(rows), "measured": len(rows), "reused": 0, "seconds": 1.0, "failed": {}}
        return SimpleNamespace(path=path, table=made, **facts)

    monkeypatch.setattr("edgenas.latency.profile.profiler.profile_space", profile_space)
    export_trial(searched.path, number, output=tmp_path / "float", quantization="float32", measure=True)
    assert (searched.path / "tables" / "local-cpu-float32.csv").is_file()
    metrics = json.loads((tmp_path / "float" / "metrics.json").read_text())
    assert metrics["predicted"]["local-cpu"]["latency_ms"] > 0
    assert "not_predicted" not in metrics
    with pytest.raises(InputError, match="nonsense"):
        export_trial(searched.path, number, output=tmp_path / "x", quantization="nonsense")


def test_a_folder_of_other_things_is_refused(searched: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    with pytest.raises(InputError, match="holds other things and no front"):
        export_front(searched.path, tmp_path / "other")
    (tmp_path / "other" / "index.json").write_text('{"points": 3}')
    with pytest.raises(InputError, match="not the index of a front"):
        export_front(searched.path, tmp_path / "other")


def test_a_page_says_what_was_not_exported_and_escapes_it() -> None:
    index = {
        "name": "<b>",
        "run": "runs/x",
        "space": "s",
        "data": "d",
        "device": "local-cpu",
        "quantization": "int8",
        "budget": {"latency_ms": 1.0},
        "points": [{"trial": 3, "state": "not exported", "reason": "top1 <is> low"}],
    }
    page = front_page(index)
    assert "top1 &lt;is&gt; low" in page
    assert "<b>: the front" not in page
    assert "No point could be exported yet." in page


def test_the_head_of_the_page_pairs_no_accuracy_with_the_time_of_another_point() -> None:
    def point(trial: int, score: float, quiet_ms: float) -> dict[str, Any]:
        return {
            "trial": trial,
            "architecture": "0",
            "state": "exported",
            "bundle": f"trial-{trial}",
            "metric": "top1",
            "score_float": score,
            "score_tflite": score,
            "latency_ms": {"quiet": quiet_ms, "median": quiet_ms},
            "latency_kind": "measured",
            "predicted_ms": quiet_ms,
            "quiet_over_predicted": 1.0,
            "size_bytes": 1000,
            "params": 10,
            "macs": 100,
            "problems": [],
        }

    def head(*points: dict[str, Any]) -> str:
        facts = {"name": "a", "run": "runs/a", "space": "s", "data": "d", "device": "local-cpu"}
        return front_page(facts | {"quantization": "int8", "budget": {"latency_ms": 1.0}, "points": list(points)})

    fast, slow = point(0, 0.62, 0.02), point(1, 0.6, 0.1)
    assert "2 of 2 points exported: top-1 60.00 % to 62.00 %, 0.0200 ms to 0.100 ms, measured" in head(fast, slow)
    assert "1 of 1 points exported: top-1 62.00 %, 0.0200 ms, measured" in head(fast)
